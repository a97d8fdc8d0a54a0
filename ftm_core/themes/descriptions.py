"""Ask the LLM for each theme's title and description, all themes side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.events import Listener, StageAdvanced
from ftm_core.contracts.records import Failure, utc_now
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.client import LlmClient
from ftm_core.llm.item_texts import ThemeText, theme_text
from ftm_core.themes.theme_evidence import ThemeEvidence

STAGE = "describe themes"


async def describe_themes(
    themes: Sequence[ThemeEvidence],
    client: LlmClient,
    *,
    llm: LlmSettings,
    listener: Listener,
) -> list[ThemeText | Failure]:
    """The text of each theme, in order; a request that fails is the failure of that theme alone.

    Where two themes chose one title, the later is asked again without the titles of the others.
    Responses are cached as they come, so an interrupted call repeats nothing.
    """
    mode = llm.resolved_answer_mode

    async def one(theme: ThemeEvidence, taken: frozenset[str] = frozenset()) -> ThemeText | Failure:
        try:
            return await theme_text(
                theme.keywords,
                theme.sentences,
                client.ask,
                mode="select" if taken else mode,
                max_tokens=llm.theme_max_tokens,
                taken=taken,
            )
        except LlmRequestError as error:
            return Failure(
                firm_id="",
                error_type=type(error).__name__,
                error_message=str(error),
                attempts=1,
                timestamp=utc_now(),
                topic_id=theme.theme_id,
            )

    async def first(theme: ThemeEvidence) -> ThemeText | Failure:
        text = await one(theme)
        listener(StageAdvanced(STAGE))
        return text

    texts: list[ThemeText | Failure] = list(await asyncio.gather(*map(first, themes)))
    names: set[str] = set()
    for place, theme in enumerate(themes):
        text = texts[place]
        if isinstance(text, ThemeText) and text.mode == "select" and text.name.lower() in names:
            everywhere = {item.name.lower() for item in texts if isinstance(item, ThemeText)}
            text = await one(theme, frozenset(everywhere))
            texts[place] = text
        if isinstance(text, ThemeText):
            names.add(text.name.lower())
    return texts
