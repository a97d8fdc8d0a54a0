"""Plans and results of runs on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from ftm_cli.console import print_table, say, stderr, stdout
from ftm_cli.operations.costs import duration
from ftm_core.contracts.errors import sentence_of
from ftm_core.contracts.states import RunState

if TYPE_CHECKING:
    from rich.console import Console

    from ftm_cli.results.runs import EstimateResult, RunResult
    from ftm_cli.targets.base import QuarterPlan, RunOptions, Target
    from ftm_core.quality.quality_report import Measure

FAILURES_SHOWN = 20
_BATCHES_SHOWN = 20


def show_plans(
    plans: Sequence[QuarterPlan], total: EstimateResult, console: Console = stderr
) -> None:
    """What a run will do, how long it takes and what it costs."""
    if not plans[1:]:
        _show_plan(plans[0], console)
        return
    rows = [
        (
            str(plan.quarter),
            len(plan.batches),
            plan.firms,
            plan.firms_finished,
            _time(plan.estimate.seconds),
            _money(plan.estimate.usd),
        )
        for plan in plans
    ]
    finished = sum(plan.firms_finished for plan in plans)
    batches, firms = sum(len(plan.batches) for plan in plans), sum(plan.firms for plan in plans)
    rows.append(("total", batches, firms, finished, _time(total.seconds), _money(total.usd)))
    columns = ("quarter", "batches", "firms", "finished", "expected time", "expected cost")
    print_table(f"Plan for {len(plans)} quarters", columns, rows, console=console)
    say(f"Based on: {total.basis}.")


def _show_plan(plan: QuarterPlan, console: Console) -> None:
    from ftm_cli.operations.plan import RunPlan

    open_batches = sum(batch.finished < batch.firms for batch in plan.batches)
    rows = [
        ("run", plan.run),
        ("data", plan.data),
        ("batches", f"{len(plan.batches)}, {open_batches} of them still to do"),
        ("firms", f"{plan.firms}, {plan.firms_finished} of them finished before"),
        ("expected time", _time(plan.estimate.seconds)),
        ("expected cost", _money(plan.estimate.usd)),
        ("based on", plan.estimate.basis),
    ]
    if isinstance(plan.native, RunPlan):
        rows[4:6] = _aws_rows(plan.native)
    print_table(f"Plan for {plan.quarter}", ("", ""), rows, console=console)
    shown = plan.batches[:_BATCHES_SHOWN]
    print_table(
        f"Batches ({len(shown)} of {len(plan.batches)})",
        ("batch", "firms", "finished"),
        [(batch.batch_id, batch.firms, batch.finished) for batch in shown],
        console=console,
    )


def _aws_rows(plan: object) -> list[tuple[str, str]]:
    from ftm_cli.operations.plan import RunPlan

    assert isinstance(plan, RunPlan)
    estimate = plan.estimate
    scale = (
        f"{plan.instances} while the run needs it, then 0" if plan.scale == "auto" else "left alone"
    )
    return [
        ("vLLM instances", scale),
        ("map jobs at once", f"{estimate.jobs_at_once}, each {duration(estimate.job_seconds)}"),
        ("expected time", duration(estimate.seconds)),
        (
            "expected cost",
            f"${estimate.total_usd:.2f}: "
            + ", ".join(f"{item} ${usd:.2f}" for item, usd in estimate.items.items()),
        ),
        (
            "slowest part",
            f"{estimate.bottleneck} (LLM answers {duration(estimate.answer_seconds)}, "
            f"topic models {duration(estimate.model_seconds)})",
        ),
    ]


def show_dry_run(
    target: Target, plans: Sequence[QuarterPlan], options: RunOptions, total: EstimateResult
) -> None:
    """What a run would do, on stdout; on targets whose runs are scripts, the scripts as well."""
    from ftm_cli.targets.base import SupportsScripts

    show_plans(plans, total, stdout)
    if isinstance(target, SupportsScripts):
        _show_scripts(target.scripts(plans, options))


def show_saved_scripts(target: Target, plans: Sequence[QuarterPlan], options: RunOptions) -> None:
    """Write the scripts of a run into their folder, and say where they are."""
    from ftm_cli.targets.base import SupportsScripts

    assert isinstance(target, SupportsScripts)
    folder = target.save_scripts(plans, options)
    say(f"Wrote the scripts into {folder}; `bash {folder}/submit.sh` submits them.")


def _show_scripts(scripts: Mapping[str, str]) -> None:
    """Every script as it would be submitted; on stdout."""
    for name, text in scripts.items():
        stdout.print(Text(f"──── {name}", style="bold"))
        stdout.print(Text(text), soft_wrap=True)


def show_results(results: Sequence[RunResult], data: str) -> None:
    """How the quarters ended; one in detail, several as a table."""
    if not results[1:]:
        _show_result(results[0], data)
        return
    rows = [
        (
            result.quarter,
            "finished before" if result.nothing_to_do else result.state.lower().replace("_", " "),
            f"{result.firms.finished} of {result.firms.total}" if result.firms else "",
            result.topics,
            result.themes,
            "" if result.seconds is None else duration(result.seconds),
            sentence_of(result.error.where, result.error.cause) if result.error else "",
        )
        for result in results
    ]
    columns = ("quarter", "state", "firms", "topics", "themes", "time", "error")
    print_table(f"{len(results)} quarters in {data}", columns, rows)
    left = [result.quarter for result in results if result.error is not None]
    names = ",".join(result.quarter for result in results)
    if left:
        say(
            f"{len(left)} of {len(results)} quarters failed: {', '.join(left)}. When the cause is "
            "fixed, the same command runs what is not finished.",
            style="yellow",
        )
    elif not any(result.state.is_active for result in results):
        say(f"Next: ftm evaluate --quarters {names}, then ftm export --quarters {names}")


def _show_result(result: RunResult, data: str) -> None:
    if result.nothing_to_do:
        say(f"{result.quarter} is finished already (run {result.run}): nothing to do.")
        return
    if result.error is not None:
        # The error itself is shown last, by the one place that shows errors.
        return
    if result.state.is_active:
        say(f"{result.run} is started.")
        return
    rows: list[tuple[str, object]] = [("run", result.run), ("data", data)]
    if result.firms:
        rows.append(("firms", f"{result.firms.finished} of {result.firms.total}"))
    if result.topics is not None:
        rows.append(("topics", f"{result.topics}, {result.topics_in_themes} of them in themes"))
    if result.themes is not None:
        rows.append(("themes", result.themes))
    rows.append(("recorded failures", len(result.failures)))
    if result.seconds is not None:
        rows.append(("time", duration(result.seconds)))
    rows += [(f"{stage}, seconds", seconds) for stage, seconds in result.stages.items()]
    if result.peak_memory_mib is not None:
        rows.append(("peak memory, MiB", result.peak_memory_mib))
    print_table(result.quarter, ("", ""), rows)
    _show_failures(result)
    if result.state is RunState.SUCCEEDED:
        say(f"{result.run} succeeded.")
        say(f"Next: ftm evaluate --quarter {result.quarter}")


def _show_failures(result: RunResult) -> None:
    if not result.failures:
        return
    rows = [
        (failure.firm_id, failure.topic_id, failure.error)
        for failure in result.failures[:FAILURES_SHOWN]
    ]
    print_table(
        f"Recorded failures ({len(rows)} of {len(result.failures)}); the next run retries them",
        ("firm_id", "topic_id", "reason"),
        rows,
    )


def warn_of(measures: Sequence[Measure]) -> None:
    """Say which measures of quality are beyond their thresholds."""
    for measure in measures:
        value = "cannot be measured" if measure.value is None else f"is {measure.value:.3f}"
        say(f"warning: {measure.id} {value}, wanted {measure.threshold}", style="yellow")


def _time(seconds: float | None) -> str:
    return "not known" if seconds is None else duration(seconds)


def _money(usd: float | None) -> str:
    return "not known" if usd is None else f"${usd:.2f}"
