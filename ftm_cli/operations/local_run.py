"""Run a quarter on this machine: settings, the local LLM server where none is named, signals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.extras import require_extra
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import (
    BUNDLED_LLM,
    PROJECT_FILE,
    ResolvedSettings,
    Settings,
    resolve,
)
from ftm_core.data.lease import new_run_name
from ftm_core.llm.addresses import without_password
from ftm_core.llm.local_models import find_local_model, most_slots, plan_server
from ftm_core.pipeline import QuarterOutcome, RunRequest, find_completed_run, run_quarter
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
    finished = find_completed_run(request)
    if finished is not None:
        return LocalOutcome(run.quarter, run.storage.uri, finished.run_id, None)
    served = settings.llm.model_copy(update={"base_url": llm.base_url()})
    ready = replace(request, settings=settings.model_copy(update={"llm": served}))
    outcome = signals.run(lambda: run_quarter(ready), ready.stop)
    return LocalOutcome(run.quarter, run.storage.uri, outcome.run_id, outcome)


# Twice as many questions are on their way as the server answers at once, so that no slot waits. A
# model on this machine's cores may take minutes for an answer while topic models use them as well.
_LOCAL_TIMEOUT = 600.0
_PRECEDENCE = ("flag", "environment")


def resolve_local(flags: Mapping[str, Any]) -> ResolvedSettings:
    """All settings of a run on this machine, with where each comes from.

    With no server named, the model is the one of LLM_LOCAL_MODEL or the bundled one, and what suits
    it stands in for defaults. Of a server and a model file the one named with more precedence
    counts. Raises InputError when both are named in one way, or the model file cannot be used.
    """
    project_file = Path(PROJECT_FILE)
    resolved = resolve(flags=flags, project_file=project_file)
    llm = resolved.settings.llm
    origins = {item.name: item.origin for item in resolved.origins}
    if llm.base_url and not llm.local_model:
        return resolved
    if llm.base_url and llm.local_model:
        server, model = _rank(origins["llm.base_url"]), _rank(origins["llm.local_model"])
        if server == model:
            raise InputError(
                "The LLM settings",
                f"name both a server ({without_password(llm.base_url)}) and a model file "
                f"({llm.local_model})",
                "Set only one of LLM_BASE_URL and LLM_LOCAL_MODEL.",
            )
        if server < model:
            return resolved
        flags = {**flags, "llm.base_url": ""}
    if llm.local_model:
        found = find_local_model(llm.local_model)
        name, origin, size = found.name, f"local model {found.name}", found.file.size
    else:
        # Settings can be shown before the bundled file was fetched.
        name, origin, size = BUNDLED_LLM, "bundled model", 0
    fitting = {
        "llm.model_name": (name, origin),
        "llm.max_concurrent": (2 * most_slots(size), origin),
        "llm.timeout": (_LOCAL_TIMEOUT, origin),
    }
    return resolve(flags=flags, project_file=project_file, defaults=fitting)


def _rank(origin: str) -> int:
    kind = origin.partition(" ")[0]
    return _PRECEDENCE.index(kind) if kind in _PRECEDENCE else len(_PRECEDENCE)


def local_settings(flags: Mapping[str, Any]) -> Settings:
    """The settings of ``resolve_local`` without their origins."""
    return resolve_local(flags).settings


@contextlib.contextmanager
def llm_server(settings: Settings, listener: Listener) -> Iterator[str]:
    """Base URL of the named server, or of one for the local model, which ends with the block."""
    if settings.llm.base_url:
        yield settings.llm.base_url
        return
    from ftm_core.llm.local_server import LocalServer

    model = find_local_model(settings.llm.local_model, listener)
    plan = plan_server(model.file, concurrent=settings.llm.max_concurrent)
    with LocalServer(
        model=model.verify(),
        slots=plan.slots,
        slot_context=plan.slot_context,
        threads=plan.threads,
        served_as=settings.llm.model_name,
    ) as server:
        listener(
            Note(
                f"local LLM {settings.llm.model_name} ready at {server.base_url} "
                f"({plan.slots} slots, {plan.memory / 1024**2:,.0f} MiB)"
            )
        )
        yield server.base_url
