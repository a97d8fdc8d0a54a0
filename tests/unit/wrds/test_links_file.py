"""Links files: the columns of common exports are known, and a bad value is named by its row."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftm_core.contracts.errors import InputError
from ftm_core.transcripts.identifiers import Link
from ftm_core.transcripts.identifiers_file import normal_ticker, read_links


def csv_file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "links.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_plain_table_gives_links_by_ticker(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, "ticker,permno,gvkey,start,end\nabc,14593,1690,2020-01-01,2023-12-31\n"
    )

    table = read_links(path)

    expected = Link("001690", 14593, dt.date(2020, 1, 1), dt.date(2023, 12, 31))
    assert table.find("any", "ABC", None) == [expected]
    assert table.find("any", "XYZ", None) == []
    assert table.dated


def test_a_link_table_of_wrds_is_read_by_its_own_names(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "GVKEY,LPERMNO,LINKDT,LINKENDDT,LINKTYPE,LINKPRIM,TIC,namedt,nameendt\n"
        "001690,14593.0,19801212,E,lc,p,AAPL,2019-01-01,\n",
        encoding="utf-8-sig",
    )

    table = read_links(path)

    expected = Link(
        "001690", 14593, dt.date(1980, 12, 12), None, "LC", "P", dt.date(2019, 1, 1), None
    )
    assert table.find("x", "AAPL", None) == [expected]
    assert table.find("x", None, "001690") == [expected]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "links.parquet"
    table = pa.table(
        {
            "firm_id": pa.array([24937, 24938]),
            "permno": pa.array([14593.0, None]),
            "gvkey": pa.array(["001690", None]),
            "linkdt": pa.array([dt.date(1980, 12, 12), None]),
            "linkenddt": pa.array([dt.datetime(2023, 1, 31), None], pa.timestamp("ns")),
        }
    )
    pq.write_table(table, path)

    links = read_links(path)

    expected = Link("001690", 14593, dt.date(1980, 12, 12), dt.date(2023, 1, 31))
    assert links.find("24937", None, None) == [expected]
    assert links.n_rows == 2


def test_a_file_without_dates_says_so(tmp_path: Path) -> None:
    assert not read_links(csv_file(tmp_path, "ticker,permno\nABC,1\n")).dated


@pytest.mark.parametrize("text", ["brk-b", "BRK/B", "BRK B", " BRK.B "])
def test_a_ticker_is_the_same_however_its_class_is_written(text: str) -> None:
    assert normal_ticker(text) == "BRK.B"


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("name,permno\nA,1\n", "no column to match firms by"),
        ("ticker,name\nA,B\n", "neither permno nor gvkey"),
        ("ticker,permno\nA,one\n", "Row 2 of .* has the permno"),
        ("ticker,permno\nA,1\nB,1.5\n", "Row 3"),
        ("ticker,permno,start\nA,1,2023-02-30\n", "Row 2"),
        ("ticker,permno,start\nA,1,1/2/2023\n", "Row 2"),
        ("ticker,gvkey\nA,12AB\n", "Row 2"),
        ("ticker,permno\nA,1,2\n", "Row 2"),
        ("", "no column to match firms by"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_the_place(
    tmp_path: Path, text: str, reported: str
) -> None:
    with pytest.raises(InputError, match=reported):
        read_links(csv_file(tmp_path, text))


def test_what_is_no_links_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "links.xlsx").write_bytes(b"PK")
    (tmp_path / "links.parquet").write_bytes(b"PAR0")
    (tmp_path / "latin.csv").write_bytes("ticker,permno\nÉ,1\n".encode("latin-1"))
    for name, reported in {
        "links.xlsx": "neither",
        "links.parquet": "not a readable Parquet",
        "latin.csv": "not UTF-8",
        "none.csv": "is not a file",
    }.items():
        with pytest.raises(InputError, match=reported):
            read_links(tmp_path / name)
