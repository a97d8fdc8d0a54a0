"""Where transcripts come from: one module for each form of source."""

from ftm_core.transcripts.sources.base import Damage, Row, Skipped, Source
from ftm_core.transcripts.sources.opening import (
    OpenedSource,
    OpenOptions,
    open_source,
    sample_corpus,
)

__all__ = [
    "Damage",
    "OpenOptions",
    "OpenedSource",
    "Row",
    "Skipped",
    "Source",
    "open_source",
    "sample_corpus",
]
