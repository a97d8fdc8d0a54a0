"""Steps of the image's build: what to install, and checks that say why they fail.

The first step runs with the Python of the base image, which has no packages.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import NoReturn

# The command line stays out of the jobs.
NOT_IMPORTED = ("ftm_cli", "typer")


def requirements(project_file: str) -> None:
    """Print the extra `worker` of pyproject.toml, a requirement a line."""
    project = tomllib.loads(Path(project_file).read_text(encoding="utf-8"))["project"]
    sys.stdout.writelines(f"{line}\n" for line in project["optional-dependencies"]["worker"])


def check_device(device: str) -> None:
    """Fail unless PyTorch is the build for the device that the image is made for."""
    import torch

    if device not in ("cpu", "cuda"):
        sys.exit(f"DEVICE={device} is not known. Use DEVICE=cpu or DEVICE=cuda.")
    built_for = "cpu" if torch.version.cuda is None else "cuda"
    if built_for != device:
        argument = f"TORCH_{device.upper()}_INDEX_URL"
        sys.exit(
            f"PyTorch {torch.__version__} was installed, which is built for {built_for}, but the "
            f"image is for DEVICE={device}. Set the build argument {argument} to a package index "
            f"that serves the {device} build."
        )


def check_imports(requirements_file: str) -> None:
    """Fail unless the jobs' code and each package that was asked for can be imported."""
    for module in ("ftm_core.worker", "ftm_core.pipeline"):
        if error := _import(module):
            _fail(module, "the jobs' own code", error)
    unwanted = [name for name in NOT_IMPORTED if name in sys.modules]
    if unwanted:
        sys.exit(
            f"The jobs import {' and '.join(unwanted)}, which belong to the command line only."
        )
    modules: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(_normal(distribution), []).append(module)
    for line in Path(requirements_file).read_text(encoding="utf-8").splitlines():
        name = _normal(re.split(r"[\[<>=!~ ;]", line)[0])
        if name not in modules:
            sys.exit(f"The package {name} of the extra 'worker' is not installed in the image.")
        # A package may bring modules for others to use, which need what is not here.
        found = [m for m in modules[name] if m.isidentifier() and not m.startswith("_")]
        errors = {module: _import(module) for module in found}
        if all(errors.values()):
            module, error = next(iter(errors.items()))
            _fail(module, f"package {name}", error)


def _import(module: str) -> Exception | None:
    """Import a module; what it raised, or None."""
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - any exception of an import means a broken image
        return error
    return None


def _fail(module: str, what: str, error: Exception | None) -> NoReturn:
    sys.exit(
        f"The image cannot import {module} ({what}): {type(error).__name__}: {error}. If a package "
        "is missing, add it to the extra 'worker' in pyproject.toml."
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    steps = {
        "requirements": requirements,
        "check-device": check_device,
        "check-imports": check_imports,
    }
    steps[sys.argv[1]](sys.argv[2])
