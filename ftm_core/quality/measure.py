"""Measure a finished quarter: coherence, diversity, coverage, reach, grounding, recovery."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import QualityThresholds
from ftm_core.data.finished import FinishedQuarter
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.quality.coherence import CallWords, Kind, diversity
from ftm_core.quality.duplicates import duplicate_names
from ftm_core.quality.quality_report import Measure, QualityReport, at_least, at_most, mean, share
from ftm_core.quality.stability import SEEDS, stability
from ftm_core.quality.subjects import Subject, subject_recovery
from ftm_core.quality.theme_recovery import PURE_THEME, Key, Recovery, compare
from ftm_core.storage import Storage
from ftm_core.text.grounding import SourceVocabulary, claims

EXAMPLES_SHOWN = 5
# Coherence reads calls word by word: of a large quarter as many as this, spread evenly over it.
# Topics are measured on those of the same few calls, whose words they are. Themes are of words from
# everywhere, and two that are said together in few calls seem strangers where those are left out.
CALLS_MEASURED = {"topic": 60, "theme": 1_000}
_COHERENCES: dict[Kind, tuple[str, str]] = {
    "c_npmi": ("coherence", "NPMI"),
    "c_v": ("coherence-cv", "C_v"),
}
_ROWS_AT_ONCE = 10_000
_FIRM_COLUMNS = ("firm_id", "earnings_call_date")
_TOPIC_COLUMNS = (
    "topic_id", "firm_id", "firm_name", "earnings_call_date", "keywords", "summary",
)  # fmt: skip
_SENTENCE_COLUMNS = (
    "firm_id", "transcript_id", "raw_text", "position", "local_topic_id", "earnings_call_date",
    "is_small_talk", "theme_id",
)  # fmt: skip

Call = tuple[str, dt.date]


def measure_quality(
    storage: Storage,
    quarter: Quarter,
    settings: QualityThresholds,
    key: Key | None = None,
    *,
    with_stability: bool = False,
    subjects: Sequence[Subject] = (),
) -> QualityReport:
    """Measure a finished quarter, against ``key`` and ``subjects`` too where they are given.

    ``with_stability`` finds its themes again by several seeds.

    Raises InputError when the quarter is not finished, or ``key`` is of another quarter.
    """
    store = QuarterStore(storage, quarter)
    finished = store.finished
    quarter_rows = _Rows(store, key or (), with_texts=bool(subjects))
    recovery = None
    if key is not None:
        recovery = compare(key, quarter_rows.theme_of_place, quarter_rows.topic_of_place)
    measures = [
        *_keyword_measures(quarter_rows, settings),
        *_coverage_measures(quarter_rows, settings),
        *_text_measures(quarter_rows, settings),
        *(_stability_measures(finished, settings) if with_stability else ()),
        *(_recovery_measures(recovery, settings) if recovery is not None else ()),
        *(_subject_measures(quarter_rows, subjects) if subjects else ()),
    ]
    return QualityReport(
        str(quarter), storage.uri, finished.identity.run_id, tuple(measures), recovery
    )


class _Rows:
    """The quarter's rows: small tables as a whole, sentences reduced to what the measures need.

    Sentences are read once, a piece at a time. ``places`` are those whose topic and theme are kept,
    ``with_texts`` keeps every text with its theme.
    """

    def __init__(
        self, store: QuarterStore, places: Container[tuple[str, int]], *, with_texts: bool
    ) -> None:
        self.themes: list[dict[str, Any]] = store.table("themes").to_pylist()
        self.firms: list[dict[str, Any]] = store.table("firms", _FIRM_COLUMNS).to_pylist()
        self.topics: list[dict[str, Any]] = store.table("topics", _TOPIC_COLUMNS).to_pylist()
        self.firms_in_themes = set(
            pc.unique(store.table("theme_contributions", ["firm_id"])["firm_id"]).to_pylist()
        )
        self.exposures = store.table("theme_exposures", ["theme_id", "firm_id", "n_sentences"])
        calls = sorted(_call(row) for row in self.firms)
        self.n_calls = len(calls)
        self.chosen_calls = {level: _spread(calls, most) for level, most in CALLS_MEASURED.items()}
        self.words = {level: CallWords() for level in CALLS_MEASURED}
        self.n_sentences = self.n_small_talk = self.n_in_topic = self.n_in_theme = 0
        self.topic_of_place: dict[tuple[str, int], str | None] = {}
        self.theme_of_place: dict[tuple[str, int], str | None] = {}
        self.spoken: list[tuple[str, str | None]] = []
        self.summaries = {
            row["topic_id"]: _Grounding(row["summary"], row["firm_name"]) for row in self.topics
        }
        self.descriptions = {row["theme_id"]: _Grounding(row["description"]) for row in self.themes}
        self._places = places
        self._with_texts = with_texts
        for table in store.stream("sentences", _SENTENCE_COLUMNS):
            for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
                self._count(batch)
                self._take(batch)

    def _count(self, batch: pa.RecordBatch) -> None:
        in_topic = pc.greater_equal(batch["local_topic_id"], 0)
        small_talk = pc.and_(batch["is_small_talk"], pc.invert(in_topic))
        self.n_sentences += batch.num_rows
        self.n_in_topic += pc.sum(in_topic).as_py() or 0
        self.n_small_talk += pc.sum(small_talk).as_py() or 0
        self.n_in_theme += batch.num_rows - batch["theme_id"].null_count

    def _take(self, batch: pa.RecordBatch) -> None:
        columns = (batch[name].to_pylist() for name in _SENTENCE_COLUMNS)
        for firm, call, text, position, local, day, small_talk, theme in zip(*columns, strict=True):
            topic = f"{firm}_{local}" if local >= 0 else None
            if (call, position) in self._places:
                place = (call, position)
                self.topic_of_place[place], self.theme_of_place[place] = topic, theme
            if self._with_texts:
                self.spoken.append((text, theme))
            if topic is not None or not small_talk:
                for level, chosen in self.chosen_calls.items():
                    if (firm, day) in chosen:
                        self.words[level].add(call, text)
            for found in (self.summaries.get(topic or ""), self.descriptions.get(theme or "")):
                if found is not None and found.missing:
                    found.take(text)


class _Grounding:
    """The numbers and names of a text that no source has had so far.

    Sources come one by one: most texts are grounded in the first few, and no text is kept.
    """

    def __init__(self, text: str, *sources: str) -> None:
        self.missing = claims(text)
        for source in sources:
            if self.missing:
                self.take(source)

    def take(self, source: str) -> None:
        """Take in the next source."""
        self.missing = SourceVocabulary((source,)).lacking(self.missing)


def _spread(calls: Sequence[Call], most: int) -> frozenset[Call]:
    n_chosen = min(len(calls), most)
    return frozenset(calls[number * len(calls) // n_chosen] for number in range(n_chosen))


def _call(row: dict[str, Any]) -> Call:
    return row["firm_id"], row["earnings_call_date"]


def _keyword_measures(rows: _Rows, settings: QualityThresholds) -> Iterator[Measure]:
    topics = [row for row in rows.topics if _call(row) in rows.chosen_calls["topic"]]
    for level, items in (("topic", topics), ("theme", rows.themes)):
        calls = f"by the words of {len(rows.chosen_calls[level])} of {rows.n_calls} calls"
        for kind, (id, title) in _COHERENCES.items():
            found = rows.words[level].coherence([row["keywords"] for row in items], kind)
            measured = sorted(
                (value, row[f"{level}_id"])
                for value, row in zip(found, items, strict=True)
                if value is not None
            )
            lowest = ", ".join(f"{name} {value:.2f}" for value, name in measured[:3])
            detail = f"{len(measured)} of {len(items)} {level}s measured {calls}; lowest: {lowest}"
            yield at_least(
                f"{level}-{id}",
                f"Mean {title} of {level}s' keywords",
                mean([value for value, _ in measured]),
                settings.min_coherence if kind == "c_npmi" else settings.min_coherence_cv,
                detail if measured else "",
            )
    # Topics of many firms are meant to share words, so only themes are held to a threshold.
    yield Measure(
        "topic-diversity", "Distinct words among topics' keywords",
        diversity(row["keywords"] for row in rows.topics), "", False, "",
    )  # fmt: skip
    yield at_least(
        "theme-diversity",
        "Distinct words among themes' keywords",
        diversity(row["keywords"] for row in rows.themes),
        settings.min_diversity,
    )


def _coverage_measures(rows: _Rows, settings: QualityThresholds) -> Iterator[Measure]:
    substance = rows.n_sentences - rows.n_small_talk
    yield at_least(
        "coverage",
        "Sentences of substance in a topic",
        share(rows.n_in_topic, substance),
        settings.min_coverage,
        f"{rows.n_in_topic} of {substance}; {rows.n_small_talk} of {rows.n_sentences} "
        "are small talk, filtered out",
    )
    yield Measure(
        "theme-coverage", "Sentences of substance in a theme",
        share(rows.n_in_theme, substance), "", False, f"{rows.n_in_theme} of {substance}",
    )  # fmt: skip
    reached = rows.firms_in_themes
    firms = {row["firm_id"] for row in rows.firms}
    yield at_least(
        "firms-reached",
        "Firms in a theme",
        share(len(reached), len(firms)),
        settings.min_firms_reached,
        f"{len(reached)} of {len(firms)}",
    )
    top = _most_dominant(rows.exposures)
    yield at_most(
        "dominance",
        "Largest share of one firm in a theme",
        None if top is None else top[0],
        settings.max_dominance,
        "" if top is None else f"{top[2]} in {top[1]}",
    )


def _most_dominant(exposures: pa.Table) -> tuple[float, str, str] | None:
    """The largest share of one firm in a theme, with both; of equal ones the first by name."""
    if not exposures.num_rows:
        return None
    of_firm = exposures.group_by(["theme_id", "firm_id"]).aggregate([("n_sentences", "sum")])
    of_theme = of_firm.group_by("theme_id").aggregate([("n_sentences_sum", "sum")])
    joined = of_firm.join(of_theme, "theme_id")
    share = pc.divide(
        pc.cast(joined["n_sentences_sum"], pa.float64()),
        pc.cast(joined["n_sentences_sum_sum"], pa.float64()),
    )
    largest = joined.append_column("share", share).filter(pc.equal(share, pc.max(share)))
    first = largest.sort_by([("theme_id", "ascending"), ("firm_id", "ascending")])
    row = first.slice(0, 1).to_pylist()[0]
    return row["share"], row["theme_id"], row["firm_id"]


def _subject_measures(rows: _Rows, subjects: Sequence[Subject]) -> Iterator[Measure]:
    number = {row["theme_id"]: place for place, row in enumerate(rows.themes)}
    themes = np.array([number.get(theme or "", -1) for _, theme in rows.spoken], np.int64)
    found = subject_recovery([text for text, _ in rows.spoken], themes, subjects)
    worst = sorted(found.subjects, key=lambda subject: (subject.f1, subject.name))[:3]
    lowest = ", ".join(f"{subject.name} {subject.f1:.2f}" for subject in worst)
    yield Measure(
        "subject-recovery", "Best F1 of a theme, mean over subjects", found.mean, "", False,
        f"{len(found.subjects)} subjects, {found.n_too_rare} too rare; lowest: {lowest}",
    )  # fmt: skip


def _stability_measures(
    finished: FinishedQuarter, settings: QualityThresholds
) -> Iterator[Measure]:
    yield at_least(
        "stability",
        f"Agreement of themes over {SEEDS} seeds, adjusted Rand index",
        stability(finished),
        settings.min_stability,
    )


def _text_measures(rows: _Rows, settings: QualityThresholds) -> Iterator[Measure]:
    for id, title, texts in (
        (
            "summaries-ungrounded",
            "Summaries with a number or name not in their sentences",
            rows.summaries,
        ),
        (
            "descriptions-ungrounded",
            "Theme descriptions with a number or name not in their sentences",
            rows.descriptions,
        ),
    ):
        found = [(name, sorted(one.missing)) for name, one in texts.items()]
        yield _grounding(id, title, found, settings)
    pairs = duplicate_names([row["name"] for row in rows.themes], settings.duplicate_similarity)
    names = [row["theme_id"] for row in rows.themes]
    yield Measure(
        "duplicate-names",
        "Pairs of themes of the same name",
        float(len(pairs)),
        "at most 0",
        bool(pairs),
        _shortened(f"{names[first]} and {names[second]}" for first, second in pairs),
    )


def _grounding(
    id: str, title: str, found: Sequence[tuple[str, list[str]]], settings: QualityThresholds
) -> Measure:
    wrong = [f"{name}: {', '.join(missing)}" for name, missing in found if missing]
    return _at_fault(id, title, wrong, len(found), settings.max_ungrounded)


def _at_fault(id: str, title: str, faults: Sequence[str], n_texts: int, most: float) -> Measure:
    examples = _shortened(faults)
    return at_most(
        id,
        title,
        share(len(faults), n_texts),
        most,
        f"{len(faults)} of {n_texts}" + (f"; {examples}" if examples else ""),
    )


def _recovery_measures(found: Recovery, settings: QualityThresholds) -> Iterator[Measure]:
    yield at_least(
        "theme-purity",
        "Sentences of the commonest label of their theme",
        found.purity,
        settings.min_purity,
    )
    for id, title, value in (
        ("theme-purity-planted", "The same of planted sentences alone", found.planted_purity),
        ("topic-purity", "Sentences of the commonest label of their topic", found.topic_purity),
    ):
        yield Measure(id, title, value, "", False, "")
    n_wanted = found.n_key_themes
    yield at_least(
        "planted-recovered",
        "Share of labelled themes that some theme mostly consists of",
        found.share_recovered,
        settings.min_recovery,
        f"{len(found.recovered)} of {n_wanted}"
        + (f"; missed: {', '.join(found.missed)}" if found.missed else ""),
    )
    yield at_least(
        "planted-pure",
        f"Share of labelled themes recovered with purity {PURE_THEME:g} (labelled sentences)",
        share(len(found.pure), n_wanted),
        settings.min_pure,
        f"{len(found.pure)} of {n_wanted}"
        + (f"; not: {', '.join(found.not_pure)}" if found.not_pure else ""),
    )
    yield Measure(
        "planted-pure-all", "The same over all sentences",
        share(len(found.pure_of_all), n_wanted), "", False,
        f"{len(found.pure_of_all)} of {n_wanted}",
    )  # fmt: skip
    yield Measure(
        "planted-in-theme", "Share of labelled sentences in a theme",
        share(found.n_planted_in_theme, found.n_planted), "", False,
        f"{found.n_planted_in_theme} of {found.n_planted}",
    )  # fmt: skip
    for id, title, value in (
        ("ari", "Adjusted Rand index, labelled sentences in a theme", found.ari),
        ("ami", "Adjusted mutual information, the same", found.ami),
        ("ari-all", "Adjusted Rand index, all labelled sentences", found.ari_all),
        ("ami-all", "Adjusted mutual information, the same", found.ami_all),
    ):
        yield Measure(id, title, value, "", False, "")


def _shortened(texts: Iterable[str]) -> str:
    listed = list(texts)
    more = len(listed) - EXAMPLES_SHOWN
    shown = "; ".join(listed[:EXAMPLES_SHOWN])
    return f"{shown}; and {more} more" if more > 0 else shown
