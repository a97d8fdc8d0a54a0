"""Targets: which one is meant, one rule for a run's state, and the quarters of a command."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from ftm_cli.app import app
from ftm_cli.operations.local_monitoring import LocalMonitor
from ftm_cli.results.runs import ErrorResult, RunResult
from ftm_cli.results.schemas import SCHEMAS
from ftm_cli.targets import chosen_target, resolve_target
from ftm_cli.targets.aws import AwsTarget
from ftm_cli.targets.base import RunOptions
from ftm_cli.targets.local import LocalTarget
from ftm_cli.targets.quarters import require_same_inputs, select_quarters
from ftm_cli.targets.reports import plan_report
from ftm_cli.targets.slurm.target import SlurmTarget
from ftm_cli.views.run import show_results
from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError, RunRefusedError
from ftm_core.contracts.quarters import Quarter, parse_quarters
from ftm_core.contracts.states import FailureCause, RunStage, RunState, parse_failure
from ftm_core.data.lease import this_process
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import build_small_quarter, edit_json

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "infra/terraform/stepfunctions/definitions/quarter_processor.asl.json.tftpl"
EARLIER, LATER = Quarter(2022, 4), Quarter(2023, 1)


def test_target_unknown_is_refused() -> None:
    with pytest.raises(InputError, match="local"):
        chosen_target("moon")


def test_each_run_option_fits_a_target() -> None:
    """An option that no target takes could never be given."""
    common = {"--quarter", "--quarters", "--all", "--data", "--target", "--restart", "--dry-run"}
    common |= {"--yes", "--json", "--help"}
    command = get_command(app).commands["run"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts if name[:2] == "--"}
    taken = LocalTarget.run_flags | AwsTarget.run_flags | SlurmTarget.run_flags
    assert options - common == taken


def test_killed_run_has_one_state_in_monitor_and_runs(tmp_path: Path) -> None:
    """A dead owner: neither command says that the run is still at work (D4)."""
    storage = LocalStorage(tmp_path)
    build_small_quarter(storage)
    dead = dataclasses.asdict(
        dataclasses.replace(this_process("2023Q1-20230601-120000"), process_started=1.0)
    )
    edit_json(storage, keys.run_identity(LATER), lambda run: run.update(owner=dead, finished=None))
    target = LocalTarget(str(tmp_path))
    (record,) = target.history(20)
    assert record.state == RunState.UNFINISHED
    assert LocalMonitor(storage, None).poll().state == record.state


def test_failure_causes_are_those_of_the_state_machine() -> None:
    """Each error name of ours in the template is known here."""
    named = set(re.findall(r'"Error": "(Ftm\.\w+)"', TEMPLATE.read_text(encoding="utf-8")))
    assert named
    assert named <= set(FailureCause)


def test_run_stages_are_those_of_the_state_machine() -> None:
    named = set(re.findall(r'"stage": "(\w+)"', TEMPLATE.read_text(encoding="utf-8")))
    # A run without an instance is stopped in the middle of its map, which says so in its cause.
    assert named | {"map"} == set(RunStage)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("Stage checks: Ftm.ChecksFailed. Over", ("checks", FailureCause.CHECKS_FAILED)),
        ("Stage map: States.TaskFailed. gone", ("map", FailureCause.RUN_FAILED)),
        ("Stage map: States.TaskFailed. Ftm.ChecksFailed", ("map", FailureCause.RUN_FAILED)),
        ("something else", ("", FailureCause.RUN_FAILED)),
    ],
)
def test_parse_failure_reads_stage_and_cause(
    cause: str, expected: tuple[str, FailureCause]
) -> None:
    assert parse_failure(cause) == expected


@given(st.integers(1990, 2040), st.integers(1, 4), st.integers(0, 60))
def test_parse_quarters_range_has_every_quarter(year: int, number: int, length: int) -> None:
    quarters = [Quarter(year, number)]
    for _ in range(length):
        quarters.append(quarters[-1].next())
    assert parse_quarters(f"{quarters[0]}..{quarters[-1]}") == (quarters, True)


@pytest.mark.parametrize("text", ["2023Q1..", "2023Q2..2023Q1", "2023Q5", "", "1000Q1..2023Q1"])
def test_parse_quarters_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_quarters(text)


def test_select_quarters_range_skips_what_is_missing() -> None:
    available = [EARLIER, LATER]
    found = select_quarters(available, quarters="2022Q3..2023Q1", what="themes", where="data")
    assert found == available
    with pytest.raises(InputError, match="2022Q3"):
        select_quarters(available, quarters="2022Q3,2023Q1", what="themes", where="data")
    with pytest.raises(InputError, match="one way"):
        select_quarters(available, quarter="2023Q1", every=True, what="themes", where="data")


def test_quarters_with_other_settings_are_refused(tmp_path: Path) -> None:
    """The panel would compare the settings, not the quarters; the error names the setting."""
    storage = LocalStorage(tmp_path)
    build_small_quarter(storage, of=EARLIER)
    build_small_quarter(storage, of=LATER)

    def with_another_seed(run: dict[str, dict[str, dict[str, dict[str, int]]]]) -> None:
        run["inputs"]["settings"]["llm"]["seed"] = 7

    target = LocalTarget(str(tmp_path))
    plans = [target.plan(quarter, RunOptions()) for quarter in (EARLIER, LATER)]
    require_same_inputs(storage, plans)
    edit_json(storage, keys.run_identity(LATER), with_another_seed)
    with pytest.raises(RunRefusedError, match="seed"):
        require_same_inputs(storage, plans)


def test_plan_of_two_quarters_adds_up(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    for quarter in (EARLIER, LATER):
        build_small_quarter(storage, of=quarter)
    target = resolve_target("local", str(tmp_path))
    report = plan_report(target, [target.plan(item, RunOptions()) for item in (EARLIER, LATER)])
    assert [plan.firms for plan in report.quarters] == [7, 7]
    assert report.total.usd == 0
    assert report.data == storage.uri


def test_runs_of_named_quarters_have_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for quarter in (EARLIER, LATER):
        build_small_quarter(LocalStorage(tmp_path / "data"), of=quarter)
    for options, listed in (
        ((), ["2023Q1"]),
        (("--quarters", "2022Q3..2022Q4"), ["2022Q4"]),
        (("--all",), ["2023Q1", "2022Q4"]),
    ):
        shown = CliRunner().invoke(app, ["runs", "--limit", "1", "--json", *options])
        assert [run["quarter"] for run in json.loads(shown.stdout)["runs"]] == listed


def test_results_of_quarters_name_those_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    done, failed = (
        RunResult(
            quarter=quarter,
            run=f"{quarter}-1",
            state=RunState.FAILED if error else RunState.SUCCEEDED,
            nothing_to_do=False,
            error=error,
        )
        for quarter, error in (
            ("2022Q4", None),
            ("2023Q1", ErrorResult(where="The file x.csv", cause="is empty", hint="", exit_code=2)),
        )
    )
    show_results([done, failed], "data")
    shown = capsys.readouterr()
    assert "The file x.csv is empty." in shown.out
    assert "1 of 2 quarters failed: 2023Q1." in shown.err
    show_results([done, done], "data")
    assert "Next: ftm evaluate --quarters 2022Q4,2022Q4" in capsys.readouterr().err


def test_schema_prints_one_document_per_command() -> None:
    for name, model in SCHEMAS.items():
        shown = CliRunner().invoke(app, ["schema", name])
        assert json.loads(shown.stdout)["title"] == model.__name__
    assert CliRunner().invoke(app, ["schema", "nonsense"]).exit_code == 2


@pytest.mark.parametrize(
    ("command", "schema"),
    [
        (["runs"], "runs"),
        (["runs", "--quarters", "2023Q1"], "runs"),
        (["runs", "--all"], "runs"),
        (["monitor"], "monitor"),
        (["monitor", "--all"], "monitor"),
        (["run", "--all", "--dry-run"], "plan"),
        (["doctor"], "doctor"),
    ],
)
def test_json_of_a_command_fits_its_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], schema: str
) -> None:
    """The target is named on stderr before anything else, and stdout is one JSON document."""
    monkeypatch.chdir(tmp_path)
    build_small_quarter(LocalStorage(tmp_path / "data"))
    shown = CliRunner().invoke(app, [*command, "--target", "local", "--json"])
    assert shown.stderr.startswith("Target: local. Data: ")
    assert SCHEMAS[schema].model_validate_json(shown.stdout)


@pytest.mark.slow
def test_report_and_evaluate_take_a_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for quarter in (EARLIER, LATER):
        build_small_quarter(LocalStorage(tmp_path / "data"), of=quarter)
    for command in ("evaluate", "report"):
        shown = CliRunner().invoke(app, [command, "--quarters", "2022Q1..2023Q1", "--json"])
        listed = json.loads(shown.stdout)["quarters"]
        assert [item["quarter"] for item in listed] == ["2022Q4", "2023Q1"]
    assert (tmp_path / "report" / "2022Q4.html").stat().st_size > 10_000
