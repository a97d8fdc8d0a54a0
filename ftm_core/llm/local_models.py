"""Model files on this machine: which is meant, where it comes from, how it is served.

A model is named by a path, by the name it was added under, or as ``hf:OWNER/REPO/FILE.gguf``, which
may end in ``@REVISION``. What was fetched or added is listed in ``models.json`` of the models
folder, with its SHA-256; a Hugging Face file stays at the revision that was first fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ftm_core.contracts.checksums import verify_sha256
from ftm_core.contracts.errors import InputError, RetryableError
from ftm_core.contracts.events import Listener, ignore
from ftm_core.llm import eight_bit_weights
from ftm_core.llm.bundled_model import (
    MODEL_FILE,
    MODEL_LICENSE,
    MODEL_NAME,
    MODEL_SHA256,
    bundled_model_path,
    models_folder,
    verify_bundled_model,
)
from ftm_core.llm.gguf import GgufModel, read_gguf

BUNDLED = "bundled"
HUGGING_FACE = "hf:"
# A slot holds the longest prompt and its answer with room to spare; more only costs memory.
SLOT_CONTEXT = 2048
# More than this only share the same cores, and each holds 47 MB of the bundled model's context.
MOST_SLOTS = 8
# A model of this size computes for seconds per answer: more at once only share the same cores.
_LARGE_BYTES = 600 * 1024**2
_SLOTS_OF_LARGE = 4
_SAMPLE_BYTES = 4 * 1024**2
_LIST_FILE = "models.json"


@dataclass(frozen=True)
class ServerPlan:
    """How one file is served on this machine; memory in bytes."""

    slots: int
    slot_context: int
    threads: int
    memory: int


@dataclass(frozen=True)
class LocalModel:
    """A model file that a run can use: the name that rows record, and its header."""

    name: str
    file: GgufModel
    is_bundled: bool

    def verify(self) -> Path:
        """The file's path; raises InputError when the bundled file is not the published one."""
        return verify_bundled_model() if self.is_bundled else self.file.path


@dataclass(frozen=True)
class KnownModel:
    """A model of the list: where its file is and where it came from."""

    name: str
    path: str
    sha256: str
    source: str


class ModelDownloadError(RetryableError):
    """A model file could not be downloaded; nothing was left behind."""


def find_local_model(reference: str, listener: Listener = ignore) -> LocalModel:
    """The model that ``reference`` names ("" is the bundled one), fetched from Hugging Face if so.

    Raises InputError when there is no such file or it is no whole GGUF file, ModelDownloadError
    when it cannot be fetched.
    """
    if reference in {"", BUNDLED, MODEL_NAME}:
        return LocalModel(MODEL_NAME, read_gguf(bundled_model_path()), is_bundled=True)
    if reference.startswith(HUGGING_FACE):
        path = fetch_from_hugging_face(reference, listener)
    else:
        listed = {known.name: known.path for known in known_models()}
        path = Path(listed.get(reference.removesuffix(".gguf"), reference)).expanduser()
    file = read_gguf(path)
    # Rows of two files of one name must not be mixed, so the name says which content it was.
    return LocalModel(f"{path.stem}@{_sampled_digest(path)}", file, is_bundled=False)


def plan_server(file: GgufModel, *, concurrent: int, available: int | None = None) -> ServerPlan:
    """How to serve a file to ``concurrent`` callers; raises InputError where memory is too small.

    ``available`` is the memory in bytes, by default what this machine has free. Half of the callers
    are answered while the others wait, so that no slot does; fewer where memory is short.
    """
    if available is None:
        available = available_memory()
    slot_context = min(SLOT_CONTEXT, file.context_length)
    slots = max(1, min(most_slots(file.size), concurrent // 2))
    weights = eight_bit_weights.served_size(file)
    while slots > 1 and weights + file.memory(slots=slots, slot_context=slot_context) > available:
        slots -= 1
    memory = weights + file.memory(slots=slots, slot_context=slot_context)
    if memory > available:
        raise InputError(
            f"The model file {file.path}",
            f"needs {_gib(memory)} of memory, but only {_gib(available)} are free",
            "Use a smaller model or a smaller quantization, or name a server with LLM_BASE_URL.",
        )
    return ServerPlan(slots, slot_context, len(os.sched_getaffinity(0)), memory)


def most_slots(size: int) -> int:
    """Answers at once for a model file of ``size`` bytes, where memory allows."""
    return _SLOTS_OF_LARGE if size > _LARGE_BYTES else MOST_SLOTS


def available_memory() -> int:
    """Bytes of memory that a new process can take, a container's limit included."""
    free = int(psutil.virtual_memory().available)
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    try:
        return min(free, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return free


def known_models() -> list[KnownModel]:
    """The bundled model where it is on this machine, then what was fetched or added."""
    models = []
    bundled = models_folder() / MODEL_FILE
    if bundled.is_file():
        models.append(KnownModel(BUNDLED, str(bundled), MODEL_SHA256, "ftm models fetch bundled"))
    path = models_folder() / _LIST_FILE
    if path.exists():
        try:
            models += [KnownModel(**item) for item in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError, OSError) as error:
            raise InputError(
                f"The file {path}",
                f"cannot be read ({error})",
                "Remove it and add the models again.",
            ) from error
    return models


def license_of(known: KnownModel, file: GgufModel) -> str:
    """The license that a model's file names; "" where it names none."""
    return MODEL_LICENSE if known.name == BUNDLED else file.license


def add_model(path: Path) -> KnownModel:
    """Take a GGUF file into the models folder and return it; the original stays where it is.

    Raises InputError when it is no whole GGUF file, or another one has its name.
    """
    file = read_gguf(path)
    sha256 = _sha256(path)
    target = models_folder() / path.name
    listed = {known.name: known for known in known_models()}
    if path.stem in listed and listed[path.stem].sha256 != sha256:
        raise InputError(
            f"The model {path.stem}",
            "is already listed with other content",
            f"Run `ftm models remove {path.stem}` first, or rename the file.",
        )
    if not target.exists() or not target.samefile(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        try:
            shutil.copyfile(file.path, part)
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise InputError(
                f"The models folder {target.parent}",
                f"could not be written ({error.strerror or error})",
                "Free space, or set FTM_MODELS_FOLDER to another folder.",
            ) from error
    return _list(KnownModel(path.stem, str(target), sha256, str(path.absolute())))


def remove_model(name: str) -> KnownModel:
    """Forget a model and delete its file from the models folder; raises InputError if unknown."""
    found = next((known for known in known_models() if known.name == name), None)
    if found is None:
        names = ", ".join(known.name for known in known_models()) or "none"
        raise InputError(f"The model {name}", "is not known", f"Use one of {names}.")
    path = Path(found.path)
    if path.is_relative_to(models_folder()):
        path.unlink(missing_ok=True)
    _write([known for known in known_models() if known.name not in {name, BUNDLED}])
    return found


def fetch_from_hugging_face(reference: str, listener: Listener = ignore) -> Path:
    """The file that ``hf:OWNER/REPO/FILE.gguf`` names, fetched unless it is there.

    The first fetch takes the named revision, or the newest, and records its commit; later ones
    take that commit. Endpoint and token are huggingface_hub's own (HF_ENDPOINT, HF_TOKEN).
    """
    place, _, revision = reference.removeprefix(HUGGING_FACE).partition("@")
    parts = place.split("/")
    if len(parts) < 3 or not all(parts) or not place.endswith(".gguf"):
        raise InputError(
            f"The model {reference}",
            "is not of the form hf:OWNER/REPO/FILE.gguf",
            "Copy owner, repository and file name from the model's page.",
        )
    name = f"{HUGGING_FACE}{place}"
    for known in known_models():
        if known.name == name and Path(known.path).is_file():
            recorded = known.source.rpartition("@")[2]
            if not revision or recorded.startswith(revision):
                return Path(known.path)
    return Path(_list(_download(name, "/".join(parts[:2]), "/".join(parts[2:]), revision)).path)


def _download(name: str, repository: str, file: str, revision: str) -> KnownModel:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise InputError(
            f"The model {name}",
            "needs the package huggingface_hub, which is not installed",
            "Install it with `pip install huggingface_hub`.",
        ) from error
    try:
        url = huggingface_hub.hf_hub_url(repository, file, revision=revision or None)
        about = huggingface_hub.get_hf_file_metadata(url)
        commit = about.commit_hash or revision
        path = Path(huggingface_hub.hf_hub_download(repository, file, revision=commit))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise InputError(
            f"The model {name}",
            f"does not exist at {os.environ.get('HF_ENDPOINT', 'the Hugging Face Hub')} "
            f"(revision {revision or 'newest'}), or needs a token",
            "Correct owner, repository and revision, or set HF_TOKEN.",
        ) from error
    except errors.EntryNotFoundError as error:
        raise InputError(
            f"The model {name}",
            f"has no file {file}",
            "Copy the file name from the model's list of files.",
        ) from error
    except Exception as error:
        raise ModelDownloadError(
            f"The model {name}",
            f"could not be downloaded ({type(error).__name__}: {error})",
            "Check the network, then run the command again; or download the file elsewhere and run "
            "`ftm models add FILE`.",
        ) from error
    sha256 = _sha256(path)
    # The ETag of a large file is its SHA-256; that of a small one is Git's and says nothing here.
    if about.etag and len(about.etag) == 64:
        verify_sha256(path, about.etag, repair="fetch the model again")
    read_gguf(path)
    return KnownModel(name, str(path), sha256, f"{name}@{commit}")


def _list(known: KnownModel) -> KnownModel:
    others = [item for item in known_models() if item.name not in {known.name, BUNDLED}]
    _write([*others, known])
    return known


def _write(models: list[KnownModel]) -> None:
    path = models_folder() / _LIST_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps([asdict(item) for item in models], indent=1), encoding="utf-8")
    part.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sampled_digest(path: Path) -> str:
    """Eight hex digits over the size, the beginning and the end: no reading of 40 GB at a start."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read())
    return digest.hexdigest()[:8]


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"
