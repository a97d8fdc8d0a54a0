"""What a theme's name and description are based on: its keywords and its leading sentences."""

from __future__ import annotations

from dataclasses import dataclass

# Sentences offered for naming one theme, each of another firm.
LEADING_SENTENCES = 8


@dataclass(frozen=True)
class ThemeEvidence:
    """One theme as the naming step sees it.

    ``keywords`` are the most distinctive first. ``sentences`` holds at most LEADING_SENTENCES raw
    sentences, the most central first, each spoken by another firm.
    """

    theme_id: str
    keywords: tuple[str, ...]
    sentences: tuple[str, ...]
