"""Firms of MAEC 2017Q1 as the map reads them, for every benchmark that needs real calls."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ftm_core.contracts import schemas
from ftm_core.topics.find_topics import INPUT_COLUMNS

# Shorter calls have hardly a topic to find, and would only measure overheads.
SHORTEST_CALL = 60


def maec_file() -> Path:
    """The quarter's file, from FTM_MAEC_DIR or the data beside the project."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "maec"
    return Path(os.environ.get("FTM_MAEC_DIR") or beside) / "2017Q1.parquet"


def maec_firms(n_firms: int) -> list[pa.Table]:
    """INPUT_COLUMNS of the first calls of at least SHORTEST_CALL sentences, a firm each."""
    table = pq.read_table(maec_file()).sort_by(
        [("ticker", "ascending"), ("transcript_id", "ascending"), ("position", "ascending")]
    )
    firms: dict[str, pa.Table] = {}
    tickers = table["ticker"].to_pylist()
    starts = [0] + [n for n in range(1, len(tickers)) if tickers[n] != tickers[n - 1]]
    for start, stop in zip(starts, [*starts[1:], len(tickers)], strict=True):
        rows = table.slice(start, stop - start)
        rows = rows.filter(pc.equal(rows["transcript_id"], rows["transcript_id"][0]))
        if len(rows) >= SHORTEST_CALL:
            firms[tickers[start]] = _as_input(rows)
        if len(firms) == n_firms:
            break
    return list(firms.values())


def _as_input(rows: pa.Table) -> pa.Table:
    n = len(rows)
    ids = [f"{rows['ticker'][0]}_{position:04d}" for position in rows["position"].to_pylist()]
    values = {
        "firm_id": rows["ticker"],
        "firm_name": rows["ticker"],
        "permno": pa.nulls(n, pa.int64()),
        "gvkey": pa.nulls(n, pa.string()),
        "transcript_id": rows["transcript_id"],
        "earnings_call_date": rows["call_date"].cast(pa.date32()),
        "sentence_id": pa.array(ids),
        "raw_text": rows["text"],
        "speaker_type": pa.array(["Unknown"] * n),
        "position": rows["position"].cast(pa.int32()),
        "quarter": pa.array(["2017Q1"] * n),
    }
    return pa.table({name: values[name] for name in INPUT_COLUMNS}).cast(
        pa.schema([schemas.TRANSCRIPTS.field(name) for name in INPUT_COLUMNS])
    )
