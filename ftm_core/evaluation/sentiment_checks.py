"""Check the sentiment-ready table row by row against themes, topics, calls and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ftm_core.contracts import keys, schemas
from ftm_core.data.finished import FinishedQuarter
from ftm_core.evaluation.input_checks import InputFacts
from ftm_core.evaluation.map_checks import MapFacts, spoken_digest
from ftm_core.evaluation.reader import CheckedReader
from ftm_core.evaluation.report import Check, Tally


def check_sentiment(
    quarter: FinishedQuarter,
    reader: CheckedReader,
    given: InputFacts,
    facts: MapFacts,
    themes: Sequence[Mapping[str, Any]],
    contributions: Sequence[Mapping[str, Any]],
) -> list[Check]:
    """Read the table once and return its checks."""
    checks = _SentimentChecks(quarter, given, facts, {theme["theme_id"]: theme for theme in themes})
    key = keys.sentiment_ready(quarter.quarter)
    for table in reader.stream(key, schemas.THEMES_FOR_SENTIMENT):
        for row in table.to_pylist():
            checks.see(row)
    return checks.finish(contributions)


class _SentimentChecks:
    def __init__(
        self,
        quarter: FinishedQuarter,
        given: InputFacts,
        facts: MapFacts,
        themes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._quarter = quarter
        self._given = given
        self._facts = facts
        self._themes = themes
        self._rows: Counter[tuple[str, str, str]] = Counter()
        group = "sentiment"
        self._sentences = Tally(
            "sentiment-sentences", group,
            "Sentences are there, as many as said, as spoken, most representative first", "rows",
        )  # fmt: skip
        self._identifiers = Tally(
            "sentiment-identifiers", group,
            "Firm, permno, gvkey, link_date and call date are those ingested, in the quarter",
            "rows",
        )  # fmt: skip
        self._texts = Tally(
            "sentiment-texts", group, "Theme and topic texts are those of their tables", "rows"
        )

    def see(self, row: Mapping[str, Any]) -> None:
        self._rows[row["theme_id"], row["firm_id"], row["topic_id"]] += 1
        topic = row["topic_id"]
        fault = self._fault_of_sentences(row)
        self._sentences.see(fault is None, f"{topic} {fault}")
        wrong = self._wrong_identifiers(row)
        self._identifiers.see(not wrong, f"{topic} differs in {', '.join(wrong)}")
        fact, theme = self._facts.topics.get(topic), self._themes.get(row["theme_id"], {})
        pairs = (
            ("theme_name", theme.get("name")),
            ("theme_description", theme.get("description")),
            ("theme_keywords", theme.get("keywords")),
            ("topic_summary", fact.summary if fact is not None else None),
            ("quarter", str(self._quarter.quarter)),
        )
        differing = [name for name, expected in pairs if row[name] != expected]
        self._texts.see(not differing, f"{topic} differs in {', '.join(differing)}")

    def finish(self, contributions: Sequence[Mapping[str, Any]]) -> list[Check]:
        unique = Tally(
            "sentiment-unique", "sentiment", "Each (theme, firm, topic) occurs once", "rows"
        )
        for key, count in self._rows.items():
            unique.see(count == 1, f"{key} occurs {count} times")
        return [
            self._complete(contributions),
            unique.check(),
            self._sentences.check(),
            self._identifiers.check(),
            self._texts.check(),
        ]

    def _complete(self, contributions: Sequence[Mapping[str, Any]]) -> Check:
        """Rows are the contributions of firms with permno; those without are counted."""
        linked = {
            (row["theme_id"], row["firm_id"], row["topic_id"])
            for row in contributions
            if row["permno"] is not None
        }
        left_out = [row["firm_id"] for row in contributions if row["permno"] is None]
        missing, extra = sorted(linked - set(self._rows)), sorted(set(self._rows) - linked)
        faults = [f"{len(missing)} are missing, first {missing[0]}"] if missing else []
        faults += [f"{len(extra)} are no contribution, first {extra[0]}"] if extra else []
        return Check(
            id="sentiment-complete",
            group="sentiment",
            title="Rows are the contributions of firms with permno",
            passed=not faults,
            figure=f"{len(self._rows)} rows + {len(left_out)} left out of "
            f"{len(set(left_out))} firms without permno = {len(contributions)} contributions"
            if not faults
            else f"{len(self._rows)} rows, {len(linked)} expected",
            detail="; ".join(faults),
        )

    def _fault_of_sentences(self, row: Mapping[str, Any]) -> str | None:
        if not row["sentences"]:
            return "has no sentence"
        if row["n_sentences"] != len(row["sentences"]):
            return f"says {row['n_sentences']}, has {len(row['sentences'])}"
        fact = self._facts.topics.get(row["topic_id"])
        if fact is None or spoken_digest(row["sentences"]) != fact.spoken:
            return "has not its topic's sentences as spoken and in order"
        return None

    def _wrong_identifiers(self, row: Mapping[str, Any]) -> list[str]:
        day = row["earnings_call_date"]
        call = self._given.calls.get((row["firm_id"], day))
        fact = self._facts.topics.get(row["topic_id"])
        if call is None or fact is None or fact.earnings_call_date != day:
            return ["earnings_call_date"]
        wrong = [
            name
            for name in ("firm_id", "firm_name", "permno", "gvkey", "link_date")
            if row[name] != call[name]
        ]
        if fact.firm_id != row["firm_id"]:
            wrong.append("firm_id")
        if not self._quarter.quarter.contains(day):
            wrong.append("earnings_call_date")
        return wrong
