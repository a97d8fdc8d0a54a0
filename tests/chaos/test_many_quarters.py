"""Many quarters in one command: one that fails does not stop the others, and is run alone later."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import ftm_core
from ftm_core.contracts import keys
from ftm_core.contracts.errors import ExitCode
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.finished import is_finished
from tests.chaos.conftest import NewPlace
from tests.fakes.chaos_llm import FakeLlm
from tests.fakes.chaos_runs import Place, Process

pytestmark = [pytest.mark.models, pytest.mark.long]

SAMPLE = Path(ftm_core.__file__).parent / "sample" / "2023Q1.csv"
FIRST, MIDDLE, LAST = Quarter(2021, 1), Quarter(2022, 1), Quarter(2023, 1)


def ftm(place: Place, *arguments: str) -> Process:
    """A command in the place, at its end."""
    log = place.folder / f"{arguments[0]}.log"
    command = ["ftm_cli", *arguments, "--data", str(place.data)]
    process = Process(command, place.environment, log)
    process.wait()
    return process


def ingest(place: Place, quarter: Quarter, *options: str) -> None:
    """The sample's calls, as those of the same days of another year."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    path = place.folder / f"{quarter}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            day = row["mostimportantdateutc"].replace("2023-", f"{quarter.year}-", 1)
            writer.writerow({**row, "mostimportantdateutc": day})
    done = ftm(place, "ingest", str(path), "--quarter", str(quarter), *options)
    assert done.wait() == 0, done.output


def test_run_of_many_quarters_goes_on_after_one_failed(new_place: NewPlace, llm: FakeLlm) -> None:
    """A chunk of the middle quarter is damaged; once it is ingested again, it alone is run."""
    place = new_place("quarters")
    ingest(place, FIRST)
    ingest(place, MIDDLE)
    chunk = place.data / keys.transcripts_chunk(MIDDLE, 0)
    chunk.write_bytes(chunk.read_bytes()[:-9] + b"destroyed")
    run = ("run", "--all", "--max-firms", "3", "--workers", "1")

    failed = ftm(place, *run)
    shown = " ".join(failed.output.split())
    assert failed.wait() == ExitCode.USAGE, shown
    assert f"1 of 3 quarters failed: {MIDDLE}." in shown
    assert "does not have the checksum" in shown
    finished = [is_finished(place.storage, quarter) for quarter in (FIRST, MIDDLE, LAST)]
    assert finished == [True, False, True]

    ingest(place, MIDDLE, "--replace")
    done = ftm(place, *run)
    assert done.wait() == 0, done.output
    assert done.output.count("finished before") == 2
    assert is_finished(place.storage, MIDDLE)
    planned = json.loads(ftm(place, *run, "--dry-run", "--json").output.partition("\n")[2])
    assert [quarter["estimate"]["seconds"] for quarter in planned["quarters"]] == [0, 0, 0]

    # The panel knows the first and the last as they are; the middle one only adds to it.
    ends = ftm_core.open_panel(place.data, f"{FIRST},{LAST}").themes()
    whole = ftm_core.open_panel(place.data).themes()
    kept = whole[whole["quarter"] != str(MIDDLE)].reset_index(drop=True)
    assert kept["panel_theme_id"].tolist() == ends["panel_theme_id"].tolist()
    assert len(whole) > len(kept) > 0
