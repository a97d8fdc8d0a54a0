"""Check the processed tables: the same rows as the map output, joined by the same keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ftm_core.contracts import keys, schemas
from ftm_core.data.finished import FinishedQuarter
from ftm_core.evaluation.digests import FirmDigests
from ftm_core.evaluation.input_checks import CallKey, InputFacts
from ftm_core.evaluation.map_checks import MapFacts
from ftm_core.evaluation.reader import CheckedReader
from ftm_core.evaluation.report import Check, Tally
from ftm_core.themes.tables import completed_firms

_CALL_COLUMNS = ("firm_name", "ticker", "gvkey", "permno", "link_date", "quarter")


def check_tables(
    quarter: FinishedQuarter,
    reader: CheckedReader,
    given: InputFacts,
    facts: MapFacts,
    theme_of: Mapping[str, str],
) -> list[Check]:
    """Check firms, sentences and topics, and that nothing stale lies beside any table."""
    return [
        _no_stray_files(quarter),
        _firms(quarter, reader, given, facts),
        _sentences(quarter, reader, facts),
        _topics(quarter, reader, facts, theme_of),
    ]


def _no_stray_files(quarter: FinishedQuarter) -> Check:
    """Readers take whole folders, so a second file in one would double its rows."""
    tally = Tally("table-folders", "tables", "Folders of tables hold their tables alone", "files")
    tables = [keys.processed_table(table, quarter.quarter) for table in keys.PROCESSED_TABLES]
    tables.append(keys.sentiment_ready(quarter.quarter))
    named = {*tables, keys.themes(quarter.quarter), keys.theme_contributions(quarter.quarter)}
    folders = sorted({key.rpartition("/")[0] + "/" for key in named})
    for folder in folders:
        for key in quarter.storage.list(folder):
            if key.endswith(".parquet"):
                tally.see(key in named, f"{key} is no table of the quarter")
    return tally.check()


def _firms(
    quarter: FinishedQuarter, reader: CheckedReader, given: InputFacts, facts: MapFacts
) -> Check:
    """One row a call of every completed firm, identifiers as ingested, counts as written."""
    tally = Tally(
        "firms-table", "tables", "firms has each call of each completed firm, as ingested", "calls"
    )
    table = reader.read(keys.processed_table("firms", quarter.quarter), schemas.FIRMS)
    rows = table.to_pylist()
    completed = completed_firms(quarter.output)
    expected = {call for call in given.calls if call[0] in completed}
    present: Counter[CallKey] = Counter((row["firm_id"], row["earnings_call_date"]) for row in rows)
    for firm, day in sorted(expected - set(present)):
        tally.see(False, f"{firm} on {day} is missing")
    for row in rows:
        call = (row["firm_id"], row["earnings_call_date"])
        source = given.calls.get(call)
        if call not in expected or source is None or present[call] > 1:
            tally.see(False, f"{call[0]} on {call[1]} occurs {present[call]} times or is no call")
            continue
        wrong = [name for name in _CALL_COLUMNS if row[name] != source[name]]
        if row["n_sentences"] != facts.sentences_by_call[call]:
            wrong.append("n_sentences")
        if row["n_topics"] != facts.topics_by_call[call]:
            wrong.append("n_topics")
        tally.see(not wrong, f"{call[0]} on {call[1]} differs in {', '.join(wrong)}")
    return tally.check()


def _sentences(quarter: FinishedQuarter, reader: CheckedReader, facts: MapFacts) -> Check:
    tally = Tally("sentences-table", "tables", "sentences equals the map output", "firms")
    digests = FirmDigests(schemas.SENTENCES.names)
    key = keys.processed_table("sentences", quarter.quarter)
    for table in reader.stream(key, schemas.SENTENCES):
        for row in table.to_pylist():
            digests.add(row)
    for firm in sorted(digests.firms() | facts.sentence_rows.firms()):
        tally.see(facts.sentence_rows.agree(digests, firm), f"{firm} has other rows")
    return tally.check()


def _topics(
    quarter: FinishedQuarter,
    reader: CheckedReader,
    facts: MapFacts,
    theme_of: Mapping[str, str],
) -> Check:
    """The rows of the map output, each with the theme that the contributions give it."""
    tally = Tally(
        "topics-table",
        "tables",
        "topics equals the map output, with its themes",
        "firms and topics",
    )
    digests = FirmDigests(schemas.TOPIC_COLUMNS)
    key = keys.processed_table("topics", quarter.quarter)
    for table in reader.stream(key, schemas.TOPICS):
        for row in table.to_pylist():
            digests.add(row)
            expected: Any = theme_of.get(row["topic_id"])
            same = row["theme_id"] == expected
            tally.see(same, f"{row['topic_id']} has theme {row['theme_id']}, not {expected}")
    for firm in sorted(digests.firms() | facts.topic_rows.firms()):
        tally.see(facts.topic_rows.agree(digests, firm), f"{firm} has other rows")
    return tally.check()
