"""Read a links file: which ticker, company or gvkey has which gvkey and permno, and when."""

from __future__ import annotations

import csv
import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.identifiers import Link, normal_gvkey
from ftm_core.transcripts.values import parse_date, parse_permno

# Our names, and what WRDS, CRSP, Compustat and common exports call the same; earlier names first.
_ALIASES = {
    "firm_id": ("firm_id", "companyid"),
    "ticker": ("ticker", "tic", "symbol"),
    "gvkey": ("gvkey",),
    "permno": ("permno", "lpermno"),
    "link_start": ("linkdt", "link_start", "link_date"),
    "link_end": ("linkenddt", "link_end"),
    "start": ("startdate", "start_date", "namedt", "start", "from"),
    "end": ("enddate", "end_date", "nameenddt", "nameendt", "end", "to"),
    "kind": ("linktype", "link_type"),
    "primary": ("linkprim", "link_prim"),
}
# B, C and E are SAS's special missing values; CRSP writes E for a link that has no end yet.
_OPEN = frozenset({"b", "c", "e"})
_SEPARATORS = re.compile(r"[\s/.\-]+")
_EXAMPLE = "An example of its columns is ticker,gvkey,permno,linkdt,linkenddt."


@dataclass
class LinkTable:
    """The links of a file by each of the keys that its rows have."""

    by_firm_id: dict[str, list[Link]] = field(default_factory=dict)
    by_ticker: dict[str, list[Link]] = field(default_factory=dict)
    by_gvkey: dict[str, list[Link]] = field(default_factory=dict)
    n_rows: int = 0
    dated: bool = True

    def find(self, firm_id: str, ticker: str | None, gvkey: str | None) -> list[Link]:
        """Links of a firm: by its id if the file knows it, else by ticker, else by gvkey."""
        return (
            self.by_firm_id.get(firm_id)
            or self.by_ticker.get(normal_ticker(ticker or ""))
            or self.by_gvkey.get(gvkey or "")
            or []
        )

    def could_find(self, ticker: str | None, gvkey: str | None) -> bool:
        """Whether a firm has anything to be found by; its id is something where ids are known."""
        return bool(
            self.by_firm_id
            or (self.by_ticker and ticker is not None)
            or (self.by_gvkey and gvkey is not None)
        )


def normal_ticker(text: str) -> str:
    """A ticker in capitals; BRK-B, BRK/B and BRK B are BRK.B."""
    return _SEPARATORS.sub(".", text.strip().upper())


def read_links(path: Path) -> LinkTable:
    """Read a CSV or Parquet file of links.

    Raises InputError when the file cannot be read, has no column to match by or none to fill
    from, or a row holds a value that is no date, permno or gvkey.
    """
    columns, rows = _open(path)
    chosen = _choose(path, columns)
    table = LinkTable(dated=not {"link_start", "link_end", "start", "end"}.isdisjoint(chosen))
    for number, row in rows:
        where = f"Row {number} of {path}"
        values = {ours: row.get(theirs) for ours, theirs in chosen.items()}
        link = _link(values, chosen, where)
        table.n_rows += 1
        if link.gvkey is None and link.permno is None:
            continue
        for key, links in (
            (_text(values.get("firm_id")), table.by_firm_id),
            (normal_ticker(_text(values.get("ticker"))), table.by_ticker),
            (link.gvkey or "", table.by_gvkey),
        ):
            if key:
                links.setdefault(key, []).append(link)
    return table


def _open(path: Path) -> tuple[list[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    """Column names in lower case, and the rows with their numbers in the file."""
    if not path.is_file():
        raise InputError(
            f"The path {path}", "is not a file", f"Name a CSV or Parquet file. {_EXAMPLE}"
        )
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _open_parquet(path)
    if path.suffix.lower() in {".csv", ".txt"}:
        return _open_csv(path)
    raise InputError(
        f"The file {path}", "is neither .csv nor .parquet", "Convert it to one of these."
    )


def _open_csv(path: Path) -> tuple[list[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    try:
        # Read whole: a links file has a row a security, and a decoding error must name the file.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"The file {path}", f"is not UTF-8 text ({error})", "Save it as UTF-8."
        ) from error
    reader = csv.reader(lines)
    header = [name.strip().lower() for name in next(reader, [])]

    def rows() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, cells in enumerate(reader, start=2):
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"Row {number} of {path}",
                    f"has {len(cells)} values for {len(header)} columns",
                    "Quote values that hold a comma.",
                )
            yield number, dict(zip(header, cells, strict=True))

    return header, rows()


def _open_parquet(path: Path) -> tuple[list[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"The file {path}",
            f"is not a readable Parquet file ({error})",
            "Export the file again.",
        ) from error
    names = {name.lower(): name for name in file.schema_arrow.names}

    def rows() -> Iterator[tuple[int, Mapping[str, Any]]]:
        number = 0
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, {lower: row[name] for lower, name in names.items()}

    return list(names), rows()


def _choose(path: Path, columns: Iterable[str]) -> dict[str, str]:
    """Which column of the file gives each of our names."""
    present = set(columns)
    chosen = {
        ours: next(theirs for theirs in names if theirs in present)
        for ours, names in _ALIASES.items()
        if not present.isdisjoint(names)
    }
    shown = ", ".join(sorted(present)) or "none"
    if {"firm_id", "ticker", "gvkey"}.isdisjoint(chosen):
        raise InputError(
            f"The file {path}",
            f"has no column to match firms by (its columns are {shown})",
            f"Add ticker, firm_id or gvkey. {_EXAMPLE}",
        )
    if {"permno", "gvkey"}.isdisjoint(chosen):
        raise InputError(
            f"The file {path}",
            f"has neither permno nor gvkey (its columns are {shown})",
            f"Add one of them. {_EXAMPLE}",
        )
    # Dates of a plain table are those of the link; beside a link's own, they are the name's.
    if not {"link_start", "link_end"} & set(chosen):
        for ours, theirs in (("start", "link_start"), ("end", "link_end")):
            if ours in chosen:
                chosen[theirs] = chosen.pop(ours)
    return chosen


def _link(values: Mapping[str, Any], chosen: Mapping[str, str], where: str) -> Link:
    gvkey = _text(values.get("gvkey"))
    return Link(
        gvkey=normal_gvkey(gvkey, where=where) if gvkey else None,
        permno=_permno(values.get("permno"), where),
        start=_date(values.get("link_start"), where),
        end=_date(values.get("link_end"), where),
        kind=_text(values.get("kind")).upper() if "kind" in chosen else None,
        primary=_text(values.get("primary")).upper() if "primary" in chosen else None,
        gvkey_start=_date(values.get("start"), where),
        gvkey_end=_date(values.get("end"), where),
    )


def _text(value: Any) -> str:
    """A cell as text; empty where there is nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return "" if text.lower() in {"nan", "none", "null", "<na>", "nat"} else text


def _permno(value: Any, where: str) -> int | None:
    try:
        return parse_permno(value)
    except ValueError as error:
        raise InputError(
            where, f"has the permno {value!r}, which {error}", "A permno is a number such as 14593."
        ) from error


def _date(value: Any, where: str) -> dt.date | None:
    if isinstance(value, str) and value.strip().lower() in _OPEN:
        return None
    try:
        return parse_date(value)
    except ValueError as error:
        raise InputError(
            where, f"has the invalid date {value!r}", "Write dates as 2023-01-31 or 20230131."
        ) from error
