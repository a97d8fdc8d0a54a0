"""Everything that the output rows of a run depend on."""

from __future__ import annotations

from typing import Any

from ftm_core.contracts.records import Manifest
from ftm_core.contracts.settings import Settings
from ftm_core.row_code import row_code_version


def run_inputs(manifest: Manifest, settings: Settings) -> dict[str, Any]:
    """The transcripts, settings and code that the rows depend on, as plain values."""
    return {
        "transcripts": [chunk.sha256 for chunk in manifest.chunks],
        "settings": settings.row_settings(),
        "code_version": row_code_version(),
    }
