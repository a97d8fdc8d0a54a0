"""The files of a deployment, Terraform modules and image, in a checkout or an installed ftm."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import ftm_cli
import ftm_core
from ftm_core.contracts.errors import InputError

# The modules of a checkout, or of an operator's own copy, in the current folder.
OWN_MODULES = Path("infra/terraform")
# Where those of an installed ftm are written out; their state lies beside them.
WRITTEN_MODULES = Path(".ftm/terraform")
_CODE = Path(ftm_core.__file__).parent
_MARK = ".written-from"
_OVERRIDE = "backend_override.tf"
_IMAGE_FILES = ("pyproject.toml", "requirements.lock")
_NEVER = ("commit.txt",)


def source_root() -> Path:
    """Folder with ``infra``, ``pyproject.toml`` and the lock file.

    That is ``ftm_cli/deployment`` of an installed wheel, and the repository of a checkout.
    """
    package = Path(ftm_cli.__file__).parent
    installed = package / "deployment"
    root = installed if installed.is_dir() else package.parent
    if not (root / "infra").is_dir():
        raise InputError(
            "This installation of ftm",
            f"lacks the files of a deployment: there is no folder {root / 'infra'}",
            "Install ftm again from its wheel, or work in its source folder.",
        )
    return root


def existing_modules() -> Path | None:
    """Folder of the Terraform modules that this folder deploys; None before the first deploy."""
    return next((path for path in (OWN_MODULES, WRITTEN_MODULES) if path.is_dir()), None)


def terraform_modules() -> Path:
    """Folder of the Terraform modules to deploy, with their state.

    Modules below the current folder are used as they are. Without any, those of the installed ftm
    are written to ``.ftm/terraform``, again after an upgrade; state and providers there stay.
    """
    if OWN_MODULES.is_dir():
        return OWN_MODULES
    source = source_root() / OWN_MODULES
    mark = WRITTEN_MODULES / _MARK
    content = _digest({str(path.relative_to(source)): path for path in _module_files(source)})
    if not mark.is_file() or mark.read_text(encoding="ascii") != content:
        _write_out(source)
        mark.write_text(content, encoding="ascii")
    return WRITTEN_MODULES


def image_files() -> dict[str, Path]:
    """What the image is built from: path in the build context by path on this machine."""
    root = source_root()
    files = {name: root / name for name in _IMAGE_FILES}
    files |= {
        f"infra/containers/{path.name}": path
        for path in sorted((root / "infra" / "containers").iterdir())
        if path.is_file()
    }
    return files | {
        f"ftm_core/{path.relative_to(_CODE).as_posix()}": path
        for path in sorted(_CODE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name not in _NEVER
    }


def write_build_context(files: Mapping[str, Path], folder: Path) -> None:
    """Copy the files of ``image_files`` into an empty folder."""
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _write_out(source: Path) -> None:
    """Bring the written modules to those of ``source``, leaving state, plans and providers."""
    wanted = {path.relative_to(source) for path in _module_files(source)}
    for path in _module_files(WRITTEN_MODULES) if WRITTEN_MODULES.is_dir() else ():
        if path.relative_to(WRITTEN_MODULES) not in wanted:
            path.unlink()
    for name in wanted:
        target = WRITTEN_MODULES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    # State may hold secrets: it never belongs into a repository.
    (WRITTEN_MODULES.parent / ".gitignore").write_text("*\n", encoding="ascii")


def _module_files(root: Path) -> list[Path]:
    """The files of the modules' own code."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file()
        and ".terraform" not in path.parts
        and "tests" not in path.parts
        and path.name != _OVERRIDE
        and (path.suffix in (".tf", ".tftpl") or path.name == ".terraform.lock.hcl")
    )


def _digest(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
