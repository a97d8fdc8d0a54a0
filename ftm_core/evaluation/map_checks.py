"""Check the map output part by part, and keep what later tables are compared with."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftm_core.contracts import keys, schemas
from ftm_core.data.finished import FinishedQuarter
from ftm_core.evaluation.digests import FirmDigests, digest
from ftm_core.evaluation.evidence import Evidence
from ftm_core.evaluation.input_checks import SPOKEN_COLUMNS, CallKey, InputFacts
from ftm_core.evaluation.reader import CheckedReader
from ftm_core.evaluation.report import Check, Tally
from ftm_core.llm import prompts
from ftm_core.themes.tables import completed_firms
from ftm_core.topics.firm_model import LEADING_TEXTS

NAMED_BY_LLM = "llm"
SAMPLE_TOPICS = 10
SAMPLE_COLUMNS = ("firm_name", "topic_id", "representation", "summary")


@dataclass(frozen=True)
class TopicFact:
    """What other tables say of a topic must agree with this."""

    firm_id: str
    firm_name: str
    permno: int | None
    gvkey: str | None
    earnings_call_date: dt.date
    n_sentences: int
    summary: str
    spoken: int


@dataclass
class MapFacts:
    """The map output in a form that fits in memory: a fact a topic, a digest a firm."""

    topics: dict[str, TopicFact] = field(default_factory=dict)
    topic_rows: FirmDigests = field(default_factory=lambda: FirmDigests(schemas.TOPIC_COLUMNS))
    sentence_rows: FirmDigests = field(default_factory=lambda: FirmDigests(schemas.SENTENCES.names))
    spoken: FirmDigests = field(default_factory=lambda: FirmDigests(SPOKEN_COLUMNS))
    sentences: Counter[str] = field(default_factory=Counter)
    sentences_by_call: Counter[CallKey] = field(default_factory=Counter)
    topics_by_call: Counter[CallKey] = field(default_factory=Counter)
    samples: list[dict[str, Any]] = field(default_factory=list)


def spoken_digest(sentences: list[dict[str, Any]]) -> int:
    """Digest of a topic's sentences in their order, as the sentiment-ready table nests them."""
    return digest(
        (s["sentence_id"], s["text"], s["speaker_type"], s["position"]) for s in sentences
    )


class MapChecks:
    """Runs over all parts once."""

    def __init__(self, quarter: FinishedQuarter, reader: CheckedReader, evidence: Evidence) -> None:
        self.facts = MapFacts()
        self._quarter = quarter
        self._reader = reader
        self._evidence = evidence
        self._failed_topics = {failure.topic_id for failure in quarter.output.failures}
        topics = "topics"
        self._present = Tally("summary-present", "map", "Every topic has a summary", topics)
        self._prose = Tally(
            "summary-prose", "map", "Summaries are natural language, not keywords", topics
        )
        self._differs = Tally(
            "summary-not-keywords", "map", "Summaries differ from the representation", topics
        )
        self._method = Tally("naming-method", "map", 'naming_method is "llm"', topics)
        self._answers = Tally(
            "llm-answers", "map", "Summaries are cached responses of the recorded model", topics
        )
        self._ids = Tally("topic-ids", "map", "Topic ids are made as agreed", topics)
        self._unique = Tally("topic-unique", "map", "No (firm, topic) occurs twice", topics)
        self._members = Tally(
            "topic-sentences", "map", "Topics and their sentences refer to each other", topics
        )

    def run(self, given: InputFacts) -> list[Check]:
        """Read every part and return the checks of the map."""
        for topic_key, sentence_key in zip(
            self._quarter.output.topic_keys(), self._quarter.output.sentence_keys(), strict=True
        ):
            self._check_part(
                self._reader.read(topic_key, schemas.FIRM_TOPICS).to_pylist(),
                self._reader.read(sentence_key, schemas.SENTENCES).to_pylist(),
            )
        return [
            self._part_files(),
            self._any_topic(),
            *(tally.check() for tally in (
                self._present, self._prose, self._differs, self._method, self._answers,
                self._ids, self._unique, self._members,
            )),
            self._as_ingested(given),
        ]  # fmt: skip

    def _check_part(self, topics: list[dict[str, Any]], sentences: list[dict[str, Any]]) -> None:
        self._evidence.add_spoken([row["raw_text"] for row in sentences])
        by_id: dict[str, dict[str, Any]] = {}
        unclaimed: set[tuple[str, int]] = set()
        for row in sentences:
            self.facts.sentence_rows.add(row)
            self.facts.spoken.add(row)
            self.facts.sentences[row["firm_id"]] += 1
            self.facts.sentences_by_call[row["firm_id"], row["earnings_call_date"]] += 1
            by_id[row["sentence_id"]] = row
            if row["local_topic_id"] >= 0:
                unclaimed.add((row["firm_id"], row["local_topic_id"]))
        counts = Counter((row["firm_id"], row["local_topic_id"]) for row in sentences)
        for topic in topics:
            members = [by_id[name] for name in topic["sentence_ids"] if name in by_id]
            self._check_text(topic, members)
            self._check_identity(topic)
            key = (topic["firm_id"], topic["local_topic_id"])
            fault = _fault_of_members(topic, members, counts[key])
            self._members.see(fault is None, f"{topic['topic_id']} {fault}")
            unclaimed.discard(key)
            self._keep(topic, members)
        for firm_id, local in sorted(unclaimed):
            topic_id = f"{firm_id}_{local}"
            if topic_id not in self._failed_topics:
                self._members.see(False, f"{topic_id} has sentences, but is no topic")

    def _check_text(self, topic: Mapping[str, Any], members: list[dict[str, Any]]) -> None:
        summary, topic_id = topic["summary"], topic["topic_id"]
        self._present.see(bool(summary.strip()), f"{topic_id} has none")
        self._prose.see(prompts.is_prose(summary), f"{topic_id}: {summary[:80]!r}")
        self._differs.see(summary != topic["representation"], f"{topic_id}: {summary[:80]!r}")
        method = topic["naming_method"]
        self._method.see(method == NAMED_BY_LLM, f"{topic_id} has {method!r}")
        texts = [row["raw_text"] for row in members[:LEADING_TEXTS]]
        fault = self._evidence.fault_of_summary(topic, texts)
        self._answers.see(fault is None, f"{topic_id} {fault}")

    def _check_identity(self, topic: Mapping[str, Any]) -> None:
        topic_id = topic["topic_id"]
        made = f"{topic['firm_id']}_{topic['local_topic_id']}"
        sound = topic_id == made and topic["quarter"] == str(self._quarter.quarter)
        self._ids.see(sound, f"{topic_id} of {topic['quarter']} should be {made}")
        self._unique.see(topic_id not in self.facts.topics, f"{topic_id} occurs again")

    def _keep(self, topic: dict[str, Any], members: list[dict[str, Any]]) -> None:
        self.facts.topic_rows.add(topic)
        self.facts.topics_by_call[topic["firm_id"], topic["earnings_call_date"]] += 1
        self.facts.topics[topic["topic_id"]] = TopicFact(
            firm_id=topic["firm_id"],
            firm_name=topic["firm_name"],
            permno=topic["permno"],
            gvkey=topic["gvkey"],
            earnings_call_date=topic["earnings_call_date"],
            n_sentences=topic["n_sentences"],
            summary=topic["summary"],
            spoken=spoken_digest([{**row, "text": row["raw_text"]} for row in members]),
        )
        if len(self.facts.samples) < SAMPLE_TOPICS:
            self.facts.samples.append({name: topic[name] for name in SAMPLE_COLUMNS})

    def _part_files(self) -> Check:
        """The runbook reads parts by glob, so every file in the folders must be a named part."""
        tally = Tally(
            "part-files", "map", "The folders hold the checkpoints' parts and nothing else", "files"
        )
        quarter, output = self._quarter.quarter, self._quarter.output
        for prefix, named in (
            (keys.firm_topics_prefix(quarter), output.topic_keys()),
            (keys.sentences_prefix(quarter), output.sentence_keys()),
        ):
            found = self._quarter.storage.list(prefix)
            present = {key for key in found if key.endswith(".parquet")}
            for key in sorted(present | set(named)):
                wrong = "is missing" if key not in present else "is of no checkpoint"
                tally.see(key in present and key in named, f"{key} {wrong}")
        return tally.check()

    def _any_topic(self) -> Check:
        found = len(self.facts.topics)
        firms = len({fact.firm_id for fact in self.facts.topics.values()})
        return Check(
            id="topics-present",
            group="map",
            title="The map found topics",
            passed=found > 0,
            figure=f"{found} topics of {firms} firms",
            detail=""
            if found
            else "no call was long enough to hold one; see FIRM_MIN_CLUSTER_SIZE",
        )

    def _as_ingested(self, given: InputFacts) -> Check:
        tally = Tally(
            "sentences-as-ingested",
            "map",
            "Sentences are those ingested, word for word and each once",
            "firms",
        )
        for firm in sorted(completed_firms(self._quarter.output) | self.facts.spoken.firms()):
            same = given.spoken.agree(self.facts.spoken, firm)
            tally.see(same, f"{firm} has other sentences than its transcripts")
        return tally.check()


def _fault_of_members(
    topic: Mapping[str, Any], members: list[dict[str, Any]], n_labelled: int
) -> str | None:
    """What is wrong between a topic and its sentences, or None."""
    named = topic["sentence_ids"]
    if not named:
        return "names no sentence"
    if len(set(named)) != len(named):
        return "names a sentence twice"
    if len(members) != len(named):
        return f"names {len(named) - len(members)} sentences that are not there"
    if topic["n_sentences"] != len(named):
        return f"says {topic['n_sentences']} sentences, but names {len(named)}"
    own = (topic["firm_id"], topic["local_topic_id"], topic["earnings_call_date"])
    if any(
        (row["firm_id"], row["local_topic_id"], row["earnings_call_date"]) != own for row in members
    ):
        return "names a sentence of another topic or call"
    if n_labelled != len(named):
        return f"names {len(named)} of the {n_labelled} sentences that name it"
    return None
