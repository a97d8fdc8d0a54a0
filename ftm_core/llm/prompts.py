"""The prompts, apart from any call: pure functions from topics and themes to messages.

Fixed text comes first and the topic's own text last, so that a server's prefix cache holds the
fixed part. Change PROMPT_VERSION with any change of wording: it is part of a run's fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ftm_core.llm.messages import Answer, Prompt

PROMPT_VERSION = "3"

_SUMMARY_SYSTEM = (
    "You summarise earnings calls. Reply with one plain sentence of at most 30 words that says "
    "what the company reports about the topic. Use only what the text says."
)
_THEME_SYSTEM = (
    "You describe themes that many companies discuss in earnings calls. You are given short "
    "summaries from different companies that belong to one theme. Reply with two or three plain "
    "sentences that say what the theme is about and what the companies have in common. Use only "
    "what the summaries say, and name no company."
)

# Sentences shown per topic: enough to carry it, short enough for a small server.
SUMMARY_SENTENCES = 4
SENTENCE_CHARACTERS = 240
SUMMARY_KEYWORDS = 5
THEME_SUMMARIES = 8
SUMMARY_CHARACTERS = 280


def topic_summary_prompts(keywords: Sequence[str], sentences: Sequence[str]) -> tuple[Prompt, ...]:
    """Ask for the summary of one topic, from its most representative sentences as spoken.

    The prompts are to be tried in turn until one is answered by a sentence about the company: a
    small model now and then echoes its instructions, or speaks of them, and worded otherwise it
    does not. The firm is not named: a name in every summary of a firm would pull its topics
    together when themes are sought.
    """
    shown = [cut(text, SENTENCE_CHARACTERS) for text in sentences[:SUMMARY_SENTENCES]]
    topic = ", ".join(keywords[:SUMMARY_KEYWORDS])
    return (
        Prompt(
            _SUMMARY_SYSTEM,
            f"Text: {' '.join(shown)}\n\nTopic: {topic}\nOne sentence:",
            PROMPT_VERSION,
        ),
        Prompt(
            _SUMMARY_SYSTEM,
            f"{' '.join(shown)}\n\nSay in one sentence what the company reports here.",
            PROMPT_VERSION,
        ),
        Prompt(
            _SUMMARY_SYSTEM,
            f"What does this sentence from an earnings call say? {' '.join(shown[:1])}",
            PROMPT_VERSION,
        ),
    )


def careful_summary_prompt(sentences: Sequence[str]) -> Prompt:
    """Ask once more for a summary, when the first holds a number or name that no sentence does."""
    shown = [cut(text, SENTENCE_CHARACTERS) for text in sentences[:SUMMARY_SENTENCES]]
    user = f"{' '.join(shown)}\n\nSay in one sentence, without numbers or names, "
    return Prompt(_SUMMARY_SYSTEM, user + "what the company reports here.", PROMPT_VERSION)


def theme_description_prompt(keywords: Sequence[str], summaries: Sequence[str]) -> Prompt:
    """Ask for the description of a theme; the number and length of summaries are bounded."""
    shown = [cut(text, SUMMARY_CHARACTERS) for text in summaries[:THEME_SUMMARIES]]
    user = "Summaries:\n" + "\n".join(f"- {text}" for text in shown)
    user += f"\n\nKeywords: {', '.join(keywords)}\nWhat is this theme about?"
    return Prompt(_THEME_SYSTEM, user, PROMPT_VERSION)


LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
LABEL = re.compile(
    r"^\s*(?:here (?:is|are) [^:\n]{0,60}:"
    r"|(?:summary|description|title|theme|topic|text|company|answer|one sentence)\s*:)\s*",
    re.IGNORECASE,
)
_OF_TASK = re.compile(
    r"(?:the|this|these|that)\s+(?:original\s+|given\s+)?"
    r"(?:answers?|headline|keywords?|paragraphs?|passage|question|sentences?|texts?|topics?)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


def clean_prose(text: str, *, cut_off: bool) -> str:
    """One paragraph of plain prose from an answer: list marks, labels and markup removed.

    An answer that ran into its token limit (``cut_off``) ends at its last whole sentence, or where
    it has none, before its last word: that may be half a word, or a number without its end.
    """
    lines = [LIST_MARK.sub("", line).strip() for line in text.splitlines()]
    joined = " ".join(line for line in lines if line).replace("**", "").replace("__", "")
    joined = LABEL.sub("", re.sub(r"\s+", " ", joined)).strip().strip('"“”').strip()
    if cut_off:
        ends = [match.end() for match in _SENTENCE_END.finditer(joined)]
        if ends and re.search(r"\d\.$", joined):
            del ends[-1]
        if ends:
            joined = joined[: ends[-1]]
        elif " " in joined:
            joined = joined.rsplit(" ", 1)[0]
    return joined


def prose_of(answer: Answer) -> str:
    """The prose of an answer, whether or not it ran into its token limit."""
    return clean_prose(answer.text, cut_off=answer.finish_reason == "length")


def is_prose(text: str) -> bool:
    """Whether a text reads as a sentence rather than a word or a list of keywords."""
    words = re.findall(r"[^\W\d_]+", text)
    if len(words) < 5:
        return False
    separators = text.count(",") + text.count(";") + text.count("|")
    return separators < len(words) / 2


def speaks_of_task(text: str) -> bool:
    """Whether a text begins with what was asked, as in "The sentence is a good example of"."""
    return _OF_TASK.match(text) is not None


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, cut between words, the cut shown by an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(",;:") + " …"
