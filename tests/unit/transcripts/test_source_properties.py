"""However a table of turns is written, its chunks are the same; versions are recognized."""

from __future__ import annotations

import codecs
import random
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from ftm_core.transcripts import call_sentences, splitting
from ftm_core.transcripts.ingest import IngestOptions, ingest
from ftm_core.transcripts.ingest_report import IngestReport
from ftm_core.transcripts.preview import preview
from ftm_core.transcripts.rejects import RejectedRowsError
from ftm_core.transcripts.sources.encodings import find_encoding
from ftm_core.transcripts.turns import turns_of_text
from tests.fakes import transcript_formats as formats
from tests.fakes.transcript_corpora import QUARTER, stored_rows, turn_row, write_corpus

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252")
CASES = (str.upper, str.lower, str.title, str.swapcase)
PUNCTUATION = "’“”–—…é£"


def take_in(source: Any, data: Path, **options: Any) -> IngestReport:
    return ingest(source, QUARTER, LocalStorage(data), IngestOptions(**options))


def stored(source: Any, **options: Any) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as data:
        take_in(source, Path(data), **options)
        return stored_rows(Path(data))


@settings(max_examples=10, deadline=None)
@given(
    order=st.permutations(sorted(formats.turn_rows()[0])),
    case=st.sampled_from(CASES),
    encoding=st.sampled_from([*ENCODINGS, "mac_roman"]),
    separator=st.sampled_from(",\t;|"),
    seed=st.integers(0, 1000),
)
def test_any_order_case_encoding_separator_is_one_table(
    order: list[str], case: Any, encoding: str, separator: str, seed: int
) -> None:
    rows = formats.turn_rows()
    with tempfile.TemporaryDirectory() as folder:
        plain = stored(formats.write_csv(Path(folder) / "plain.csv", rows))
        random.Random(seed).shuffle(rows)
        shuffled = [{case(name): row[name] for name in order} for row in rows]
        path = formats.write_csv(
            Path(folder) / "calls.csv", shuffled, encoding=encoding, separator=separator
        )
        assert stored(path) == plain


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(
        st.text(st.sampled_from("abcdefgh ,." + PUNCTUATION), min_size=1, max_size=30), min_size=1
    ),
    codec=st.sampled_from([name for name in ENCODINGS if name != "cp1252"]),
)
def test_every_unicode_encoding_is_found_or_marked(words: list[str], codec: str) -> None:
    text = "Sales of the quarter rose by four percent.\n" * len(words) + "\n".join(words)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.txt"
        path.write_bytes(text.encode(codec))
        found = find_encoding(path)
        assert codecs.decode(path.read_bytes(), found.codec) == text
        assert find_encoding(path, codec).errors == "strict"


@settings(max_examples=30, deadline=None)
@given(
    places=st.lists(st.sampled_from(["we’re", "“up”", "sales – costs", "it’s…"]), min_size=1),
    codec=st.sampled_from(["cp1252", "mac_roman"]),
)
def test_windows_and_mac_punctuation_are_distinguished(places: list[str], codec: str) -> None:
    text = "".join(f"Good morning, {place} and thanks for joining us today.\n" for place in places)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.txt"
        path.write_bytes(text.encode(codec))
        assert find_encoding(path).codec == codec


def test_a_named_encoding_that_does_not_fit_is_refused_whole(tmp_path: Path) -> None:
    path = formats.write_csv(tmp_path / "calls.csv", formats.turn_rows(), encoding="cp1252")
    with pytest.raises(InputError, match=r"is not UTF-8 text: byte [\d,]+ does not fit"):
        take_in(path, tmp_path / "data", encoding="utf-8")
    with pytest.raises(InputError, match="The encoding excel is not known"):
        take_in(path, tmp_path / "data", encoding="excel")
    assert not (tmp_path / "data").exists()
    assert len(stored(path, encoding="cp1252")) == len(stored(path))


def test_whole_numbers_of_any_type_are_the_same_ids(tmp_path: Path) -> None:
    rows = formats.turn_rows()
    plain = stored(formats.write_csv(tmp_path / "plain.csv", rows))
    kinds = {
        "float": float,
        "decimal": Decimal,
        "text": lambda value: f"{value}.0",
        "bytes": lambda value: str(value).encode(),
    }
    ids = ("companyid", "keydevid", "transcriptid", "componentorder")
    for name, kind in kinds.items():
        typed = [{**row, **{column: kind(row[column]) for column in ids}} for row in rows]
        pq.write_table(pa.Table.from_pylist(typed), tmp_path / f"{name}.parquet")
        assert stored(tmp_path / f"{name}.parquet") == plain, name


def version(transcript: int, text: str, **changes: Any) -> dict[str, Any]:
    return turn_row(
        transcriptid=transcript,
        componenttext=text,
        keydevid=70,
        transcriptpresentationtypename="Final",
        transcriptcollectiontypename="Edited Copy",
        transcriptcreationdate_utc="2023-01-16",
        transcriptcreationtime_utc="10:00:00",
        **changes,
    )


@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        ({"transcriptpresentationtypename": "Preliminary"}, {}),
        ({}, {"transcriptcreationdate_utc": "2023-01-17"}),
        ({}, {"transcriptcreationtime_utc": "11:00:00"}),
        ({}, {"transcriptcollectiontypename": "Audited Copy"}),
        ({}, {}),
        (
            {
                "transcriptpresentationtypename": "Preliminary",
                "transcriptcreationdate_utc": "2023-01-19",
            },
            {},
        ),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_one_version_of_a_call_stays_by_the_rule(
    tmp_path: Path, loser: dict[str, str], winner: dict[str, str], reverse: bool
) -> None:
    rows = [
        {**version(500, "Sales rose 5 per cent."), **loser},
        {**version(501, "Sales rose 5%."), **winner},
    ]
    path = write_corpus(tmp_path / "calls.csv", rows[::-1] if reverse else rows)
    report = take_in(path, tmp_path / "data")
    assert [row["raw_text"] for row in stored_rows(tmp_path / "data")] == ["Sales rose 5%."]
    assert (report.n_older_versions, report.n_rejects) == (1, 0)


def test_a_call_at_midnight_is_in_one_quarter_only(tmp_path: Path) -> None:
    rows = [
        version(500, "Draft.", mostimportantdateutc="2023-03-31 23:59:00")
        | {"transcriptpresentationtypename": "Preliminary"},
        version(501, "Final.", mostimportantdateutc="2023-04-01 00:01:00"),
    ]
    path = write_corpus(tmp_path / "calls.csv", [*rows, version(9, "X.") | {"keydevid": 9}])
    report = take_in(path, tmp_path / "data")
    assert (report.n_older_versions, report.other_quarters) == (1, {"2023Q2": 1})
    assert {row["transcript_id"] for row in stored_rows(tmp_path / "data")} == {"9"}


def test_nearly_equal_calls_of_a_day_are_warned_of(tmp_path: Path) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    rows = [turn_row(transcriptid=t, componenttext=f"{words} {t}.") for t in (1, 2)]
    report = take_in(write_corpus(tmp_path / "calls.csv", rows), tmp_path / "data")
    [warning] = report.warnings
    assert "versions of one call" in warning
    assert report.manifest.n_calls == 2


def test_more_than_two_percent_of_rejects_are_refused(tmp_path: Path) -> None:
    def corpus(n_bad: int) -> Path:
        rows = [turn_row(order=at, componenttext="" if at < n_bad else "Yes.") for at in range(100)]
        return write_corpus(tmp_path / f"{n_bad}.csv", rows)

    assert take_in(corpus(2), tmp_path / "two").n_rejects == 2
    with pytest.raises(RejectedRowsError, match=r"3 rejected rows among 100 \(3 %\).*accept-rej"):
        take_in(corpus(3), tmp_path / "three")
    assert not (tmp_path / "three").exists()
    report = take_in(corpus(3), tmp_path / "three", accept_rejects=True)
    assert report.rejects_by_reason == {"componenttext the text is empty": 3}


def test_many_quarters_are_written_in_one_pass(tmp_path: Path) -> None:
    days = {1: "2022-12-15", 2: "2023-02-01", 3: "2023-05-01"}
    rows = [turn_row(firm, mostimportantdateutc=day) for firm, day in days.items()]
    path = write_corpus(tmp_path / "calls.csv", [*rows, turn_row(4, mostimportantdateutc="soon")])
    storage = LocalStorage(tmp_path / "data")
    options = IngestOptions(accept_rejects=True)
    report = ingest(path, None, storage, options)
    assert [str(result.quarter) for result in report.quarters] == ["2022Q4", "2023Q1", "2023Q2"]
    for firm, result in enumerate(report.quarters, start=1):
        assert {row["firm_id"] for row in stored_rows(tmp_path / "data", result.quarter)} == {
            str(firm)
        }
        assert result.manifest.n_rejected_rows == 1
    again = ingest(path, Quarter.parse_range("2022Q4..2023Q2"), storage, options)
    assert again.already_ingested
    two = ingest(
        path, Quarter.parse_range("2023Q1..2023Q2"), LocalStorage(tmp_path / "two"), options
    )
    assert (len(two.quarters), two.other_quarters) == (2, {"2022Q4": 1})


def test_all_quarters_write_none_when_one_is_of_other_content(tmp_path: Path) -> None:
    days = {1: "2022-12-15", 2: "2023-02-01", 3: "2023-05-01"}
    rows = [turn_row(firm, mostimportantdateutc=day) for firm, day in days.items()]
    storage = LocalStorage(tmp_path / "data")
    ingest(write_corpus(tmp_path / "one.csv", [turn_row(9)]), QUARTER, storage)
    path = write_corpus(tmp_path / "calls.csv", rows)
    with pytest.raises(InputError, match=r"2023Q1.*other content.*--replace"):
        ingest(path, None, storage)
    assert not storage.exists(keys.transcripts_manifest(Quarter(2022, 4)))
    report = ingest(path, None, storage, IngestOptions(replace=True))
    assert [str(result.quarter) for result in report.quarters] == ["2022Q4", "2023Q1", "2023Q2"]


def test_a_missing_quarter_is_answered_with_those_there(tmp_path: Path) -> None:
    rows = [turn_row(1, mostimportantdateutc="2022-12-15"), turn_row(2)]
    path = write_corpus(tmp_path / "calls.csv", rows)
    with pytest.raises(InputError, match=r"no row of 2019Q1; it holds 2022Q4 .*, 2023Q1 "):
        ingest(path, Quarter(2019, 1), LocalStorage(tmp_path / "data"))


def test_a_date_format_reads_what_is_ambiguous(tmp_path: Path) -> None:
    path = write_corpus(tmp_path / "calls.csv", [turn_row(mostimportantdateutc="02/08/2023")])
    with pytest.raises(RejectedRowsError, match="--date-format"):
        take_in(path, tmp_path / "data")
    [row, *_] = stored(path, date_format="%m/%d/%Y")
    assert row["earnings_call_date"].isoformat() == "2023-02-08"


def test_a_whole_call_as_one_sentence_is_split_and_warned(tmp_path: Path) -> None:
    text = "We sold more machines than ever. " * 1500
    row = turn_row() | {"speakertypename": "", "componenttext": text}
    named = dict(
        zip(
            ("firm_id", "firm_name", "transcript_id", "raw_text", "position"),
            row.values(),
            strict=False,
        )
    ) | {"earnings_call_date": "2023-02-01"}
    report = take_in(write_corpus(tmp_path / "calls.csv", [named]), tmp_path / "data")
    assert report.manifest.n_sentences == 1500
    assert "--layout calls" in report.warnings[0]


def test_splitting_in_processes_gives_the_same_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [turn_row(firm, 1, order) for firm in range(1, 40) for order in range(20)]
    path = write_corpus(tmp_path / "calls.csv", rows)
    alone = take_in(path, tmp_path / "alone", n_workers=1)
    monkeypatch.setattr(splitting, "TURNS_WORTH_A_POOL", 1)
    shared = take_in(path, tmp_path / "shared", n_workers=2)
    assert alone.manifest.chunks == shared.manifest.chunks
    assert call_sentences.split_turns([("CEO", "A. B.")])


def test_a_sort_beyond_its_memory_names_the_option(tmp_path: Path) -> None:
    rows = [turn_row(1, 1, at, componenttext="word " * 2000) for at in range(900)]
    path = write_corpus(tmp_path / "calls.csv", rows)
    with pytest.raises(Exception, match=r"--memory-limit|not one"):
        take_in(path, tmp_path / "data", memory_limit="1MB")
    with pytest.raises(InputError, match="memory limit lots"):
        take_in(path, tmp_path / "data", memory_limit="lots")


NAMES = st.sampled_from(["Jane Doe", "Operator", "O. Neil-Smith", "Mary Ann O'Hara"])


@settings(max_examples=100)
@given(
    spoken=st.lists(
        st.tuples(NAMES, st.sampled_from(["Sales rose.", "Q: what? A: so.", "Note: costs fell."])),
        min_size=2,
        max_size=12,
    ),
    form=st.sampled_from(["{0}: {1}", "**{0}:** {1}", "{0} -- Chief Officer\n{1}"]),
)
def test_turns_are_recognized_in_each_form(spoken: list[tuple[str, str]], form: str) -> None:
    merged = [("Operator", "Hello."), ("Jane Doe", "Hi."), *spoken, ("Operator", "Bye.")]
    found = turns_of_text("\n".join(form.format(*turn) for turn in merged))
    assert [(turn.speaker, turn.text) for turn in found] == merged


def test_a_preview_shows_calls_and_writes_nothing(tmp_path: Path) -> None:
    rows = [{**row, "extra": 1} for row in formats.turn_rows()]
    seen = preview(formats.write_csv(tmp_path / "calls.csv", rows))
    assert (seen.layout, seen.n_rows, seen.complete) == ("capital-iq", 12, True)
    assert seen.columns["raw_text"] == "componenttext"
    assert seen.ignored == ("transcriptcomponentid", "extra")
    assert dict(seen.quarters) == {"2023Q1": 12}
    assert [len(call.turns) for call in seen.calls] == [6, 6]
    assert seen.calls[0].turns[0].sentences == formats.CALLS[0].turns[0].sentences
    assert [path.name for path in tmp_path.iterdir()] == ["calls.csv"]
