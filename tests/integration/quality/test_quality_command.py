"""`ftm quality` as an operator runs it on a finished quarter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.contracts.settings import ThemeSettings
from ftm_core.quality import measure
from ftm_core.themes.assignment import Assignment
from ftm_core.themes.quarter_sentences import QuarterSentences
from tests.fakes.small_quarter import QUARTER, SmallQuarter, edit_table, read_rows


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FTM_DATA", raising=False)


def ftm(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def measures(quarter: SmallQuarter, *more: str) -> dict[str, dict[str, Any]]:
    shown = ftm("quality", "--json", "--data", quarter.storage.uri, *more)
    assert shown.exit_code == 0, shown.output
    return {found["id"]: found for found in json.loads(shown.stdout)["measures"]}


def test_measures_of_the_small_quarter_equal_those_by_hand(
    finished_quarter: SmallQuarter,
) -> None:
    found = measures(finished_quarter)
    # Seven calls written, each of one greeting, three and two sentences in a topic, one of neither.
    assert found["coverage"]["value"] == pytest.approx(35 / 42)
    assert "7 of 49 are small talk" in found["coverage"]["detail"]
    # pricing, cost; freight, cost.
    assert found["theme-diversity"]["value"] == 0.75
    assert found["summaries-ungrounded"]["value"] == 0.0
    assert found["duplicate-names"]["value"] == 0.0
    assert "theme-purity" not in found


def test_themes_are_judged_by_more_calls_than_topics_are(
    finished_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_all = measures(finished_quarter)
    monkeypatch.setattr(measure, "CALLS_MEASURED", {"topic": 2, "theme": 1_000})
    found = measures(finished_quarter)

    assert "by the words of 2 of 7 calls" in found["topic-coherence"]["detail"]
    assert "by the words of 7 of 7 calls" in found["theme-coherence"]["detail"]
    assert found["theme-coherence"]["value"] == of_all["theme-coherence"]["value"]


def test_invented_number_and_double_name_are_warnings(small_quarter: SmallQuarter) -> None:
    def invent(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "summary": row["summary"] + " It earned 77 in Utah."} for row in rows]

    def same_name(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "name": "The same"} for row in rows]

    edit_table(small_quarter.storage, keys.processed_table("topics", QUARTER), invent)
    edit_table(small_quarter.storage, keys.themes(QUARTER), same_name)
    found = measures(small_quarter)
    assert found["summaries-ungrounded"]["value"] == 1.0
    assert "77, utah" in found["summaries-ungrounded"]["detail"]
    assert found["duplicate-names"]["warning"]
    shown = ftm("quality", "--data", small_quarter.storage.uri)
    assert shown.exit_code == 0
    assert "WARN" in shown.stdout
    assert "warning: duplicate-names" in " ".join(shown.stderr.split())


def test_quality_takes_thresholds_of_the_project_file(
    finished_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not measures(finished_quarter)["coverage"]["warning"]
    (tmp_path / "ftm.toml").write_text("[quality]\nmin_coverage = 0.9\n")
    monkeypatch.chdir(tmp_path)
    assert measures(finished_quarter)["coverage"]["warning"]


def test_themes_that_follow_a_given_key_are_pure(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    rows = read_rows(finished_quarter.storage, keys.processed_table("sentences", QUARTER))
    lines = ["transcript_id,position,planted_theme"]
    for row in rows:
        planted = {0: "small_talk", 6: "other"}.get(row["position"])
        planted = planted or ("pricing" if row["position"] < 4 else "freight")
        lines.append(f"{row['transcript_id']},{row['position']},{planted}")
    path = tmp_path / "key.csv"
    path.write_text("\n".join(lines))
    found = measures(finished_quarter, "--key", str(path))
    assert found["theme-purity"]["value"] == 1.0
    assert found["planted-recovered"]["value"] == 1.0
    assert found["ari"]["value"] == 1.0


def test_stability_is_the_mean_agreement_of_the_seeds(
    finished_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four seeds part prices from freight, one does not: six of ten pairs agree, four by chance."""

    def assign(sentences: QuarterSentences, settings: ThemeSettings) -> Assignment:
        texts = sentences.table["raw_text"].take(sentences.kept).to_pylist()
        parted = [int("price" in text) for text in texts]
        if settings.seed == ThemeSettings().seed:
            parted = [0] * len(texts)
        return Assignment(np.array(parted), np.ones(len(texts), np.float32))

    monkeypatch.setattr("ftm_core.quality.stability.assign_sentences", assign)
    assert "stability" not in measures(finished_quarter)
    found = measures(finished_quarter, "--stability")["stability"]
    assert found["value"] == pytest.approx(0.6)
    assert found["threshold"] == "at least 0.5"


def test_an_unfinished_quarter_and_a_missing_key_are_refused(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    assert ftm("quality", "-q", "2023Q1", "--data", str(tmp_path)).exit_code == 2
    missing = ftm("quality", "--data", finished_quarter.storage.uri, "--key", "no.csv")
    assert missing.exit_code == 2
    assert "no.csv" in missing.stderr
