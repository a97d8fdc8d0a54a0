"""`ftm report` as an operator runs it, and what a large quarter's page leaves out."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.contracts.events import ignore
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.report import theme_entries, topic_map
from ftm_core.report.content import collect, quarter_views
from ftm_core.report.page import render_page
from ftm_core.report.quarter_tables import QuarterTables
from tests.fakes.large_tables import write_large_tables
from tests.fakes.small_quarter import QUARTER, SmallQuarter, edit_table, read_rows


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FTM_DATA", raising=False)


def report(quarter: SmallQuarter, *more: str) -> Result:
    return CliRunner().invoke(app, ["report", "--data", quarter.storage.uri, *more])


def words_of(page: bytes) -> str:
    text = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", page.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_latest_quarter_is_written_and_named(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    written = report(finished_quarter, "--json")
    assert written.exit_code == 0, written.output
    (facts,) = json.loads(written.stdout)["quarters"]
    path = tmp_path / "report" / "2023Q1.html"
    assert Path(facts["path"]) == path.resolve()
    assert facts["bytes"] == path.stat().st_size < 2_500_000
    assert (facts["themes"], facts["topics"], facts["topics_on_map"]) == (2, 13, 13)
    words = words_of(path.read_bytes())
    assert "Sampled" not in words
    (in_themes,) = re.findall(r"Topics 13 (\d+) are in themes", words)
    topics = read_rows(finished_quarter.storage, keys.processed_table("topics", QUARTER))
    assert int(in_themes) == sum(row["theme_id"] is not None for row in topics)
    # Seven firms failed by one whole and one topic, which is over the tolerance of today.
    assert "1 check fails: failures-tolerated" in words
    assert "F7 ValueError: made to fail" in words
    assert f"Run {finished_quarter.run_id}" in words
    # F3 said the same in both calls, so its topics share their answers.
    assert "LLM answers kept 13" in words
    assert "The run left no timings" in words


def test_timings_of_the_run_are_shown(small_quarter: SmallQuarter, tmp_path: Path) -> None:
    timings = {
        "run_name": "a run",
        "stages": [{"stage": "map", "seconds": 4521.0}],
        "peak_memory_mib": 1234.5,
    }
    small_quarter.storage.write("progress/2023Q1/timings.json", json.dumps(timings).encode())
    written = report(small_quarter, "--output", "page.html")
    assert written.exit_code == 0
    assert written.stdout == f"{tmp_path.resolve() / 'page.html'}\n"
    words = words_of((tmp_path / "page.html").read_bytes())
    assert "Stage map 1 h 15 min Peak memory 1,234 MiB" in words
    small_quarter.storage.write("progress/2023Q1/timings.json", b"{}")
    damaged = report(small_quarter)
    assert damaged.exit_code == 2
    assert "timings.json" in damaged.stderr


def test_a_damaged_quarter_has_a_page_that_says_so(
    small_quarter: SmallQuarter, tmp_path: Path
) -> None:
    def misnamed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        strange = {"theme_id": "theme_2023Q1_999", "topic_id": "F9_0", "firm_id": "F9"}
        return [
            {**rows[0], **strange},
            {**rows[0], **strange, "theme_id": rows[0]["theme_id"]},
            *rows,
        ]

    storage = small_quarter.storage
    edit_table(storage, keys.theme_contributions(QUARTER), misnamed)
    edit_table(storage, keys.processed_table("sentences", QUARTER), lambda rows: rows[5:])
    assert report(small_quarter, "--output", "page.html").exit_code == 0
    words = words_of((tmp_path / "page.html").read_bytes())
    assert "contribution-references" in words.partition("See the checks")[0]
    assert "sentences-table" in words.partition("See the checks")[0]


def test_a_quarter_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["report", "-q", "2023Q1", "--data", str(tmp_path)])
    assert refused.exit_code == 2
    assert "ftm run --quarter 2023Q1" in " ".join(refused.stderr.split())
    assert list(tmp_path.iterdir()) == []


def vectors_by_theme(topic_ids: Sequence[str]) -> np.ndarray:
    """Made up: the large tables have no map output behind them."""
    return np.random.default_rng(len(topic_ids)).normal(size=(len(topic_ids), 32))


def test_a_large_quarter_is_sampled_by_a_fixed_rule_and_says_so(
    small_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_map, "MOST_TOPICS", 300)
    monkeypatch.setattr(theme_entries, "MOST_TOPICS", 200)
    content = collect(small_quarter.storage, QUARTER, small_quarter.settings, ignore)
    write_large_tables(small_quarter, topics=1000, firms=50, themes=10, sentences=3)

    def page() -> bytes:
        tables = QuarterTables(QuarterStore(small_quarter.storage, QUARTER))
        views = quarter_views(tables, vectors_by_theme, 8)
        assert {-1, *range(10)} == set(views.topic_map["theme"])
        assert {len(entry.detail["topics"]) for entry in views.themes} == {20}
        return render_page(dataclasses.replace(content, views=views), "nothing")

    first = page()
    words = words_of(first)
    drawn = re.search(r"Sampled: (\d+) of 1,000 topics are drawn", words)
    assert drawn is not None
    assert 290 <= int(drawn.group(1)) <= 300
    assert re.search(r"Sampled: 200 of \d{3} topics open below their themes", words)
    assert "Shown are the 40 firms (of 50)" in words
    topics = QuarterTables(QuarterStore(small_quarter.storage, QUARTER)).topics
    n_in_themes = len(topics) - topics["theme_id"].null_count
    assert f"Topics 1,000 {n_in_themes} are in themes" in words
    assert page() == first
