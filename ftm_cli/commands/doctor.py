"""`ftm doctor`: why vLLM does not answer or a run failed, each with evidence and the next step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ftm_cli.options import DataOption, ExecutionArgument, JsonOption, TargetOption

if TYPE_CHECKING:
    from ftm_cli.operations.findings import Finding

_MARKS = {"ok": ("ok", "green"), "note": ("note", "cyan"), "problem": ("PROBLEM", "bold red")}


def doctor_command(
    run: ExecutionArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Find out why vLLM does not answer, or why a run failed; changes nothing.

    On AWS: the execution, its jobs with exit codes and the end of their logs, the recorded
    failures, and vLLM from its counts down to the address that the jobs were given. On this
    machine: models, disk, data, the last run and who holds it. Each problem comes with its evidence
    and the next command; with problems the exit code is 3. A run on AWS names its own bucket:
    --data is for this machine.

    JSON: {target, problems, findings: [{about, level, what, evidence, next_step}]}; level is ok,
    note or problem.

    Examples:

        ftm doctor

        ftm doctor smoke-test-20260201-101500

        ftm doctor --target local --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.targets import chosen_target
    from ftm_core.contracts.errors import ChecksFailedError

    where = chosen_target(target)
    findings = list(_on_aws(run) if where == "aws" else _here(run, data))
    problems = [finding for finding in findings if finding.level == "problem"]
    if json_output:
        listed = [finding.as_json() for finding in findings]
        print_json({"target": where, "problems": len(problems), "findings": listed})
    else:
        _show(findings)
    if problems:
        raise ChecksFailedError(
            "ftm doctor",
            f"found {len(problems)} problem{'s' if problems[1:] else ''}: "
            + ", ".join(finding.about for finding in problems),
            "Each says what to do next.",
        )


def _on_aws(run: str | None) -> Iterator[Finding]:
    from ftm_cli.operations.aws.executions import Execution, Executions
    from ftm_cli.operations.aws.run_diagnosis import RunDiagnosis, diagnosed_run
    from ftm_cli.operations.aws.session import pinned_session
    from ftm_cli.operations.aws.vllm_diagnosis import VllmDiagnosis

    session = pinned_session()
    executions = Executions(session)
    found = diagnosed_run(executions, run)
    if isinstance(found, Execution):
        yield from RunDiagnosis(session, found).findings()
    else:
        yield found
    is_needed = bool(executions.others_running(None))
    yield from VllmDiagnosis(session).findings(is_needed=is_needed)


def _here(run: str | None, data: str | None) -> Iterator[Finding]:
    from ftm_cli.operations.local_diagnosis import diagnose_here
    from ftm_cli.operations.local_run import local_settings
    from ftm_cli.targets import open_data
    from ftm_core.contracts.quarters import Quarter

    quarter = Quarter.parse(run.split("-")[0]) if run else None
    return diagnose_here(local_settings({}), open_data(data, target="local"), quarter)


def _show(findings: list[Finding]) -> None:
    """Each finding as a small block: long evidence reads badly in the cells of a table."""
    from rich.padding import Padding
    from rich.text import Text

    from ftm_cli.console import stdout

    indent = (0, 0, 0, 9)

    for finding in findings:
        mark, style = _MARKS[finding.level]
        head = Text.assemble((f"{mark:<9}", style), (finding.about, "bold"), "  ", finding.what)
        stdout.print(head)
        for line in finding.evidence:
            stdout.print(Padding(Text(line, style="dim"), indent))
        if finding.next_step and finding.level != "ok":
            stdout.print(Padding(Text(f"Next: {finding.next_step}"), indent))
