"""Progress as plain values: core emits events, a listener draws or logs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StageStarted:
    """A stage of known length begins; ``done`` may be above 0 when it resumes."""

    stage: str
    total: int | None
    unit: str
    done: int = 0


@dataclass(frozen=True)
class StageAdvanced:
    """``amount`` more units of a stage are finished."""

    stage: str
    amount: int = 1


@dataclass(frozen=True)
class StageFinished:
    """A stage ended, after ``seconds``; with an error or a signal it is not complete."""

    stage: str
    seconds: float
    is_complete: bool = True


@dataclass(frozen=True)
class Note:
    """Something worth one line to the operator; ``level`` is ``info`` or ``warning``."""

    text: str
    level: str = "info"


Event = StageStarted | StageAdvanced | StageFinished | Note
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listener that drops every event."""
