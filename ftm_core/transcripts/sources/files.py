"""Find the files that a user names: globs, folders, several paths, gzip and zip."""

from __future__ import annotations

import gzip
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.sources.base import readable

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
# What lies beside the data in folders that Spark, macOS and git write.
_IGNORED = {"_success", "license", "readme", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class InputFile:
    """A file to read, where it lies now, and what it is called in messages.

    The name is the path within the folder or archive, with ``/``. ``given`` is where a user finds
    it: files of archives are unpacked into a temporary folder. ``office`` is the kind of an Office
    file: "xlsx", "docx" or, for any other, "office".
    """

    path: Path
    name: str
    given: str = ""
    office: str | None = None

    @property
    def where(self) -> str:
        """The path that errors name."""
        return self.given or str(self.path)


@dataclass(frozen=True)
class Inputs:
    """All files of a source and what the source is called; ``folder`` when it is one folder."""

    files: tuple[InputFile, ...]
    where: str
    folder: Path | None = None


def find_files(given: Sequence[str | Path], workplace: Path) -> Inputs:
    """The files at the given paths; archives are unpacked into ``workplace``.

    Raises InputError when a path names nothing, an archive is damaged, or no file is left.
    """
    where = ", ".join(str(path) for path in given[:3]) + (", …" if len(given) > 3 else "")
    files: list[InputFile] = []
    paths = [path for one in given for path in _paths(one)]
    for number, path in enumerate(paths):
        found = _files_below(path) if path.is_dir() else [InputFile(path, path.name)]
        for file in found:
            files += _unpacked(file, workplace / f"unpacked-{number}")
    if not files:
        raise InputError(
            f"The source {where}", "holds no file", "Name a file or folder with transcripts."
        )
    only = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    return Inputs(tuple(files), where, only)


def _paths(given: str | Path) -> list[Path]:
    path = Path(given)
    with readable(path):
        if path.exists():
            return [path]
    if any(mark in str(given) for mark in "*?["):
        root = Path(path.anchor) if path.is_absolute() else Path()
        found = sorted(root.glob(str(path.relative_to(path.anchor) if path.anchor else path)))
        if found:
            return found
        raise InputError(f"The pattern {given}", "fits no file", "Correct the pattern of the path.")
    raise InputError(
        f"The path {given}",
        "does not exist",
        "Name a file, a folder, or `sample` for the sample corpus.",
    )


def _files_below(folder: Path) -> list[InputFile]:
    """Every file below a folder in order of its path, without what programs leave there."""
    with readable(folder):
        found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        InputFile(path, path.relative_to(folder).as_posix())
        for path in found
        if not _is_ignored(path.relative_to(folder).parts)
    ]


def _is_ignored(parts: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return hidden or Path(parts[-1]).stem.lower() in _IGNORED


def _unpacked(file: InputFile, workplace: Path) -> Iterator[InputFile]:
    with readable(file.path), file.path.open("rb") as opened:
        start = opened.read(4)
    if start.startswith(_GZIP):
        name = file.name.removesuffix(".gz").removesuffix(".GZ")
        target = workplace / "gzip" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with gzip.open(file.path) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1024 * 1024)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(file, "gzip", error) from error
        yield InputFile(target, name, file.where)
    elif start.startswith(_ZIP):
        office = _office_kind(file.path)
        if office is not None:
            yield replace(file, office=office)
            return
        try:
            with zipfile.ZipFile(file.path) as archive:
                members = [
                    member
                    for member in archive.infolist()
                    if not member.is_dir() and not _is_ignored(Path(member.filename).parts)
                ]
                root = workplace / "zip" / file.path.name
                # zipfile keeps absolute paths and ".." inside the folder.
                found = [
                    InputFile(
                        Path(archive.extract(member, root)),
                        member.filename,
                        f"{file.where} ({member.filename})",
                    )
                    for member in members
                ]
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise _damaged(file, "zip", error) from error
        for member in found:
            yield from _unpacked(member, workplace / member.path.name)
    else:
        yield file


def _office_kind(path: Path) -> str | None:
    """The kind of a workbook or document of Office; None for any other zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return None
    if "[Content_Types].xml" not in names:
        return None
    if "xl/workbook.xml" in names:
        return "xlsx"
    return "docx" if "word/document.xml" in names else "office"


def _damaged(file: InputFile, kind: str, error: Exception) -> InputError:
    return InputError(
        f"The file {file.where}",
        f"is a damaged or locked {kind} file ({error})",
        "Download the file again.",
    )
