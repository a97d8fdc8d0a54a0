"""States of a run and causes of its failure, shared by all targets and the state machine."""

from __future__ import annotations

import re
from enum import StrEnum


class RunState(StrEnum):
    """State of a run, the same on every target; the first five are Step Functions' own names."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"
    # Submitted to a scheduler, not started yet.
    PENDING = "PENDING"
    # No process works on it any more, and it did not end: killed, or its machine was lost.
    UNFINISHED = "UNFINISHED"

    @property
    def is_active(self) -> bool:
        """Whether the run is still going to change."""
        return self in (RunState.RUNNING, RunState.PENDING)


class RunStage(StrEnum):
    """Stages that the state machine names where a run failed."""

    INPUT = "input"
    TRANSCRIPTS = "transcripts"
    PLAN = "plan"
    MAP = "map"
    REDUCE = "reduce"
    # The reduce job found failures over the tolerance, or one of its checks failed.
    CHECKS = "checks"

    @classmethod
    def is_known(cls, name: str) -> bool:
        """Whether this version of ftm has the stage; a state machine of another may differ."""
        return name in cls._value2member_map_


class FailureCause(StrEnum):
    """Error names of the state machine's failure states."""

    WRONG_INPUT = "Ftm.WrongInput"
    TRANSCRIPTS_MISSING = "Ftm.TranscriptsMissing"
    CHECKS_FAILED = "Ftm.ChecksFailed"
    NO_INSTANCE = "Ftm.NoInstance"
    RUN_FAILED = "Ftm.RunFailed"
    STOPPED = "Ftm.Stopped"


# The state machine's Fail state writes its cause in this form.
_STAGE_FAILURE = re.compile(r"Stage (?P<stage>\w+): (?P<error>\w+(?:\.\w+)*)")


def parse_failure(cause: str) -> tuple[str, FailureCause]:
    """Stage and cause of a failed execution from the Cause of its Fail state.

    An error that is not one of ours, such as States.TaskFailed, is RUN_FAILED. The stage is empty
    where the text has another form, as for an execution that was stopped.
    """
    match = _STAGE_FAILURE.match(cause)
    if match is None:
        return "", FailureCause.RUN_FAILED
    try:
        return match["stage"], FailureCause(match["error"])
    except ValueError:
        return match["stage"], FailureCause.RUN_FAILED
