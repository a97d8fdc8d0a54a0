"""`ftm doctor`: why vLLM does not answer or a run failed, each with evidence and the next step."""

from __future__ import annotations

from ftm_cli.options import DataOption, ExecutionArgument, JsonOption, TargetOption


def doctor_command(
    run: ExecutionArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Find out why vLLM does not answer, or why a run failed; changes nothing.

    On AWS: the execution, its jobs with exit codes and the end of their logs, the recorded
    failures, and vLLM from its counts down to the address that the jobs were given. On this
    machine: models, disk, data, the last run and the process that owns it. Each problem comes with
    its evidence and the next command; with problems the exit code is 3.

    JSON: `ftm schema doctor`.

    Examples:

        ftm doctor

        ftm doctor smoke-test-20260201-101500

        ftm doctor --target local --json
    """
    from ftm_cli.console import print_json
    from ftm_cli.targets.reports import doctor_report
    from ftm_cli.views.diagnosis import show_findings
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.errors import ChecksFailedError

    chosen = announced_target(target, data)
    findings = list(chosen.diagnose(run))
    problems = [finding for finding in findings if finding.level == "problem"]
    if json_output:
        print_json(doctor_report(chosen, findings).as_json())
    else:
        show_findings(findings)
    if problems:
        raise ChecksFailedError(
            "The command `ftm doctor`",
            f"found {len(problems)} problem{'s' if problems[1:] else ''}: "
            + ", ".join(finding.about for finding in problems),
            "Do what each of them says next.",
        )
