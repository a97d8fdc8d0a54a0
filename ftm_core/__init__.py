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

    from ftm_core.data.quarter_store import QuarterStore

__version__ = "0.2.0"
__all__ = ["open_quarter"]


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
    from ftm_core.storage import open_storage

    def client() -> S3Client:
        if s3_client is not None:
            return s3_client
        from ftm_core.storage.s3 import default_client

        return default_client()

    return QuarterStore(open_storage(str(location), s3_client=client), Quarter.parse(quarter))
