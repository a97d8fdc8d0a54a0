"""What counts as a word wherever text is cut into words: topics, coherence, themes over time."""

from __future__ import annotations

# Two letters or more, hyphens inside them; numbers carry no topic.
WORD_PATTERN = r"(?u)\b[^\W\d_][\w-]*[^\W_]\b"
