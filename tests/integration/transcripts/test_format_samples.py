"""Each sample of a form in which calls come gives its expected counts through `ftm ingest`."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

from typer.testing import CliRunner

from ftm_cli.app import app
from tests.fakes.needs import skip_or_fail

FOLDER = Path(
    os.environ.get("FTM_FORMATS_DIR", Path(__file__).parents[4] / "shared" / "data" / "formats")
)
# What a user has to say of a sample besides its path.
OPTIONS = {
    "alpha_vantage/": ["--dates", str(FOLDER / "alpha_vantage" / "meta.csv")],
    "date_us.csv": ["--date-format", "%m/%d/%Y"],
    "motley_kaggle_odd.csv": ["--accept-rejects"],
}
REFUSED = "motley_kaggle.pkl"


def expected() -> list[dict[str, str]]:
    """The rows of the samples' own table of expected counts."""
    table = FOLDER / "expected.csv"
    if not table.exists():
        skip_or_fail(f"{table} is missing; FTM_FORMATS_DIR names another folder")
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_sample_gives_its_expected_rows(tmp_path: Path) -> None:
    """All are tried before the first difference is reported, so that one run shows every fault."""
    rows = expected()
    wrong: list[str] = []
    for row in rows:
        name = row["sample"]
        arguments = ["ingest", str(FOLDER / name), "--quarter", row["quarter"]]
        arguments += ["--data", str(tmp_path / name.strip("/")), "--json", *OPTIONS.get(name, [])]
        shown = CliRunner().invoke(app, arguments)
        if name == REFUSED:
            if shown.exit_code != 2 or "read_pickle" not in shown.stderr:
                wrong.append(f"{name}: not refused with the way out: {shown.stderr}")
            continue
        if shown.exit_code:
            wrong.append(f"{name}: {shown.stderr}")
            continue
        found = json.loads(shown.stdout)
        [quarter] = found["quarters"]
        found["operator_turns"] = quarter["turns_by_speaker_type"].get("Operator", 0)
        for count in ("firms", "calls", "turns", "sentences", "operator_turns"):
            if row[count] and found[count] != int(row[count]):
                wrong.append(f"{name}: {count} {found[count]}, expected {row[count]}")
    assert len(rows) > 30
    assert not wrong, "\n".join(wrong)
