"""Small corpora for ingest tests: rows in each layout, written in each form."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftm_core.contracts.quarters import Quarter
from ftm_core.data.transcript_chunks import iterate_firms, read_manifest
from ftm_core.storage.local import LocalStorage

QUARTER = Quarter(2023, 1)
FORMS = ("csv", "jsonl", "parquet")


def sentence_row(firm: int = 1, call: int = 1, position: int = 0, **changes: Any) -> dict[str, Any]:
    """One row in our own layout: a sentence."""
    row = {
        "firm_id": f"F{firm}",
        "firm_name": f"Firm {firm}",
        "ticker": f"T{firm}",
        "permno": 10000 + firm,
        "gvkey": f"{firm:06d}",
        "link_date": "2001-01-01",
        "transcript_id": f"F{firm}C{call}",
        "earnings_call_date": f"2023-0{call}-15",
        "position": position,
        "raw_text": f"Firm {firm} said thing {position} in call {call}.",
        "speaker_type": "CEO",
    }
    return {**row, **changes}


def turn_row(firm: int = 1, call: int = 1, order: int = 0, **changes: Any) -> dict[str, Any]:
    """One row of a Capital IQ export: a speaking turn of two sentences."""
    row = {
        "companyid": f"{firm}",
        "companyname": f"Firm {firm}",
        "transcriptid": f"{firm}00{call}",
        "componenttext": f"Firm {firm} sold {order} more in call {call}. It was a good month.",
        "componentorder": order,
        "mostimportantdateutc": f"2023-0{call}-15 21:00:00",
        "speakertypename": "Executives",
    }
    return {**row, **changes}


def write_corpus(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows in the form that the path's ending says."""
    form = path.suffix.removeprefix(".")
    if form == "csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def row_number(form: str, index: int) -> int:
    """How ingest numbers the row of that index: a CSV file's header is row 1."""
    return index + 2 if form == "csv" else index + 1


def stored_rows(root: Path, quarter: Quarter = QUARTER) -> list[dict[str, Any]]:
    """All sentences of an ingested quarter, through the real reader."""
    storage = LocalStorage(root)
    manifest = read_manifest(storage, quarter)
    tables = iterate_firms(storage, manifest, list(manifest.firm_to_chunk))
    return [row for _, table in tables for row in table.to_pylist()]


def everything_under(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        item.relative_to(root).as_posix(): item.read_bytes()
        for item in sorted(root.rglob("*"))
        if item.is_file()
    }
