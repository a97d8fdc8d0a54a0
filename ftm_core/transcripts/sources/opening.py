"""Open the source that a path names, by what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.sources.base import Source
from ftm_core.transcripts.sources.csv_file import CsvSource
from ftm_core.transcripts.sources.jsonl_file import JsonLinesSource
from ftm_core.transcripts.sources.maec_folder import MaecFolderSource
from ftm_core.transcripts.sources.parquet_file import ParquetSource

_BY_SUFFIX: dict[str, Callable[[Path], Source]] = {
    ".csv": CsvSource,
    ".parquet": ParquetSource,
    ".pq": ParquetSource,
    ".jsonl": JsonLinesSource,
    ".ndjson": JsonLinesSource,
}
_SAMPLES = Path(__file__).parents[2] / "sample"


def open_source(path: Path) -> Source:
    """The source at ``path``; raises InputError when there is none, or of no known form."""
    if path.is_dir():
        return MaecFolderSource(path)
    if not path.exists():
        raise InputError(
            str(path), "does not exist", "Name a file, a folder, or `sample` for the sample corpus."
        )
    kind = _BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        raise InputError(
            str(path),
            "is of no known form",
            f"Give the file one of the endings {', '.join(_BY_SUFFIX)}, or name a folder.",
        )
    return kind(path)


def sample_corpus(quarter: Quarter) -> Path:
    """The sample corpus shipped for a quarter; raises InputError when there is none."""
    path = _SAMPLES / f"{quarter}.csv"
    if not path.is_file():
        shipped = sorted(item.stem for item in _SAMPLES.glob("*Q[1-4].csv"))
        raise InputError(
            f"sample {quarter}",
            "is not shipped",
            f"The sample corpus is of {', '.join(shipped) or 'no quarter'}.",
        )
    return path
