"""What `ftm evaluate` says of a sound quarter, a partial one and an unfinished one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftm_core.checks.evaluate import evaluate
from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import MapSettings, QualityThresholds, Settings
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import (
    QUARTER,
    SmallQuarter,
    build_small_quarter,
    edit_json,
    settings_of_small_quarter,
)


def test_sound_quarter_passes_with_values(finished_quarter: SmallQuarter) -> None:
    report = evaluate(finished_quarter.storage, QUARTER, finished_quarter.settings)
    assert report.passed, report.failed
    values = {check.id: check.value for check in report.checks}
    assert values["summary-present"] == "13 of 13 topics"
    assert values["sentences-add-up"] == "49 written + 7 of failed firms = 56"
    assert values["failures-tolerated"] == "2 of 7 firms failed, tolerated 50%"
    assert values["themes-present"] == "2 themes, 13 of 13 topics in one"
    assert values["sentiment-complete"] == (
        "11 rows + 2 left out of 1 firms without permno = 13 contributions"
    )
    assert all(check.detail == "" for check in report.checks)


def test_sample_rows_are_those_of_the_runbook(finished_quarter: SmallQuarter) -> None:
    samples = evaluate(finished_quarter.storage, QUARTER, finished_quarter.settings).samples
    assert list(samples.topics[0]) == ["firm_name", "topic_id", "representation", "summary"]
    assert len(samples.topics) == 10
    assert list(samples.themes[0]) == ["theme_id", "name", "description", "n_firms", "n_topics"]
    assert {"theme_id", "firm_name", "permno", "earnings_call_date"} <= set(
        samples.contributions[0]
    )


def test_the_json_shape_is_plain(finished_quarter: SmallQuarter) -> None:
    report = evaluate(finished_quarter.storage, QUARTER, finished_quarter.settings)
    shape = json.loads(json.dumps(report.as_json()))
    assert set(shape) == {
        "quarter", "data", "run_id", "passed", "n_passed", "n_failed", "checks", "warnings",
        "samples",
    }  # fmt: skip
    assert set(shape["checks"][0]) == {"id", "group", "title", "passed", "value", "detail"}
    assert shape["n_passed"] == len(shape["checks"])
    assert shape["samples"]["contributions"][0]["earnings_call_date"] == "2023-01-01"


def test_measures_beyond_thresholds_warn_and_fail_nothing(
    small_quarter: SmallQuarter,
) -> None:
    settings = small_quarter.settings
    demanding = settings.model_copy(update={"quality": QualityThresholds(min_coverage=0.99)})

    calm = evaluate(small_quarter.storage, QUARTER, settings)
    warned = evaluate(small_quarter.storage, QUARTER, demanding)

    assert calm.warnings is not None
    assert "coverage" not in [measure.id for measure in calm.warnings]
    assert warned.passed
    assert warned.warnings is not None
    assert "coverage" in [measure.id for measure in warned.warnings]
    small_quarter.storage.delete(keys.themes(QUARTER))
    assert evaluate(small_quarter.storage, QUARTER, demanding).warnings is None


def test_a_run_over_some_firms_accounts_for_the_others(tmp_path: Path) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path), max_firms=4)
    report = evaluate(quarter.storage, QUARTER, quarter.settings)
    assert report.passed, report.failed
    values = {check.id: check.value for check in report.checks}
    assert values["sentences-add-up"] == (
        "35 written + 0 of failed firms + 21 of firms left out by --max-firms = 56"
    )


def test_failures_are_compared_with_the_present_tolerance(finished_quarter: SmallQuarter) -> None:
    strict = Settings(map=MapSettings(max_failure_rate=0.05))
    report = evaluate(finished_quarter.storage, QUARTER, strict)
    assert [check.id for check in report.failed] == ["failures-tolerated"]
    assert "not this one" in report.failed[0].detail


def test_newer_code_matches_the_responses_by_text(
    small_quarter: SmallQuarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A later ftm asks differently; what an earlier one received is evidence all the same.
    monkeypatch.setattr("ftm_core.checks.answer_evidence.row_code_version", lambda: "later")
    assert evaluate(small_quarter.storage, QUARTER, small_quarter.settings).passed
    for key in list(small_quarter.storage.list(keys.answers_prefix(QUARTER))):
        small_quarter.storage.delete(key)
    report = evaluate(small_quarter.storage, QUARTER, small_quarter.settings)
    assert [check.id for check in report.failed] == ["llm-answers", "theme-answers"]


def test_a_quarter_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no run.*ftm run --quarter 2024Q4"):
        evaluate(LocalStorage(tmp_path), Quarter(2024, 4), settings_of_small_quarter())


@pytest.mark.parametrize(
    ("until", "message"), [("map", "3 firms are pending"), ("reduce", "is not finished")]
)
def test_an_unfinished_quarter_is_refused(tmp_path: Path, until: str, message: str) -> None:
    quarter = build_small_quarter(LocalStorage(tmp_path), until=until)
    with pytest.raises(InputError, match=message):
        evaluate(quarter.storage, QUARTER, quarter.settings)


def test_fault_6_themes_of_an_older_map_output_are_refused(small_quarter: SmallQuarter) -> None:
    edit_json(
        small_quarter.storage,
        keys.reduce_state(QUARTER),
        lambda state: state.update(map_output="older"),
    )
    with pytest.raises(InputError, match="other topics than its present ones"):
        evaluate(small_quarter.storage, QUARTER, small_quarter.settings)


def test_a_torn_record_of_the_reduce_is_named(small_quarter: SmallQuarter) -> None:
    small_quarter.storage.write(keys.reduce_state(QUARTER), b'{"run_id": ')
    with pytest.raises(InputError, match=r"reduce\.json.*not a valid record"):
        evaluate(small_quarter.storage, QUARTER, small_quarter.settings)
