"""Where transcripts come from: one module for each form of source."""

from ftm_core.transcripts.sources.base import Damage, Row, Source
from ftm_core.transcripts.sources.opening import open_source, sample_corpus

__all__ = ["Damage", "Row", "Source", "open_source", "sample_corpus"]
