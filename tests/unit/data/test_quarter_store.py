"""A researcher's way to a quarter: tables as DataFrames, SQL, records, one clear error each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import ftm_core
from ftm_core.contracts import keys
from ftm_core.contracts.errors import ExitCode, InputError
from ftm_core.data.catalog import TABLES
from ftm_core.data.database import QuarterDatabase, Source
from ftm_core.data.listing import quarters_with_runs, quarters_with_themes
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.storage.local import LocalStorage
from ftm_core.themes.packaging import package_quarter
from tests.fakes.small_quarter import QUARTER, SmallQuarter


@pytest.fixture
def store(finished_quarter: SmallQuarter) -> QuarterStore:
    return ftm_core.open_quarter(finished_quarter.storage.uri, "2023Q1")


def test_open_quarter_tables_are_data_frames(store: QuarterStore) -> None:
    contributions = store.contributions()
    themes = store.themes(columns=["theme_id", "keywords"])

    assert list(themes.columns) == ["theme_id", "keywords"]
    assert len(store.topics()) > len(themes) > 0
    assert set(contributions["theme_id"]) <= set(themes["theme_id"])
    assert set(contributions["topic_id"]) <= set(store.topics()["topic_id"])
    assert len(store.sentences(["sentence_id"])) > len(store.firms())


def test_open_quarter_dates_and_permno_keep_their_kind(store: QuarterStore) -> None:
    """One firm has no permno: the others keep whole numbers, and dates can be compared."""
    firms = store.firms()

    assert firms["permno"].isna().any()
    assert str(firms["permno"].dtype) == "Int64"
    assert (firms["earnings_call_date"] >= pd.Timestamp("2023-01-01")).all()


def test_sql_joins_tables_and_takes_parameters(store: QuarterStore) -> None:
    counts = store.sql(
        "SELECT c.theme_id, count(*) AS n FROM theme_contributions c "
        "JOIN topics t USING (topic_id) WHERE t.n_sentences >= $least GROUP BY ALL ORDER BY ALL",
        {"least": 1},
    )

    assert counts["n"].sum() == len(store.contributions())


def test_sql_reads_input_and_map_output(store: QuarterStore) -> None:
    sentences = store.sql("SELECT count(*) AS n FROM transcripts")["n"].item()

    assert sentences == store.manifest.n_sentences
    assert store.sql("SELECT count(*) AS n FROM firm_topics")["n"].item() == len(store.topics())
    assert store.sql("SELECT count(*) AS n FROM map_sentences")["n"].item() == len(
        store.sentences(["sentence_id"])
    )


def test_sql_unknown_table_is_named(store: QuarterStore) -> None:
    with pytest.raises(InputError, match="theems"):
        store.sql("SELECT * FROM theems")


def test_sql_statement_without_rows_is_refused(store: QuarterStore) -> None:
    with pytest.raises(InputError, match="SELECT"):
        store.sql("CREATE TABLE a (b INT)")


def test_database_of_a_bucket_copies_what_is_named(
    finished_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any storage but a folder is read through its own methods, one object at a time."""
    real = finished_quarter.storage
    opened: list[str] = []

    class Remote:
        def open_input(self, key: str) -> object:
            opened.append(key)
            return real.open_input(key)

    spec = TABLES["themes"]
    sources = {"themes": Source(spec.schema, (spec.key(QUARTER),)), "none": Source(spec.schema, ())}
    with QuarterDatabase(Remote(), sources.get) as database:  # type: ignore[arg-type]
        rows = database.query("SELECT count(*) AS n FROM themes")
        assert database.query("SELECT * FROM none").num_rows == 0

    assert rows["n"].to_pylist() == [2]
    assert opened == [spec.key(QUARTER)]


def test_stream_rows_are_those_of_the_table(store: QuarterStore) -> None:
    streamed = pa.concat_tables(store.stream("sentences", ["sentence_id"]))

    assert streamed.equals(store.table("sentences", ["sentence_id"]))


def test_records_say_what_the_run_did(store: QuarterStore) -> None:
    progress = store.progress()

    assert store.run.run_id == store.finished.identity.run_id
    assert (progress.firms, progress.finished, progress.failed) == (7, 6, 2)
    assert store.failures().n_failed_firms == 2
    assert store.reduce_state is not None
    assert store.reduce_state.n_themes == len(store.themes())
    assert store.plan is not None
    assert [len(batch.firm_ids) for batch in store.plan] == [3, 3, 1]


def test_listing_names_the_quarter(finished_quarter: SmallQuarter) -> None:
    assert quarters_with_runs(finished_quarter.storage) == [QUARTER]
    assert quarters_with_themes(finished_quarter.storage) == [QUARTER]


def test_quarter_without_a_run_says_what_to_do(tmp_path: Path) -> None:
    empty = ftm_core.open_quarter(tmp_path, "2023Q1")

    assert empty.find_run() is None
    with pytest.raises(InputError, match="ftm run --quarter 2023Q1"):
        empty.themes()
    with pytest.raises(InputError, match="ftm ingest"):
        _ = empty.manifest


def test_table_of_another_run_is_refused(small_quarter: SmallQuarter) -> None:
    key = keys.themes(QUARTER)
    store = QuarterStore(small_quarter.storage, QUARTER)
    store.write("themes", [store.table("themes")], run_id="another-run")

    with pytest.raises(InputError, match=f"{key}.*another-run"):
        QuarterStore(small_quarter.storage, QUARTER).themes()
    with pytest.raises(InputError, match=f"{key}.*another-run"):
        QuarterStore(small_quarter.storage, QUARTER).sql("SELECT * FROM themes")


def test_unknown_table_names_the_known_ones(store: QuarterStore) -> None:
    with pytest.raises(InputError, match="theme_exposures"):
        store.table("exposures")


DAMAGES: tuple[bytes | str, ...] = (b"", b"{", b"[]", b"null", "cut")
RECORDS = {
    "run.json": "run", "batches.json": "plan", "reduce.json": "reduce_state",
    "2023Q1_batch_0000_checkpoint.json": "finished", "timings.json": "timings",
    "manifest.json": "manifest",
}  # fmt: skip
# An empty plan is a valid one.
DAMAGED = [
    (record, field, damage)
    for record, field in RECORDS.items()
    for damage in DAMAGES
    if (record, damage) != ("batches.json", b"[]")
]


@pytest.mark.parametrize(("record", "field", "damage"), DAMAGED)
def test_damaged_record_is_named(
    small_quarter: SmallQuarter, record: str, field: str, damage: bytes | str
) -> None:
    """Every JSON file has one type, and its reader names the file that is damaged."""
    folder = (
        "prefetch/transcripts/quarter=2023Q1" if record == "manifest.json" else "progress/2023Q1"
    )
    path = Path(small_quarter.storage.uri) / folder / record
    whole = path.read_bytes() if path.exists() else b'{"run_name": "a"}'
    path.write_bytes(whole[: len(whole) // 2] if isinstance(damage, str) else damage)
    with pytest.raises(InputError, match=record) as raised:
        getattr(QuarterStore(small_quarter.storage, QUARTER), field)
    assert raised.value.exit_code == ExitCode.USAGE


def test_reduce_state_without_a_field_is_refused(small_quarter: SmallQuarter) -> None:
    key = keys.reduce_state(QUARTER)
    record = json.loads(small_quarter.storage.read(key))
    del record["n_topics"]
    small_quarter.storage.write(key, json.dumps(record).encode())

    with pytest.raises(InputError, match=r"reduce\.json .*n_topics"):
        _ = QuarterStore(small_quarter.storage, QUARTER).reduce_state
    with pytest.raises(InputError, match=r"reduce\.json .*n_topics"):
        package_quarter(small_quarter.storage, QUARTER, lambda event: None)


def test_lease_of_a_store_refuses_a_second_run(tmp_path: Path) -> None:
    from ftm_core.contracts.errors import RunRefusedError
    from ftm_core.data.lease import this_process

    store = QuarterStore(LocalStorage(tmp_path), QUARTER)
    store.acquire({"a": 1}, this_process("one"))
    store.renew("one")

    assert store.require_lease("one").owner is not None
    with pytest.raises(RunRefusedError, match="leased to the run one"):
        store.require_lease("two")
    store.release("one", finished=True)
    assert store.run.owner is None
    assert store.run.finished is not None


def test_open_quarter_needs_no_optional_package(finished_quarter: SmallQuarter) -> None:
    """The base install reads results: no model, no AWS and no terminal package is loaded."""
    code = f"""
import sys, ftm_core
quarter = ftm_core.open_quarter({finished_quarter.storage.uri!r}, "2023Q1")
assert len(quarter.themes()) == 2
assert len(quarter.sql("SELECT * FROM topics")) > 0
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True,
        cwd=Path(ftm_core.__file__).parents[1],
    )  # fmt: skip

    loaded = {name.split(".")[0] for name in done.stdout.split()}
    optional = {"torch", "boto3", "botocore", "bertopic", "sklearn", "plotly", "gensim", "typer"}
    assert not loaded & optional
