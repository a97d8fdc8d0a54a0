"""Evidence that a text came about as its run says: made again from the cached responses."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from ftm_core.checks.digests import digest
from ftm_core.contracts.errors import LlmRequestError
from ftm_core.contracts.settings import LlmSettings
from ftm_core.data.finished import FinishedQuarter
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.candidates import clean_sentence
from ftm_core.llm.item_texts import (
    THEME_FIELDS,
    TOPIC_FIELDS,
    topic_text,
    written_fields,
    written_title,
)
from ftm_core.llm.messages import Answer, Parameters, Prompt, content_hash
from ftm_core.row_code import row_code_version

_Result = TypeVar("_Result")
_SPACE = re.compile(r"\s")


class AnswerEvidence:
    """The cached responses of a quarter, and what was said in it.

    With the code that made the rows, each summary is made again from the responses: one to another
    topic is no evidence. A run of other code can only be matched by text. Themes are matched by
    text as well: what is written by a response, what is selected by the words of the calls.
    """

    def __init__(self, quarter: FinishedQuarter, answers: AnswerStore) -> None:
        recorded = quarter.settings["llm"]
        known = {name: recorded[name] for name in LlmSettings.model_fields if name in recorded}
        self._llm = LlmSettings.model_validate(known)
        self._code = str(quarter.identity.inputs.get("code_version", ""))
        self._answers = answers
        self._written: set[int] = set()
        self._spoken: list[str] = []
        # Of each sentence only Python's hash of 64 bits, so that a quarter's fit into memory.
        self._sentences: set[int] = set()
        # Summaries by the present code are made again, so none has to be found by its text.
        if self._code != row_code_version():
            for answer in self._answers.answers("summary"):
                if fields := written_fields(answer, TOPIC_FIELDS):
                    self._written.add(digest([fields["summary"], answer.model]))
        # Most responses are summaries, which need not be parsed for the fields of a theme.
        for answer in self._answers.answers("description"):
            if fields := written_fields(answer, THEME_FIELDS):
                title = written_title(fields["title"])
                parts = ([title, fields["description"]], [title], [fields["description"]])
                self._written.update(map(digest, parts))

    def add_spoken(self, texts: Sequence[str]) -> None:
        """Take in sentences of the quarter, which selected texts must come from."""
        lines = [clean_sentence(text).lower() for text in texts]
        self._spoken.append("\n".join(lines))
        self._sentences.update(hash(line.rstrip(" .")) for line in lines)

    def fault_of_summary(self, topic: Mapping[str, Any], texts: Sequence[str]) -> str | None:
        """What is wrong with how a topic's summary came about, or None.

        ``topic`` is a row of firm-topics, ``texts`` are its leading sentences as spoken.
        """
        summary = topic["summary"]
        if topic["prompt_version"] != self._code:
            return f"is of code {topic['prompt_version']}, the run of {self._code}"
        if self._code != row_code_version():
            written = digest([summary, topic["llm_model"]]) in self._written
            known = written or summary in map(clean_sentence, texts)
            return None if known else f"is no cached response of {topic['llm_model']}"
        try:
            made = _result_of(
                topic_text(
                    topic["keywords"],
                    texts,
                    self._find,
                    mode=self._llm.resolved_answer_mode,
                    max_tokens=self._llm.summary_max_tokens,
                )
            )
        except LlmRequestError as error:
            return f"cannot be made again: {error.sentence}"
        if made.summary != summary:
            return f"differs from its cached response {made.summary[:60]!r}"
        if made.mode != topic["summary_mode"]:
            return f"says mode {topic['summary_mode']}, it came from {made.mode}"
        if made.model != topic["llm_model"]:
            return f"names model {topic['llm_model']}, its response came from {made.model}"
        return None

    def fault_of_theme(self, name: str, description: str) -> str | None:
        """What is wrong with how a theme's title and description came about, or None."""
        if digest([name, description]) in self._written:
            return None
        said = bool(name.strip()) and any(name.lower() in spoken for spoken in self._spoken)
        was_said = self._is_spoken(description.lower())
        if not said and not (was_said and digest([name]) in self._written):
            return f"no response gave the title {name[:60]!r}, and no sentence holds it"
        if not was_said and digest([description]) not in self._written:
            return f"no response gave the description {description[:60]!r}, nor was it said"
        return None

    def _is_spoken(self, text: str) -> bool:
        """Whether a text is made of whole sentences that were said, one after another."""
        # Sentences end before a space. From each place that whole sentences lead up to, every
        # sentence that begins there leads to a further one.
        ends = [match.start() for match in _SPACE.finditer(text)] + [len(text)]
        reached = {0}
        for start in [0, *(end + 1 for end in ends[:-1])]:
            if start in reached:
                reached.update(
                    end + 1
                    for end in ends
                    if end >= start and self._is_sentence(text[start:end].rstrip(" ."))
                )
        return len(text) + 1 in reached

    def _is_sentence(self, text: str) -> bool:
        return not text or hash(text) in self._sentences

    async def _find(self, prompt: Prompt, max_tokens: int) -> Answer:
        parameters = Parameters(max_tokens=max_tokens)
        asked = content_hash(prompt, model=self._llm.model_name, parameters=parameters)
        answer = self._answers.find(asked)
        if answer is None:
            model = self._llm.model_name
            raise LlmRequestError(
                "The cache", f"has no response of {model}", "Run the quarter again."
            )
        return answer


def _result_of(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: _Result = done.value
        return result
    raise RuntimeError("looking up cached responses must not wait")
