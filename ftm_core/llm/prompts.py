"""The prompts, apart from any call: pure functions from sentences to messages, and back to texts.

Fixed text comes first and the item's own sentences last, so that a server's prefix cache holds the
fixed part. Grounding is judged on exactly the sentences that ``shown`` gives. The wording was
chosen by `python -m bench.llm_prompts`; bench/results/llm-prompts.md has the comparison.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache

from ftm_core.llm.messages import Answer, Prompt

# Sentences shown for one topic, and for one theme: enough to carry it, short enough for a small
# server. Longer sentences are cut between words.
SUMMARY_SENTENCES = 5
THEME_SENTENCES = 8
SENTENCE_CHARACTERS = 320
SUMMARY_KEYWORDS = 4
THEME_KEYWORDS = 6
# A choice shows less of each sentence and of the subject: it is asked for often, of small models on
# few cores, and takes them as long as its prompt is.
CHOICE_CHARACTERS = 200
CHOICE_KEYWORDS = 2
# A number is a token or two. A server without structured output may add words: asked once more.
CHOICE_MAX_TOKENS = (2, 16)

_RULES = (
    "Use only what the sentences say. Copy numbers and names exactly as they are there, or leave "
    "them out. Do not add causes, comparisons or judgments."
)
_SUMMARY_SYSTEM = (
    "You summarize earnings calls. Write one sentence of at most 30 words that says what the "
    f'company reports. {_RULES} Reply with JSON: {{"summary": "..."}}'
)
_THEME_SYSTEM = (
    "Several companies said these sentences in their earnings calls. Write a title: a noun phrase "
    "of two to five words for the subject that most of the sentences share, as specific as they "
    "allow, without a company, a number, or a direction such as growth or decline. Then write a "
    "description of two short sentences that says what the companies report on it. "
    f'{_RULES} Name no company. Reply with JSON: {{"title": "...", "description": "..."}}'
)
_SENTENCE_CHOICE_SYSTEM = (
    "Choose the sentence that says best what the company reports on the subject. Answer with its "
    "number."
)
_PHRASE_CHOICE_SYSTEM = (
    "Choose the phrase that names best what the sentences are about. Answer with its number."
)


def shown(sentences: Sequence[str], limit: int, characters: int = SENTENCE_CHARACTERS) -> list[str]:
    """The sentences as a prompt shows them: the first ``limit``, each cut to its longest length."""
    return [cut(text, characters) for text in sentences[:limit]]


def summary_prompt(keywords: Sequence[str], sentences: Sequence[str]) -> Prompt:
    """Ask for the summary of one topic, from its most representative sentences as spoken.

    The firm is not named: the summary must stand on the sentences alone.
    """
    subject = ", ".join(keywords[:SUMMARY_KEYWORDS])
    user = f"{_listed(shown(sentences, SUMMARY_SENTENCES))}\n\nSubject: {subject}"
    return Prompt(_SUMMARY_SYSTEM, user, _schema("summary"))


def theme_prompt(keywords: Sequence[str], sentences: Sequence[str]) -> Prompt:
    """Ask for the title and the description of one theme, from sentences of several firms."""
    words = ", ".join(keywords[:THEME_KEYWORDS])
    user = f"{_listed(shown(sentences, THEME_SENTENCES))}\n\nKeywords: {words}"
    return Prompt(_THEME_SYSTEM, user, _schema("title", "description"))


def correction_prompt(asked: Prompt, answer: str, problems: Sequence[str]) -> Prompt:
    """Ask once more, with what is wrong with the first answer."""
    listed = "\n".join(f"- {problem}" for problem in problems)
    user = f"{asked.user}\n\nThis answer is wrong: {cut(answer, 400)}\n{listed}\nWrite it again."
    return Prompt(asked.system, user, asked.schema)


def sentence_choice_prompt(keywords: Sequence[str], candidates: Sequence[str]) -> Prompt:
    """Ask which of a topic's sentences says it best; the answer is a number from 1."""
    subject = ", ".join(keywords[:CHOICE_KEYWORDS])
    offered = shown(candidates, len(candidates), CHOICE_CHARACTERS)
    user = f"Subject: {subject}\n\n{_numbered(offered)}\n\nNumber:"
    return Prompt(_SENTENCE_CHOICE_SYSTEM, user, _choice_schema(len(candidates)))


def phrase_choice_prompt(sentences: Sequence[str], candidates: Sequence[str]) -> Prompt:
    """Ask which of a theme's phrases names it best; the answer is a number from 1."""
    spoken = shown(sentences, len(sentences), CHOICE_CHARACTERS)
    user = f"{_listed(spoken)}\n\nPhrases:\n{_numbered(candidates)}\n\nNumber:"
    return Prompt(_PHRASE_CHOICE_SYSTEM, user, _choice_schema(len(candidates)))


def choice_of(answer: Answer, n_candidates: int) -> int | None:
    """The index (from 0) of the candidate that an answer chooses, or None when it chooses none."""
    found = re.search(r"\d+", answer.text)
    number = int(found.group()) if found and len(found.group()) < 4 else 0
    return number - 1 if 1 <= number <= n_candidates else None


def fields_of(answer: Answer, *names: str) -> dict[str, str] | None:
    """The named texts of a JSON answer, cleaned; None when one of them is missing or empty.

    Text around the object is skipped. Of an answer that ran into its token limit the last text
    ends at its last whole sentence.
    """
    start = answer.text.find("{")
    if start < 0:
        return None
    values: dict[str, str] = {}
    try:
        parsed, _ = json.JSONDecoder(strict=False).raw_decode(answer.text, start)
        values = {name: str(value) for name, value in parsed.items() if isinstance(value, str)}
    except ValueError:
        if answer.finish_reason != "length":
            return None
        # Cut short within a text: what came before its end is whole.
        for name, text in re.findall(
            r'"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)(?:"|\\?$)', answer.text[start:], re.DOTALL
        ):
            values[name] = _unescaped(text)
    texts = {name: clean_prose(values.get(name, "")) for name in names}
    if answer.finish_reason == "length":
        texts[names[-1]] = whole_sentences(texts[names[-1]])
    return texts if all(texts.values()) else None


_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_HEADING = re.compile(r"^\s*#{1,6}\s")
_TABLE_OR_FENCE = re.compile(r"^\s*(?:\||```|[-=|: ]{3,}$)")
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


def clean_prose(text: str) -> str:
    """One paragraph of plain prose: headings, tables, list marks, bold marks and quotes removed."""
    lines = [line for line in text.splitlines() if line.strip()]
    plain = [line for line in lines if not _HEADING.match(line) and not _TABLE_OR_FENCE.match(line)]
    if not plain:
        plain = [re.sub(r"^[\s#|`]+", "", line) for line in lines]
    joined = " ".join(_LIST_MARK.sub("", line).strip() for line in plain)
    joined = joined.replace("**", "").replace("__", "").replace("`", "")
    joined = re.sub(r"\s+", " ", joined).strip()
    if re.fullmatch(r'["“][^"“”]*["”]', joined):
        joined = joined[1:-1].strip()
    return joined


def whole_sentences(text: str) -> str:
    """The text up to its last whole sentence; "" when it has none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if ends and re.search(r"\d\.$", text):
        # "3." may be the first half of "3.5".
        del ends[-1]
    return text[: ends[-1]] if ends else ""


def is_prose(text: str) -> bool:
    """Whether a text reads as a sentence rather than a word or a list of keywords."""
    words = re.findall(r"[^\W\d_]+", text)
    separators = text.count(",") + text.count(";") + text.count("|")
    return len(words) >= 4 and separators < len(words) / 2


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters, cut between words, the cut shown by an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _listed(texts: Sequence[str]) -> str:
    return "Sentences:\n" + "\n".join(f"- {text}" for text in texts)


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))


@cache
def _schema(*names: str) -> str:
    return _json(
        {
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "required": list(names),
            "additionalProperties": False,
        }
    )


@cache
def _choice_schema(n_candidates: int) -> str:
    return _json({"type": "integer", "enum": list(range(1, n_candidates + 1))})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
