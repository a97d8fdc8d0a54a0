"""`ftm monitor`: one live screen of a run, here or on AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.options import DataOption, ExecutionArgument, JsonOption, TargetOption

if TYPE_CHECKING:
    from ftm_cli.operations.aws.monitoring import AwsMonitor
    from ftm_cli.operations.following import Monitor
    from ftm_cli.operations.local_monitoring import LocalMonitor


def monitor_command(
    run: ExecutionArgument = None,
    data: DataOption = None,
    target: TargetOption = None,
    json_output: JsonOption = False,
) -> None:
    """Watch a run: states, batches, firms with rate and time left, vLLM, warnings, cost so far.

    A live screen on a terminal, a line for each change elsewhere. Goes on until the run ends, and
    then with the exit code of `ftm run`. It survives throttling, and waits half an hour for a new
    login (FTM_LOGIN_WAIT). Ctrl-C ends the watching, never the run. A run on AWS names its own
    bucket: --data is for runs on this machine.

    The cost is vLLM's for the time of the run and the jobs' own time, at the prices of the table.

    JSON, one look: {target, run, quarter, data, state, error, started, seconds, states, batches:
    {pending, running, succeeded, failed}, firms: {total, finished, failed, per_minute,
    seconds_left}, vllm: as `ftm vllm status`, requests_per_second, warnings: [{time, source,
    message}], cost_usd, prices_note, unread}; what is not known is null.

    Examples:

        ftm monitor

        ftm monitor smoke-test-20260201-101500 --json

        ftm monitor 2023Q1 --target local
    """
    from ftm_cli.console import print_json, say
    from ftm_cli.monitor_view import show
    from ftm_cli.operations.aws.waiting import Waits, stopped_by_signals
    from ftm_cli.operations.following import follow
    from ftm_cli.targets import chosen_target

    waits = Waits.from_environment()
    watched: AwsMonitor | None = None
    if chosen_target(target) == "aws":
        monitor: Monitor = (watched := _on_aws(run))
    else:
        monitor = _here(run, data)
    if json_output:
        print_json(monitor.look().as_json())
        return
    with stopped_by_signals():
        last = show(follow(monitor, waits=waits), poll=waits.poll)
    if last is None:
        say("Stopped watching. A run goes on by itself.")
        return
    if last.is_running:
        say(f"{last.run} goes on; only the watching ended. `ftm monitor` watches it again.")
        return
    if watched is not None:
        from ftm_cli.operations.aws.remote_run import raise_if_failed

        raise_if_failed(watched.execution())
    if last.state == "SUCCEEDED":
        say(f"Next: ftm evaluate --quarter {last.quarter}")
    else:
        say(f"Next: ftm run --quarter {last.quarter}, which goes on from what is finished.")


def _on_aws(run: str | None) -> AwsMonitor:
    from ftm_cli.operations.aws.monitoring import AwsMonitor
    from ftm_cli.operations.aws.session import pinned_session

    return AwsMonitor(pinned_session, run)


def _here(run: str | None, data: str | None) -> LocalMonitor:
    from ftm_cli.operations.local_monitoring import LocalMonitor
    from ftm_cli.targets import open_data
    from ftm_core.contracts.quarters import Quarter

    # A run's name begins with its quarter.
    quarter = Quarter.parse(run.split("-")[0]) if run else None
    return LocalMonitor(open_data(data, target="local"), quarter)
