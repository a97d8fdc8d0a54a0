"""Every question that `ftm` asks: a no and a missing answer end with 4 and change nothing."""

from __future__ import annotations

import ast
import io
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import ftm_cli
from ftm_cli.app import app

from . import test_deploy
from .conftest import Project
from .test_deploy import deployed as everything
from .test_deploy import deployed_infra, has_state, source
from .test_run_on_aws import LONG, SUCCEEDING, statuses

__all__ = ["deployed_infra", "everything", "source"]

RUN = "2023Q1-20260101-000000"
# How each question begins, by the module that asks it, and the test that declines it.
QUESTIONS = {
    ("cancel", "Stop "): "test_question_of_a_service_declined_is_4",
    ("deployment", "Apply it?"): "test_question_of_deploy_declined_is_4",
    ("deploy", "Apply "): "test_each_step_that_was_not_shown_is_asked_about",
    ("destroy", "Type the name"): "test_question_of_destroy_declined_is_4",
    ("destroy", "Destroy "): "test_question_of_destroy_declined_is_4",
    ("pin_profile", "Pin account "): "test_question_of_pin_declined_is_4",
    ("run", "Start it?"): "test_question_of_a_service_declined_is_4",
    ("smoke", "Start it?"): "test_question_of_a_service_declined_is_4",
    ("vllm", "Start it?"): "test_question_of_a_service_declined_is_4",
    ("vllm", "Take vLLM down"): "test_question_of_a_service_declined_is_4",
}
ASKING = {"confirm", "confirm_or_decline", "ask_text"}
RAW = {"confirm", "prompt", "input", "getpass", "launch", "pause"}


def calls(path: Path) -> Iterable[tuple[str, str, ast.Call]]:
    """Module prefix, name and node of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                yield getattr(function.value, "id", ""), function.attr, node
            elif isinstance(function, ast.Name):
                yield "", function.id, node


def beginning(node: ast.expr) -> str:
    """The constant text at the start of a string or an f-string."""
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    assert isinstance(first, ast.Constant), ast.dump(node)
    return str(first.value)


def test_every_question_has_a_test_here() -> None:
    """Class: exit codes. A new question fails this test until its refusal is tried below.

    Nothing but the console's own three functions may ask: others would end with 1 for a no.
    """
    found = set()
    for path in Path(ftm_cli.__file__).parent.rglob("*.py"):
        for module, name, node in calls(path):
            if path.name == "console.py":
                continue
            assert not (module in {"typer", "click", "Prompt", "Confirm"} and name in RAW), path
            assert not (not module and name in {"input", "getpass", "prompt"}), path
            if not module and name in ASKING:
                text = beginning(node.args[0])
                # The longest beginning that fits: "Apply it?" rather than "Apply ".
                fitting = [
                    key for key in QUESTIONS if key[0] == path.stem and text.startswith(key[1])
                ]
                question = max(fitting, key=lambda key: len(key[1]), default=(path.stem, text))
                found.add(question)
    assert found == set(QUESTIONS)
    assert all(name in globals() or hasattr(test_deploy, name) for name in QUESTIONS.values())


class Answers(io.StringIO):
    """A standard input with these lines; ``meanwhile`` happens as the first of them is read."""

    def __init__(self, lines: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        super().__init__(lines)
        self._meanwhile = [meanwhile]

    def readline(self, size: int | None = -1, /) -> str:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super().readline(-1 if size is None else size)


@pytest.fixture
def decline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command in this process; it must end with 4. Returns what it printed."""

    def run(project: Project, answers: io.StringIO | None, *arguments: str) -> str:
        for name in set(os.environ) - set(project.environment):
            monkeypatch.delenv(name)
        for name, value in project.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(project.folder)
        monkeypatch.setattr(sys, "stdin", answers)
        before = (project.folder / "ftm.toml").read_text()
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        reported = capsys.readouterr()
        assert ended.value.code == 4, reported.err
        assert (project.folder / "ftm.toml").read_text() == before
        assert reported.out == ""
        return " ".join(reported.err.split())

    return run


def test_question_of_pin_declined_is_4(unpinned: Project, decline: Callable[..., str]) -> None:
    """Class: exit codes. With --json as well, pinning an account needs a yes or --yes."""
    for answers in (Answers("n\n"), None):
        reported = decline(unpinned, answers, "pin-profile", "research", "--json")
        assert "Pin account 123456789012" in reported


def test_question_of_a_service_declined_is_4(project: Project, decline: Callable[..., str]) -> None:
    """Class: exit codes. Run, smoke, vLLM up and down, cancel: nothing starts, nothing stops."""
    stage = project.stage
    stage.deploy_vllm()
    stage.fill_bucket()
    stage.deploy_state_machine(SUCCEEDING)

    def declined(question: str, *arguments: str) -> None:
        for answers in (Answers("n\n"), None):
            before = (statuses(project), stage.desired_counts())
            assert question in decline(project, answers, *arguments)
            assert (statuses(project), stage.desired_counts()) == before

    declined("Start it?", "run", "-q", "2023Q1", "--json")
    declined("Start it?", "smoke", "-q", "2023Q1")
    declined("Start it?", "scale-up")
    states = stage.client("stepfunctions")
    (machine,) = states.list_state_machines()["stateMachines"]
    states.delete_state_machine(stateMachineArn=machine["stateMachineArn"])
    stage.deploy_state_machine(LONG)
    (machine,) = states.list_state_machines()["stateMachines"]
    states.start_execution(stateMachineArn=machine["stateMachineArn"], name=RUN)
    declined("Take vLLM down all the same?", "scale-down")
    declined(f"Stop {RUN}?", "cancel", RUN, "--target", "aws", "--json")


def test_question_of_deploy_declined_is_4(source: Project, decline: Callable[..., str]) -> None:
    """Class: exit codes. Nothing is deployed, and ftm.toml stays as it was."""
    for answers in (Answers("n\n"), None):
        reported = decline(source, answers, "deploy", "--state-bucket", "ftm-test-data")
        assert "Apply it?" in reported
        assert has_state(source) == []


def test_question_of_destroy_declined_is_4(
    everything: Project, decline: Callable[..., str]
) -> None:
    """Class: exit codes. Without the profile's name, or with a no to a step, everything stays.

    A step is asked about again when its plan changed since it was shown: while the operator reads
    the first question, somebody else changes the module.
    """
    state = everything.folder / "infra" / "terraform" / "stepfunctions" / "terraform.tfstate"

    def another_resource() -> None:
        state.write_text(state.read_text().replace('"machine"', '"another"'))

    only = ("--only", "stepfunctions")
    for answers in (Answers("n\n"), None):
        reported = decline(everything, answers, "destroy", *only)
        assert "Type the name of the pinned profile" in reported
    for answers in ("research\nn\n", "research\n"):
        reported = decline(everything, Answers(answers, another_resource), "destroy", *only)
        assert "Destroy stepfunctions as well?" in reported
        state.write_text(state.read_text().replace('"another"', '"machine"'))
    assert has_state(everything) == ["batch", "ecs", "stepfunctions"]
