"""How one topic and one theme become text: written by the LLM, or selected from what was said.

``write``: the LLM writes, and what it writes must stand on the sentences that it was shown. An
answer with numbers or names that they lack is asked for once more, with those named; what still has
them is selected instead. ``select``: the LLM chooses a number, and the text is verbatim.

Both are pure given ``ask``: `ftm evaluate` makes the same texts again from the cached responses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.settings import AnswerMode
from ftm_core.llm import candidates, prompts
from ftm_core.llm.messages import Answer, Prompt
from ftm_core.text.grounding import SourceVocabulary
from ftm_core.text.sentences import split
from ftm_core.text.stems import stem
from ftm_core.text.tokens import WORD

# Asks one prompt for an answer of at most so many tokens.
Ask = Callable[[Prompt, int], Awaitable[Answer]]
# What speaks against a text that was written.
_Check = Callable[[str], list[str]]

LONGEST_TITLE = 8
_LONGEST_SUMMARY = 60
# Fields of a written answer with the sentences kept of each: a small model makes its point first
# and then goes round in circles.
TOPIC_FIELDS = {"summary": 2}
THEME_FIELDS = {"title": 1, "description": 3}


@dataclass(frozen=True)
class TopicText:
    """A topic's summary, the mode that it came from, and the model that answered."""

    summary: str
    mode: AnswerMode
    model: str


@dataclass(frozen=True)
class ThemeText:
    """A theme's title and description; the mode is ``write`` where both were written."""

    name: str
    description: str
    mode: AnswerMode


async def topic_text(
    keywords: Sequence[str],
    sentences: Sequence[str],
    ask: Ask,
    *,
    mode: AnswerMode,
    max_tokens: int,
) -> TopicText:
    """The text of a topic from its most representative sentences, as spoken.

    Raises what ``ask`` raises, and LlmRequestError when the LLM chooses no candidate.
    """
    if mode == "write":
        sources = SourceVocabulary(prompts.shown(sentences, prompts.SUMMARY_SENTENCES))
        prompt = prompts.summary_prompt(keywords, sentences)

        def summary_problems(summary: str) -> list[str]:
            if not prompts.is_prose(summary) or len(summary.split()) > _LONGEST_SUMMARY:
                return ["The summary must be one sentence."]
            return _unsupported(sources.ungrounded(summary))

        check = {"summary": summary_problems}
        written, answer = await _written(prompt, TOPIC_FIELDS, check, ask, max_tokens)
        if summary := written.get("summary"):
            return TopicText(summary, "write", answer.model)
    offered = candidates.sentence_candidates(sentences, keywords)
    chosen, answer = await _chosen(prompts.sentence_choice_prompt(keywords, offered), offered, ask)
    return TopicText(chosen, "select", answer.model)


async def theme_text(
    keywords: Sequence[str],
    sentences: Sequence[str],
    ask: Ask,
    *,
    mode: AnswerMode,
    max_tokens: int,
    taken: frozenset[str] = frozenset(),
) -> ThemeText:
    """The title and description of a theme from its leading sentences, each of another firm.

    ``taken`` are titles in lower case that other themes have; ``select`` offers none of them.
    Raises as ``topic_text`` does.
    """
    written: dict[str, str] = {}
    if mode == "write":
        sources = SourceVocabulary(prompts.shown(sentences, prompts.THEME_SENTENCES))

        def description_problems(description: str) -> list[str]:
            if not prompts.is_prose(description):
                return ["The description must be two sentences."]
            return _unsupported(sources.ungrounded(description))

        check: dict[str, _Check] = {
            "title": lambda title: title_problems(title, keywords, sources),
            "description": description_problems,
        }
        prompt = prompts.theme_prompt(keywords, sentences)
        written, _ = await _written(prompt, THEME_FIELDS, check, ask, max_tokens)
    leading = candidates.sentence_candidates(
        sentences, keywords, limit=candidates.DESCRIPTION_SENTENCES
    )
    description = written.get("description") or " ".join(map(_ended, leading))
    if "title" in written:
        title = written_title(written["title"])
    else:
        title = await _selected_title(keywords, sentences, leading, taken, ask)
    is_written = len(written) == len(THEME_FIELDS)
    return ThemeText(title, description, "write" if is_written else "select")


async def _selected_title(
    keywords: Sequence[str],
    sentences: Sequence[str],
    leading: Sequence[str],
    taken: frozenset[str],
    ask: Ask,
) -> str:
    # Sentences such as "That will help as well." hold no phrase: the theme's other ones gave its
    # keywords, which are phrases, too.
    phrases = candidates.phrase_candidates(sentences, keywords) or list(
        keywords[: candidates.PHRASE_CANDIDATES]
    )
    offered = [phrase for phrase in phrases if phrase.lower() not in taken] or phrases
    prompt = prompts.phrase_choice_prompt(leading, offered)
    phrase, _ = await _chosen(prompt, offered, ask)
    return candidates.title_of(phrase)


def written_fields(answer: Answer, fields: Mapping[str, int]) -> dict[str, str] | None:
    """The fields of a written answer as they are kept; None where it lacks one.

    ``fields`` says how many sentences of each are kept: the first ones that differ.
    """
    found = prompts.fields_of(answer, *fields)
    return found and {
        name: " ".join(list(dict.fromkeys(split(text)))[: fields[name]])
        for name, text in found.items()
    }


def written_title(text: str) -> str:
    """The title of a written answer as a theme bears it."""
    return candidates.title_of(text.rstrip(".:;, "))


def title_problems(title: str, keywords: Sequence[str], sources: SourceVocabulary) -> list[str]:
    """What speaks against a title: its length, no word of the theme's, a number or name of its own.

    In A Title Written Like This capitals mean nothing, so only acronyms count as names there.
    """
    words = WORD.findall(title)
    found = []
    if not 1 <= len(words) <= LONGEST_TITLE:
        found.append(f"The title must have two to {LONGEST_TITLE} words.")
    stems = {stem(word) for word in words}
    if not stems & {stem(part) for keyword in keywords for part in keyword.split()}:
        found.append(f"The title must name the subject: {', '.join(keywords[:3])}.")
    capitals = sum(word[0].isupper() for word in words[1:])
    n_meaningless = len(words) if capitals > len(words[1:]) / 2 else 1
    for place, word in enumerate(words[:n_meaningless]):
        words[place] = word if word[1:].lower() != word[1:] else word.lower()
    return found + _unsupported(sources.ungrounded(f"about {' '.join(words)}"))


async def _written(
    prompt: Prompt,
    names: Mapping[str, int],
    check: Mapping[str, _Check],
    ask: Ask,
    max_tokens: int,
) -> tuple[dict[str, str], Answer]:
    """The fields without a problem of the better of two answers, and the last answer asked for."""
    asked, kept = prompt, dict[str, str]()
    for attempt in (1, 2):
        answer = await ask(asked, max_tokens)
        fields = written_fields(answer, names) or {}
        wrong = {name: found for name, text in fields.items() if (found := check[name](text))}
        good = {name: text for name, text in fields.items() if name not in wrong}
        kept = good if len(good) >= len(kept) else kept
        if len(good) == len(names):
            break
        if attempt == 1:
            found = list(chain(*wrong.values())) or ["It is not the JSON asked for."]
            asked = prompts.correction_prompt(prompt, answer.text, found)
    return kept, answer


async def _chosen(prompt: Prompt, offered: Sequence[str], ask: Ask) -> tuple[str, Answer]:
    for max_tokens in prompts.CHOICE_MAX_TOKENS:
        answer = await ask(prompt, max_tokens)
        index = prompts.choice_of(answer, len(offered))
        if index is not None:
            return offered[index], answer
    raise LlmRequestError(
        "The answer of the LLM",
        f"chooses none of the {len(offered)} candidates ({answer.text[:80]!r})",
        "Use a model that follows instructions, or a server with structured output.",
    )


def _unsupported(parts: Sequence[str]) -> list[str]:
    return [f"The sentences do not say {part!r}." for part in parts]


def _ended(sentence: str) -> str:
    return sentence if sentence[-1:] in ".!?…" else f"{sentence}."
