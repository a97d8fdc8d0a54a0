"""The checks before a run: each inspects one thing and says what it found, or what to do next."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ftm_cli.results.runs import Check
from ftm_core.contracts.errors import FtmError, InputError, LlmUnavailableError
from ftm_core.contracts.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import LlmSettings, Settings
from ftm_core.data.transcript_chunks import missing_chunks, read_manifest
from ftm_core.storage import Storage
from ftm_core.storage.probe import probe

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
# Room for a quarter's tables and the models' scratch files. A run that meets a full disk keeps what
# is finished, but cannot continue.
FREE_BYTES = 1024**3

_STAGE = "preflight"

# A name, and what inspects: it returns what it found or raises FtmError with what to do.
Probe = tuple[str, Callable[[], str]]


def run_probes(
    probes: Sequence[Probe], listener: Listener = ignore, *, ends_at: str = ""
) -> tuple[Check, ...]:
    """Run each in turn: a check passes with what its function returns, and fails by FtmError.

    When the one named ``ends_at`` fails, those after it wait for it and are left out.
    """
    listener(StageStarted(_STAGE, len(probes), "checks"))
    began = time.monotonic()
    checks = []
    for number, (name, inspect) in enumerate(probes, start=1):
        try:
            check = Check(name, True, inspect())
        except FtmError as error:
            check = Check(name, False, error.sentence, error.hint)
        listener(StageAdvanced(_STAGE))
        waiting = [later for later, _ in probes[number:]]
        if not check.passed and name == ends_at and waiting:
            wait = f"{check.next_step} Only then can these be checked: {', '.join(waiting)}."
            checks.append(replace(check, next_step=wait))
            break
        checks.append(check)
    listener(StageFinished(_STAGE, time.monotonic() - began))
    return tuple(checks)


def check_local(
    settings: Settings,
    storage: Storage,
    quarter: Quarter | None = None,
    listener: Listener = ignore,
) -> tuple[Check, ...]:
    """Everything that a run on this machine needs; changes nothing but a file it removes again."""
    probes: list[Probe] = [
        ("python", python_version),
        ("embedding model", lambda: _embedding_model(settings)),
        ("LLM", lambda: _llm(settings)),
    ]
    if not storage.uri.startswith("s3://"):
        folder = Path(storage.uri.removeprefix("file://"))
        probes += [
            ("data folder", lambda: _data_place(storage)),
            ("disk space", lambda: _free_space(folder)),
        ]
    else:
        probes.append(("bucket", lambda: _data_place(storage)))
    if quarter is not None:
        probes.append(("transcripts", lambda: transcripts(storage, quarter)))
    return run_probes(probes, listener)


def python_version() -> str:
    """This interpreter's version; raises InputError for one that ftm is not made for."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise InputError(
            f"Python {version}",
            "is not supported",
            "Make the environment with Python 3.11 to 3.13.",
        )
    return version


def transcripts(storage: Storage, quarter: Quarter) -> str:
    """Counts of a quarter's transcripts, every chunk being there; raises InputError when not."""
    manifest = read_manifest(storage, quarter)
    missing = missing_chunks(storage, manifest)
    if missing:
        raise InputError(
            f"The chunk {storage.describe(missing[0])}",
            f"is missing, with {len(missing) - 1} other chunks" if missing[1:] else "is missing",
            f"Run `ftm ingest SOURCE --quarter {quarter}`.",
        )
    return f"{quarter}: {manifest.n_firms:,} firms, {manifest.n_sentences:,} sentences"


def _embedding_model(settings: Settings) -> str:
    from ftm_core.contracts.extras import require_extra
    from ftm_core.topics.embedding import BUNDLED_MODEL, bundled_model_folder, named_model

    require_extra("models", "A run on this machine")
    name = settings.embedding.model_name
    if name != BUNDLED_MODEL:
        return named_model(settings.embedding)
    bundled_model_folder()
    return f"{name}, SHA-256 as published"


def _llm(settings: Settings) -> str:
    if settings.llm.base_url:
        return _served_model(settings.llm)
    from ftm_core.contracts.extras import require_extra
    from ftm_core.llm.local_models import find_local_model, plan_server

    require_extra("local", "The local LLM server")
    model = find_local_model(settings.llm.local_model)
    model.verify()
    plan = plan_server(model.file, concurrent=settings.llm.max_concurrent)
    checked = "SHA-256 as published" if model.is_bundled else f"{model.file.path}"
    return f"{model.name}, {checked}, {plan.slots} slots, {plan.memory / 1024**2:,.0f} MiB"


def _served_model(llm: LlmSettings) -> str:
    """That the server answers one tiny question now; the run's own client asks it."""
    import asyncio

    from ftm_core.llm.addresses import without_password
    from ftm_core.llm.client import LlmClient

    where = without_password(llm.base_url)

    async def ask() -> int:
        async with LlmClient(llm.model_copy(update={"health_wait": 0.0})) as client:
            await client.try_completion()
            return await client.context_length()

    try:
        length = asyncio.run(ask())
    except LlmUnavailableError as error:
        raise InputError(
            f"The LLM server {where}",
            f"cannot be used. {error.sentence}",
            "Start it, or correct LLM_BASE_URL (`ftm config` shows where it comes from).",
        ) from error
    return f"{llm.model_name} at {where}, {length:,} tokens of context"


def _data_place(storage: Storage) -> str:
    """That the folder or bucket keeps what runs rely on; raises InputError when not."""
    probe(storage)
    if storage.uri.startswith("s3://") or Path(storage.uri).is_dir():
        return storage.uri
    return f"{storage.uri}, which will be made"


def _free_space(folder: Path) -> str:
    free = shutil.disk_usage(_existing(folder)).free
    if free < FREE_BYTES:
        raise InputError(
            f"The folder {folder}",
            f"has {free / 1024**2:,.0f} MiB free, less than {FREE_BYTES / 1024**2:,.0f} MiB",
            "Free some space, or choose another folder with --data.",
        )
    return f"{free / 1024**3:,.1f} GiB free"


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    absolute = folder.absolute()
    found = next(path for path in (absolute, *absolute.parents) if path.exists())
    return folder if found == absolute else found
