"""Ask the LLM for each theme's description and title, all themes side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.events import Listener, StageAdvanced
from ftm_core.contracts.records import Failure, utc_now
from ftm_core.llm import prompts, titles
from ftm_core.llm.client import LlmClient

STAGE = "describe themes"
TITLE_MAX_TOKENS = 24
LONGEST_TITLE = 90


@dataclass(frozen=True)
class DescribedTheme:
    """A theme's title and description, as the LLM gave them."""

    name: str
    description: str


async def describe_themes(
    themes: Sequence[tuple[str, tuple[str, ...], list[str]]],
    client: LlmClient,
    *,
    max_tokens: int,
    listener: Listener,
) -> list[DescribedTheme | Failure]:
    """Describe themes given as (theme_id, keywords, summaries most central first).

    Answers are kept by the client's store as they come, so an interrupted call repeats nothing.
    """

    async def one(
        theme_id: str, keywords: tuple[str, ...], summaries: list[str]
    ) -> DescribedTheme | Failure:
        try:
            described = await _describe(theme_id, keywords, summaries, client, max_tokens)
        except LlmRequestError as error:
            return Failure(
                firm_id="",
                error_type=type(error).__name__,
                error_message=str(error),
                attempts=1,
                timestamp=utc_now(),
                topic_id=theme_id,
            )
        listener(StageAdvanced(STAGE))
        return described

    return list(await asyncio.gather(*(one(*theme) for theme in themes)))


async def _describe(
    theme_id: str,
    keywords: tuple[str, ...],
    summaries: list[str],
    client: LlmClient,
    max_tokens: int,
) -> DescribedTheme:
    prompt = prompts.theme_description_prompt(keywords, summaries)
    answer = await client.complete(prompt, max_tokens=max_tokens)
    description = prompts.prose_of(answer)
    if not prompts.is_prose(description):
        raise _unusable(theme_id, "description", answer.text)
    name = await _title(theme_id, description, keywords, summaries, client)
    return DescribedTheme(name, description)


async def _title(
    theme_id: str,
    description: str,
    keywords: tuple[str, ...],
    summaries: list[str],
    client: LlmClient,
) -> str:
    """The first good title, or else the one of the best score, the first of equals."""
    judge = titles.Judge(keywords, summaries[: prompts.THEME_SUMMARIES])
    usable = []
    for prompt in titles.theme_title_prompts(description, keywords):
        answer = await client.complete(prompt, max_tokens=TITLE_MAX_TOKENS)
        title = titles.clean_title(answer.text)
        if not title or len(title) > LONGEST_TITLE:
            continue
        if judge.is_good(title):
            return title
        usable.append(title)
    if not usable:
        raise _unusable(theme_id, "title", answer.text)
    return max(usable, key=judge.score)


def _unusable(theme_id: str, what: str, text: str) -> LlmRequestError:
    return LlmRequestError(
        f"theme {theme_id}",
        f"the answer is not a {what} ({text[:80]!r})",
        "Run the same command again, or use a stronger model.",
    )
