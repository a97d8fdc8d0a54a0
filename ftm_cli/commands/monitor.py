"""`ftm monitor`: one live screen of a run."""

from __future__ import annotations

from ftm_cli.options import (
    AllQuartersOption,
    DataOption,
    ExecutionArgument,
    JsonOption,
    QuartersOption,
    TargetOption,
)


def monitor_command(
    run: ExecutionArgument = None,
    quarters: QuartersOption = None,
    every: AllQuartersOption = False,
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Watch a run: states, batches, firms with rate and time left, vLLM, warnings, cost so far.

    A live screen on a terminal, a line for each change elsewhere. It ends when the run ends, with
    the exit code of `ftm run`. It survives throttling, and waits half an hour for a new login
    (FTM_LOGIN_WAIT). Ctrl-C ends the watching, never the run. A run on AWS names its own bucket:
    --data is for runs on this machine.

    With --quarters or --all: one line for the latest run of each quarter, as it is now.

    The cost is vLLM's for the time of the run and the jobs' own time, at the prices of the table.

    JSON, one snapshot: `ftm schema monitor`; what is not known is null.

    Examples:

        ftm monitor

        ftm monitor smoke-test-20260201-101500 --json

        ftm monitor 2023Q1 --target local

        ftm monitor --quarters 2016Q3..2017Q1
    """
    from ftm_cli.console import print_json, say
    from ftm_cli.operations.aws.waiting import Waits, stopped_by_signals
    from ftm_cli.operations.following import follow
    from ftm_cli.targets.quarters import latest_runs
    from ftm_cli.targets.reports import monitor_report
    from ftm_cli.views.monitor import print_line, show
    from ftm_cli.views.target import announced_target
    from ftm_core.contracts.states import RunState

    waits = Waits.from_environment()
    chosen = announced_target(target, data)
    if quarters is not None or every:
        names = latest_runs(chosen, quarters, every)
        snapshots = [chosen.observe(name).poll() for name in names]
        if json_output:
            print_json(monitor_report(chosen, snapshots).as_json())
        else:
            for snapshot in snapshots:
                print_line(snapshot)
        return
    monitor = chosen.observe(run)
    if json_output:
        print_json(monitor_report(chosen, [monitor.poll()]).as_json())
        return
    with stopped_by_signals():
        last = show(follow(monitor, waits=waits), poll=waits.poll)
    if last is None:
        say("Stopped watching. The run keeps running.")
        return
    if last.is_running:
        say(f"{last.run} keeps running; only the watching ended. `ftm monitor` watches it again.")
        return
    chosen.raise_if_failed(monitor)
    if last.state == RunState.SUCCEEDED:
        say(f"Next: ftm evaluate --quarter {last.quarter}")
    else:
        say(f"Next: ftm run --quarter {last.quarter}, which resumes it.")
