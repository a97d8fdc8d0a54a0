"""Run a quarter on this machine: settings, the embedded LLM where none is named, signals."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.extras import require_extra
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import PROJECT_FILE, Settings, resolve
from ftm_core.data.lease import new_run_name
from ftm_core.pipeline import QuarterOutcome, RunRequest, run_quarter, standing
from ftm_core.stopping import StopSignals
from ftm_core.storage import Storage


@dataclass(frozen=True)
class LocalRun:
    """A local run as the operator asked for it."""

    quarter: Quarter
    storage: Storage
    max_firms: int | None = None
    restart: bool = False
    name: str | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalOutcome:
    """The quarter's outcome, or None when a finished quarter was left as it is."""

    quarter: Quarter
    data: str
    run_id: str
    outcome: QuarterOutcome | None


class SharedLlm:
    """The LLM server of one or more runs: started by the first that needs it, kept for the next."""

    def __init__(self, settings: Settings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._opened = contextlib.ExitStack()
        self._base_url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    def base_url(self) -> str:
        """Base URL of the server, started now unless it is up."""
        if not self._base_url:
            self._base_url = self._opened.enter_context(llm_server(self._settings, self._listener))
        return self._base_url


def run_locally(run: LocalRun, listener: Listener) -> LocalOutcome:
    """Run the quarter; SIGTERM and Ctrl-C save what is finished and end as retryable.

    Raises the errors of ``run_quarter``, and those of the bundled server.
    """
    require_extra("models", "A run on this machine")
    with StopSignals(listener) as signals:
        settings = local_settings(run.flags)
        with SharedLlm(settings, listener) as llm:
            return run_with(run, settings, signals, llm, listener)


def run_with(
    run: LocalRun, settings: Settings, signals: StopSignals, llm: SharedLlm, listener: Listener
) -> LocalOutcome:
    """Run the quarter with signals and a server that other runs share."""
    request = RunRequest(
        storage=run.storage,
        quarter=run.quarter,
        settings=settings,
        run_name=run.name or new_run_name(run.quarter),
        listener=listener,
        restart=run.restart,
        max_firms=run.max_firms,
    )
    finished = standing(request)
    if finished is not None:
        return LocalOutcome(run.quarter, run.storage.uri, finished.run_id, None)
    served = settings.llm.model_copy(update={"base_url": llm.base_url()})
    ready = replace(request, settings=settings.model_copy(update={"llm": served}))
    outcome = signals.run(lambda: run_quarter(ready), ready.stop)
    return LocalOutcome(run.quarter, run.storage.uri, outcome.run_id, outcome)


# The embedded model writes a sentence or two well and then repeats itself; on two cores each
# token costs. Twice as many questions are on their way as are answered at once, so that none of the
# server's slots waits for the next. These stand in for defaults only: a flag, the environment or
# the file wins.
EMBEDDED_LLM_SETTINGS = {"summary_max_tokens": 48, "theme_max_tokens": 96, "max_concurrent": 8}


def local_settings(flags: Mapping[str, Any]) -> Settings:
    """All settings; with no server named, the model is the embedded one and its answers short."""
    from ftm_core.llm.bundled_model import MODEL_NAME

    resolved = resolve(flags=flags, environment=os.environ, project_file=Path(PROJECT_FILE))
    settings = resolved.settings
    if settings.llm.base_url:
        return settings
    defaults = {item.name for item in resolved.origins if item.origin == "default"}
    fitting = {k: v for k, v in EMBEDDED_LLM_SETTINGS.items() if f"llm.{k}" in defaults}
    llm = settings.llm.model_copy(update={"model_name": MODEL_NAME, **fitting})
    return settings.model_copy(update={"llm": llm})


@contextlib.contextmanager
def llm_server(settings: Settings, listener: Listener) -> Iterator[str]:
    """Base URL of the named server, or of the embedded one, which ends with the block."""
    if settings.llm.base_url:
        yield settings.llm.base_url
        return
    from ftm_core.llm.embedded import EmbeddedServer

    with EmbeddedServer(slots=max(1, settings.llm.max_concurrent // 2)) as server:
        listener(Note(f"embedded LLM {settings.llm.model_name} ready at {server.base_url}"))
        yield server.base_url
