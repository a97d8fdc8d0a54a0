"""The steps of a run as jobs of any scheduler: plan, map one batch, reduce."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ftm_cli.operations.local_run import SharedLlm, local_settings
from ftm_core import pipeline
from ftm_core.contracts.errors import InputError, LlmUnavailableError
from ftm_core.contracts.events import Listener, Note
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import LlmSettings, Settings
from ftm_core.data.batch_plan import batch_id
from ftm_core.stopping import StopSignals
from ftm_core.storage import Storage
from ftm_core.themes.reduce_job import ReduceOutcome
from ftm_core.topics.map_job import BatchOutcome

_URL_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class StepRequest:
    """One step of the run ``run_name``; ``llm_url_file`` is where a server's job writes its URL."""

    storage: Storage
    quarter: Quarter
    run_name: str
    restart: bool = False
    max_firms: int | None = None
    llm_url_file: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedRun:
    """What the plan step wrote."""

    run_id: str
    n_firms: int
    batch_ids: tuple[str, ...]


def plan_step(step: StepRequest, listener: Listener) -> PlannedRun:
    """Acquire the lease of the quarter for the run and write its batches, or keep them."""
    with StopSignals(listener):
        request = _request(step, _settings(step), listener)
        identity, _, batches = pipeline.plan(request)
    return PlannedRun(
        run_id=identity.run_id,
        n_firms=sum(len(batch.firm_ids) for batch in batches),
        batch_ids=tuple(batch.batch_id for batch in batches),
    )


def map_step(step: StepRequest, batch: str, listener: Listener) -> BatchOutcome:
    """Run one batch, named by its ID or by its number in the plan."""
    name = batch_id(step.quarter, int(batch)) if batch.isdecimal() else batch
    settings = _settings(step)
    with StopSignals(listener) as signals, SharedLlm(settings, listener) as llm:
        ready = _with_server(step, settings, llm, listener)
        return signals.run(lambda: pipeline.run_one_batch(ready, name), ready.stop)


def reduce_step(step: StepRequest, listener: Listener) -> ReduceOutcome:
    """Make the quarter's themes from all batches, and release the lease."""
    settings = _settings(step)
    with StopSignals(listener) as signals, SharedLlm(settings, listener) as llm:
        ready = _with_server(step, settings, llm, listener)
        return signals.run(lambda: pipeline.run_reduce_alone(ready), ready.stop)


def _settings(step: StepRequest) -> Settings:
    """All settings; with a file for the URL, the server is a named one, not the bundled one."""
    if step.llm_url_file is None:
        return local_settings(step.settings)
    # The address changes no row, and is replaced before the LLM is asked.
    pending = "http://pending.invalid/v1"
    return local_settings({**step.settings, "llm.base_url": pending})


def _request(step: StepRequest, settings: Settings, listener: Listener) -> pipeline.RunRequest:
    return pipeline.RunRequest(
        storage=step.storage,
        quarter=step.quarter,
        settings=settings,
        run_name=step.run_name,
        listener=listener,
        restart=step.restart,
        max_firms=step.max_firms,
        is_scheduled=True,
    )


def _with_server(
    step: StepRequest, settings: Settings, llm: SharedLlm, listener: Listener
) -> pipeline.RunRequest:
    """The request with the URL of a server: the one in the file, the named one, or our own."""
    request = _request(step, settings, listener)
    url = (
        llm.base_url()
        if step.llm_url_file is None
        else _url_in(step.llm_url_file, settings.llm, listener)
    )
    served = settings.llm.model_copy(update={"base_url": url})
    return replace(request, settings=settings.model_copy(update={"llm": served}))


def _url_in(path: Path, llm: LlmSettings, listener: Listener) -> str:
    """The URL that a server's job wrote; waits for it as for a server that is down."""
    deadline = time.monotonic() + llm.health_wait
    is_announced = False
    while True:
        text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        if text:
            if text.startswith("failed:"):
                raise InputError(
                    "The LLM server",
                    f"did not start: {text.removeprefix('failed:').strip()}",
                    "Fix what its log names. On Slurm, `vllm_command` in [slurm] of ftm.toml "
                    "starts it, and `ftm logs --target slurm vllm` shows the log.",
                )
            if not text.startswith(("http://", "https://")):
                raise InputError(
                    f"The file {path}",
                    f"holds {text!r}, which is not a URL",
                    "Remove the file, then start the LLM server again.",
                )
            return text
        if time.monotonic() >= deadline:
            raise LlmUnavailableError(
                "The LLM server",
                f"did not write its URL to {path} within {llm.health_wait:.0f} s",
                "Read the log of its job, then start the same step again.",
            )
        if not is_announced:
            listener(Note(f"waiting for the URL of the LLM server in {path}"))
            is_announced = True
        time.sleep(_URL_POLL_SECONDS)
