"""Where numba keeps compiled code: a folder that can be written, on any machine."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import pickletools
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ftm_core.contracts.errors import InputError

_VARIABLE = "NUMBA_CACHE_DIR"
# Packages whose functions numba compiles with a cache.
_CACHING = ("umap", "pynndescent")


def ensure_numba_cache() -> None:
    """Point NUMBA_CACHE_DIR to a temporary folder where neither umap's folder nor HOME can be used.

    Call before the first import of umap, which compiles as it is imported and fails without a
    cache. Without a known HOME numba would make a folder named ``~`` in the working folder.
    Raises InputError when NUMBA_CACHE_DIR is set to a folder that cannot be written.
    """
    given = os.environ.get(_VARIABLE)
    folders = [folder for name in _CACHING for folder in _folders_of(name)]
    caches = [Path(given)] if given else [folder / "__pycache__" for folder in folders]
    _remove_damaged(caches)
    if given:
        if not _is_writable(Path(given), make=True):
            raise InputError(
                f"The environment variable {_VARIABLE}",
                f"names the folder {given}, which cannot be written: numba needs it for compiled "
                "code",
                f"Set {_VARIABLE} to a folder that can be written, or unset it.",
            )
        return
    if caches and all(_is_writable(cache) for cache in caches):
        return
    if _home_is_writable():
        return
    os.environ[_VARIABLE] = str(_temporary_folder())


def _folders_of(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    return [Path(folder) for folder in found.submodule_search_locations or []] if found else []


def _remove_damaged(caches: Iterable[Path]) -> None:
    """Remove cache files that are cut short, as a full disk or a power cut leaves them.

    numba compiles again what is not there, and ends in EOFError where a file is damaged.
    """
    for cache in caches:
        for suffix in ("*.nbi", "*.nbc"):
            for file in cache.rglob(suffix):
                with contextlib.suppress(OSError):
                    if not _is_whole(file.read_bytes()):
                        file.unlink()


def _is_whole(data: bytes) -> bool:
    """Whether ``data`` is one pickle after another to its end; none of them is loaded."""
    stream = io.BytesIO(data)
    try:
        while stream.tell() < len(data):
            for _ in pickletools.genops(stream):
                pass
    except ValueError:
        return False
    return bool(data)


def _home_is_writable() -> bool:
    try:
        home = Path.home()
    except RuntimeError:
        return False
    return home.is_absolute() and _is_writable(home)


def _is_writable(folder: Path, *, make: bool = False) -> bool:
    """Whether a file can be made in ``folder``, or in the nearest folder above that is there."""
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        there = next(part for part in (folder, *folder.parents) if part.is_dir())
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def _temporary_folder() -> Path:
    """One folder for each user, so that later runs find it; nobody else can put code into it."""
    try:
        folder = Path(tempfile.gettempdir()) / f"ftm-numba-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_ours = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if stat.S_ISDIR(found.st_mode) and is_ours:
            return folder
        return Path(tempfile.mkdtemp(prefix="ftm-numba-"))
    except OSError as error:
        raise InputError(
            "The temporary folder",
            f"cannot hold the compiled code of numba ({error.strerror or error})",
            f"Set TMPDIR or {_VARIABLE} to a folder that can be written.",
        ) from error
