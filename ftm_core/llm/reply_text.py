"""The text of an answer, fit to be stored: no thinking, no control or half characters."""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad"
# <think>, <thinking>, <|thinking|>; [THINK] of Magistral; the lozenges of Kimi.
_OPEN = rf"(?:<\|?(?:{_NAMES})\b[^<>]{{0,40}}>|\[THINK\]|◁think▷)"
_CLOSE = rf"(?:<\|?/(?:{_NAMES})\b[^<>]{{0,40}}>|\[/THINK\]|◁/think▷)"
_BLOCK = re.compile(rf"{_OPEN}.*?{_CLOSE}", re.DOTALL | re.IGNORECASE)
_CLOSE_TAG = re.compile(_CLOSE, re.IGNORECASE)
_ANY_TAG = re.compile(rf"{_OPEN}|{_CLOSE}|<\|?/?(?:{_NAMES})\b", re.IGNORECASE)
# Harmony (gpt-oss): channels with their marks, or with the marks already dropped on the way.
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>|assistant\s*final", re.I)
_HARMONY = re.compile(r"<\|(?:channel|start|message)\|>")
_BARE_CHANNEL = re.compile(r"\s*(?:analysis|commentary)(?=[A-Z])|.*assistantfinal", re.DOTALL)
_SPECIAL = re.compile(r"<\|(?:end|return|call|im_end|eot_id|end_of_text|endoftext)\|>\s*$")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


class RefusedAnswerError(ValueError):
    """The body is a chat completion whose text must not be stored."""


def clean_characters(text: str) -> str:
    """The text without control characters and lone surrogates, which no table can hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text).encode("utf-8", "ignore").decode("utf-8")


def answer_text(content: str, *, finish_reason: str = "stop") -> str:
    """The answer less its thinking, cleaned; raises RefusedAnswerError when none is left.

    Templates that open the thinking themselves leave only the closing tag in the answer: all before
    it is thinking. An opening tag without a close means that the answer was never reached.
    """
    text = clean_characters(content)
    finals = list(_FINAL_CHANNEL.finditer(text)) if _is_harmony(text) else []
    if finals:
        text = text[finals[-1].end() :]
    elif _is_harmony(text):
        raise RefusedAnswerError(f"holds unfinished thinking (finish reason {finish_reason!r})")
    text = _BLOCK.sub("", _SPECIAL.sub("", text))
    if closings := list(_CLOSE_TAG.finditer(text)):
        text = text[closings[-1].end() :]
    if _ANY_TAG.search(text) or _HARMONY.search(text):
        raise RefusedAnswerError(f"holds unfinished thinking (finish reason {finish_reason!r})")
    text = text.strip()
    if not text:
        raise RefusedAnswerError(f"holds no text (finish reason {finish_reason!r})")
    return text


def _is_harmony(text: str) -> bool:
    return bool(_HARMONY.search(text) or _BARE_CHANNEL.match(text))
