"""Time and memory of the SQL checks on a made-up quarter of 150,000 topics.

    python -m bench.checks_scale [TOPICS]

Each of the firms holds one call of 300 sentences in 30 topics of ten. The tables are written as a
run writes them and are sound, so every check must pass. Reading all files (the check table-files)
and running the SQL checks are timed apart; the checks of texts need an LLM and are left out.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa

from bench.measuring import report
from ftm_core.checks import sql_checks
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.catalog import PARTED_TABLES, TABLES
from ftm_core.data.database import QuarterDatabase, Source
from ftm_core.memory import peak_memory_mib
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.tables import stream_table, write_batches

QUARTER = Quarter(2023, 1)
TOPICS_PER_FIRM = 30
SENTENCES_PER_TOPIC = 10
PER_FIRM = TOPICS_PER_FIRM * SENTENCES_PER_TOPIC
FIRMS_PER_THEME = 500
_BATCH_ROWS = 100_000

_CALL = """
  'F' || lpad(f::VARCHAR, 5, '0') AS firm_id, 'Firm ' || f AS firm_name, 'T' || f AS ticker,
  (10000 + f)::BIGINT AS permno, lpad(f::VARCHAR, 6, '0') AS gvkey, DATE '2010-01-01' AS link_date,
  'C' || f AS transcript_id, DATE '2023-02-01' AS earnings_call_date, '2023Q1' AS quarter"""
_SENTENCE = f"""
  SELECT {_CALL}, firm_id || '_' || transcript_id || '_' || lpad(p::VARCHAR, 4, '0') AS sentence_id,
    'In sentence ' || p || ' firm ' || f || ' says how '
      || repeat('costs and prices ', 6) || hash(p) AS raw_text,
    'CEO' AS speaker_type, p::INTEGER AS position, (p // {SENTENCES_PER_TOPIC})::INTEGER
      AS local_topic_id, false AS is_small_talk
  FROM range($firms) t(f), range({PER_FIRM}) s(p)"""
_TOPIC = f"""
  SELECT {_CALL}, f, l::INTEGER AS local_topic_id, firm_id || '_' || l AS topic_id,
    'costs, prices, ' || l AS representation, 'The firm says how its costs rose.' AS summary,
    'llm' AS naming_method, ['costs', 'prices', l::VARCHAR] AS keywords,
    {SENTENCES_PER_TOPIC}::INTEGER AS n_sentences,
    list_transform(range({SENTENCES_PER_TOPIC}), lambda i: firm_id || '_' || transcript_id || '_'
      || lpad((l * {SENTENCES_PER_TOPIC} + i)::VARCHAR, 4, '0')) AS sentence_ids,
    TIMESTAMPTZ '2023-06-01 00:00:00+00' AS processing_timestamp, 'made-up' AS llm_model,
    '1' AS prompt_version,
    'theme_2023Q1_' || lpad((1 + (f // {FIRMS_PER_THEME}) * {TOPICS_PER_FIRM} + l)::VARCHAR, 3, '0')
      AS theme_id
  FROM range($firms) t(f), range({TOPICS_PER_FIRM}) s(l)"""
# Each table from the two above.
STATEMENTS = {
    "transcripts": "FROM sentence ORDER BY sentence_id",
    "map_sentences": "FROM sentence ORDER BY sentence_id",
    "sentences": "FROM sentence ORDER BY sentence_id",
    "firm_topics": "FROM topic ORDER BY firm_id, local_topic_id",
    "topics": "FROM topic ORDER BY firm_id, local_topic_id",
    "theme_contributions": "FROM topic ORDER BY theme_id, topic_id",
    "themes": """SELECT theme_id, 'Costs ' || theme_id AS name, 'Firms report how costs rose.'
        AS description, ['costs', 'prices'] AS keywords, count(*)::INTEGER AS n_topics,
        count(DISTINCT firm_id)::INTEGER AS n_firms, '2023Q1' AS quarter
        FROM topic GROUP BY theme_id ORDER BY theme_id""",
    "firms": f"""SELECT DISTINCT firm_id, firm_name, ticker, gvkey, permno, link_date,
        earnings_call_date, quarter, {PER_FIRM}::INTEGER AS n_sentences,
        {TOPICS_PER_FIRM}::INTEGER AS n_topics FROM topic ORDER BY firm_id""",
    "themes_for_sentiment": f"""SELECT t.* EXCLUDE (keywords, summary, sentence_ids),
        'Costs ' || theme_id AS theme_name, 'Firms report how costs rose.' AS theme_description,
        ['costs', 'prices'] AS theme_keywords, summary AS topic_summary, list_transform(
          range({SENTENCES_PER_TOPIC}), lambda i: struct_pack(
            sentence_id := sentence_ids[i + 1],
            text := 'In sentence ' || (local_topic_id * {SENTENCES_PER_TOPIC} + i) || ' firm ' || f
              || ' says how ' || repeat('costs and prices ', 6)
              || hash(local_topic_id * {SENTENCES_PER_TOPIC} + i),
            speaker_type := 'CEO',
            position := (local_topic_id * {SENTENCES_PER_TOPIC} + i)::INTEGER)) AS sentences
        FROM topic t ORDER BY theme_id, topic_id""",
}


def write_quarter(storage: LocalStorage, n_firms: int) -> dict[str, Source]:
    """Write every table of the made-up quarter."""
    schemas = PARTED_TABLES | {name: spec.schema for name, spec in TABLES.items()}
    sources = {}
    with duckdb.connect(config={"memory_limit": "2GB", "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view, text in (("sentence", _SENTENCE), ("topic", _TOPIC)):
            connection.execute(f"CREATE VIEW {view} AS {text.replace('$firms', str(n_firms))}")
        for name, statement in STATEMENTS.items():
            reader = connection.sql(statement).to_arrow_reader(_BATCH_ROWS)
            tables = (_conformed(pa.Table.from_batches([one]), schemas[name]) for one in reader)
            key = f"{name}.parquet"
            write_batches(storage, key, schemas[name], tables, run_id="bench")
            sources[name] = Source(schemas[name], (key,))
    return sources


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema``; one that the statement does not give has an empty value."""
    empty = {pa.string(): "", pa.int32(): 0, pa.bool_(): False, pa.float64(): 0.0}
    columns = []
    for field in schema:
        if field.name in table.schema.names:
            columns.append(table[field.name].cast(field.type))
        elif field.nullable:
            columns.append(pa.nulls(len(table), field.type))
        else:
            value = empty.get(field.type, [])
            columns.append(pa.array([value] * len(table), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def run_checks(storage: LocalStorage, sources: dict[str, Source], n_firms: int) -> list[str]:
    """Run all SQL checks; returns the names of those that failed."""
    firms = pa.table({"firm_id": [f"F{number:05d}" for number in range(n_firms)]})
    nothing = pa.schema([("number", pa.int64()), ("firm_id", pa.string()),
                         ("topic_id", pa.string()), ("error_type", pa.string()),
                         ("error_message", pa.string())])  # fmt: skip
    parameters = {
        "quarter": str(QUARTER), "first_day": QUARTER.first_day, "last_day": QUARTER.last_day,
        "min_firms": 2, "max_firm_dominance": 0.4, "max_failure_rate": 0.05,
        "n_ingested": n_firms * PER_FIRM,
    }  # fmt: skip
    failed = []
    with QuarterDatabase(storage, sources.get) as database:
        for name in ("planned", "completed"):
            database.add(name, firms)
        database.add("failed_firms", firms.schema.empty_table())
        database.add("failures", nothing.empty_table())
        sql_checks.prepare(database)
        for check in sql_checks.built_in_checks():
            began = time.perf_counter()
            result = sql_checks.run_check(check, database, parameters)
            print(f"{time.perf_counter() - began:6.1f} s  {check.id}: {result.value}")
            if not result.passed:
                failed.append(f"{check.id}: {result.detail}")
    return failed


def measure(folder: str, sources: dict[str, Source], n_firms: int) -> dict[str, object]:
    """Read every file, then run the checks, in a process of their own."""
    storage = LocalStorage(Path(folder))
    began = time.perf_counter()
    for source in sources.values():
        for key in source.keys:
            for _ in stream_table(storage, key, source.schema):
                pass
    read = time.perf_counter() - began
    began = time.perf_counter()
    failed = run_checks(storage, sources, n_firms)
    return {
        "seconds to read every file": round(read, 1),
        "seconds of all SQL checks": round(time.perf_counter() - began, 1),
        "peak MiB of the process": round(peak_memory_mib()),
        "failed checks": failed,
    }


def main() -> None:
    """Write, read and check the quarter; print the values."""
    n_topics = int(sys.argv[1]) if len(sys.argv) > 1 else 150_000
    n_firms = n_topics // TOPICS_PER_FIRM
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        sources = write_quarter(LocalStorage(Path(folder)), n_firms)
        print(f"written in {time.perf_counter() - began:.0f} s")
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawned) as process:
            measures = process.submit(measure, folder, sources, n_firms).result()
    report("checks_scale", {"topics": n_topics, "sentences": n_firms * PER_FIRM, **measures})


if __name__ == "__main__":
    main()
