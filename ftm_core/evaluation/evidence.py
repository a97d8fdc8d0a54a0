"""Evidence that the LLM wrote a text: the kept answer that it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftm_core.data.finished import FinishedQuarter
from ftm_core.evaluation.digests import digest
from ftm_core.llm import prompts, titles
from ftm_core.llm.answers import AnswerStore
from ftm_core.llm.messages import Parameters, content_hash


class Evidence:
    """The kept answers of a quarter, looked up by the question or by the text made of them.

    With the prompts that the run used, a summary's own question is asked of the store: an answer
    to another topic is no evidence. A run of an older prompt version can only be matched by text.
    """

    def __init__(self, quarter: FinishedQuarter) -> None:
        self._llm = quarter.settings["llm"]
        self._run_version = quarter.identity.inputs["prompt_version"]
        self._answers = AnswerStore.open(quarter.storage, quarter.quarter)
        self._prose: set[int] = set()
        self._titles: set[int] = set()
        self._prose_of_model: set[int] = set()
        for answer in self._answers.answers():
            text = prompts.prose_of(answer)
            self._prose.add(digest([text]))
            self._prose_of_model.add(digest([text, answer.model]))
            self._titles.add(digest([titles.clean_title(answer.text)]))

    def fault_of_summary(self, topic: Mapping[str, Any], texts: Sequence[str]) -> str | None:
        """What speaks against a topic's summary, or None.

        ``topic`` is a row of firm-topics, ``texts`` are its first sentences as spoken.
        """
        if topic["prompt_version"] != self._run_version:
            return f"is of prompt version {topic['prompt_version']}, the run of {self._run_version}"
        if self._run_version != prompts.PROMPT_VERSION:
            known = digest([topic["summary"], topic["llm_model"]]) in self._prose_of_model
            return None if known else f"is no kept answer of {topic['llm_model']}"
        parameters = Parameters(max_tokens=self._llm["summary_max_tokens"], seed=self._llm["seed"])
        fault = f"has no kept answer of {self._llm['model_name']} to its prompts"
        for prompt in (
            *prompts.topic_summary_prompts(topic["keywords"], texts),
            prompts.careful_summary_prompt(texts),
        ):
            asked = content_hash(prompt, model=self._llm["model_name"], parameters=parameters)
            answer = self._answers.find(asked)
            if answer is None:
                continue
            if prompts.prose_of(answer) != topic["summary"]:
                fault = f"differs from its kept answer {answer.text[:60]!r}"
            elif answer.model != topic["llm_model"]:
                return f"names model {topic['llm_model']}, its answer came from {answer.model}"
            else:
                return None
        return fault

    def has_description(self, text: str) -> bool:
        """Whether a theme's description is the cleaned text of a kept answer."""
        return digest([text]) in self._prose

    def has_title(self, text: str) -> bool:
        """Whether a theme's name is the cleaned title in a kept answer."""
        return digest([text]) in self._titles
