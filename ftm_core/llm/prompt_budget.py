"""How a prompt is cut to the model's context, before it is sent and once more if refused.

The rule: system text is never cut. The user text is blocks with a blank line between them; the
longest block loses whole lines from its end, because the most distinctive lines stand first and the
closing instruction is a short block of its own. A block down to two lines (a heading and one
line) loses words from its end. This repeats, longest block first, until the text fits.
"""

from __future__ import annotations

import math

from ftm_core.contracts.errors import LlmRequestError
from ftm_core.llm.messages import Prompt

# English prose has more than four bytes to a token; calls are full of numbers, which have fewer.
BYTES_PER_TOKEN = 3
# Room for what a chat template puts around the messages.
TEMPLATE_TOKENS = 64
# What is kept of a refused prompt when nothing is known of its length and of the context's.
_BLIND_SHARE = 0.5
_MARGIN = 0.9


def estimate_tokens(text: str) -> int:
    """An estimate of a text's tokens, on the high side for English, without its tokenizer."""
    return math.ceil(_size(text) / BYTES_PER_TOKEN)


def fit(prompt: Prompt, *, context_length: int, max_tokens: int) -> Prompt:
    """The prompt, cut by the module's rule so that it and its answer fit the context (tokens).

    A prompt that fits comes back unchanged. Raises LlmRequestError when nothing of the user text
    would be left.
    """
    room = context_length - max_tokens - TEMPLATE_TOKENS
    return _cut_to(prompt, room * BYTES_PER_TOKEN)


def shorten(
    prompt: Prompt, *, prompt_tokens: int | None, context_length: int | None, max_tokens: int
) -> Prompt:
    """The prompt, cut by the module's rule after the server refused it as too long.

    What is kept is what the server's own counts (tokens) call for, less a tenth. Where it does not
    count the prompt, it is as many bytes as there is room for tokens, since no token is shorter
    than a byte; half of the prompt where the context is unknown, too. Raises LlmRequestError when
    nothing of the user text would be left.
    """
    size = _size(prompt.system) + _size(prompt.user)
    room = max(0, (context_length or 0) - max_tokens)
    if prompt_tokens and context_length:
        kept = _MARGIN * min(1.0, room / prompt_tokens) * size
    elif context_length:
        kept = min(_MARGIN * size, room - TEMPLATE_TOKENS)
    else:
        kept = _BLIND_SHARE * size
    return _cut_to(prompt, int(kept))


def _cut_to(prompt: Prompt, size: int) -> Prompt:
    """Cut the user text until both texts together have at most ``size`` bytes."""
    room = size - _size(prompt.system)
    if _size(prompt.user) <= room:
        return prompt
    blocks = prompt.user.split("\n\n")
    while blocks and (excess := _size("\n\n".join(blocks)) - room) > 0:
        longest = max(range(len(blocks)), key=lambda index: _size(blocks[index]))
        blocks[longest] = _cut_block(blocks[longest], excess)
        if not blocks[longest]:
            del blocks[longest]
    user = "\n\n".join(blocks)
    if not user.strip():
        raise LlmRequestError(
            "The prompt",
            "does not fit the model's context: its fixed text and the answer fill it",
            "Lower LLM_SUMMARY_MAX_TOKENS and LLM_THEME_MAX_TOKENS, or serve a longer context.",
        )
    return Prompt(prompt.system, user, prompt.schema)


def _cut_block(block: str, excess: int) -> str:
    lines = block.split("\n")
    while len(lines) > 2 and excess > 0:
        excess -= _size(lines.pop()) + 1
    text = "\n".join(lines)
    if excess <= 0:
        return text
    # Bytes may be more than characters: what is still too long is cut on the next turn.
    characters = len(text) - max(1, math.ceil(excess / 4) if not text.isascii() else excess)
    kept = text[: max(0, characters)].rsplit(None, 1)
    return kept[0] if len(kept) == 2 else ""


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
