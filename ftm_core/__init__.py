"""Find what earnings calls talk about: transcripts in, firm topics and cross-firm themes out.

>>> import ftm_core
>>> quarter = ftm_core.open_quarter("data", "2023Q1")  # doctest: +SKIP
>>> quarter.themes()  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ftm_core.data.panel import Panel
    from ftm_core.data.quarter_store import QuarterStore
    from ftm_core.storage import Storage

__version__ = "0.2.0"
__all__ = ["open_panel", "open_quarter"]


def open_quarter(
    location: str | Path, quarter: str, *, s3_client: S3Client | None = None
) -> QuarterStore:
    """Open a quarter in a data folder or bucket: ``open_quarter("s3://bucket", "2023Q1")``.

    A bucket is read with ``s3_client``, or with boto3's own credentials when it is left out.
    Nothing is read yet. Raises InputError for a malformed location or quarter.
    """
    # Imported here: `import ftm_core` alone must stay fast and need no optional package.
    from ftm_core.contracts.quarters import Quarter
    from ftm_core.data.quarter_store import QuarterStore

    return QuarterStore(_open(location, s3_client), Quarter.parse(quarter))


def open_panel(
    location: str | Path,
    quarters: str | None = None,
    *,
    rebuild: bool = False,
    save: bool = True,
    s3_client: S3Client | None = None,
) -> Panel:
    """Open many quarters with one identity of each theme: ``open_panel("data", "2016Q3..2017Q1")``.

    ``quarters`` is a range or a list with commas; all finished quarters when left out. Of a range,
    the finished ones are taken. A quarter that the panel does not know yet is added to it; with
    ``save`` that is kept in the data location, so that the IDs stay. ``rebuild`` starts the panel
    over. Raises InputError when no quarter, or a quarter of a list, is finished.
    """
    from ftm_core.contracts.errors import InputError
    from ftm_core.contracts.quarters import parse_quarters
    from ftm_core.data.listing import quarters_with_themes
    from ftm_core.data.panel import extend_panel

    storage = _open(location, s3_client)
    finished = quarters_with_themes(storage)
    chosen, is_range = (finished, True) if quarters is None else parse_quarters(quarters)
    if is_range:
        chosen = [quarter for quarter in chosen if quarter in set(finished)]
    if not chosen:
        raise InputError(
            f"The panel of {quarters or 'all quarters'} in {storage.uri}",
            "has no finished quarter",
            "Run the quarters first: `ftm run --quarters FIRST..LAST`.",
        )
    return extend_panel(storage, chosen, rebuild=rebuild, save=save)


def _open(location: str | Path, s3_client: S3Client | None) -> Storage:
    from ftm_core.storage import open_storage

    def client() -> S3Client:
        if s3_client is not None:
            return s3_client
        from ftm_core.storage.s3 import default_client

        return default_client()

    return open_storage(str(location), s3_client=client)
