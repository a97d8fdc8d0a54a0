"""Plans and outcomes of deploys on the terminal, and the question before each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ftm_cli.console import confirm_or_decline, print_table, say, stderr, stdout
from ftm_cli.progress import paused
from ftm_core.contracts.errors import DeclinedError
from ftm_core.contracts.events import Listener, Note

if TYPE_CHECKING:
    from ftm_cli.operations.deploy import (
        AppliedStep,
        DeployResult,
        DeploySettings,
        PlannedStep,
    )
    from ftm_cli.operations.deploy_report import Costs
    from ftm_cli.operations.terraform import Counts

_ADDRESSES_SHOWN = 4


class Approver:
    """Says yes to a step that was shown and confirmed as it is; shows and asks about any other."""

    def __init__(
        self,
        shown: Sequence[PlannedStep],
        listener: Listener,
        ask: Callable[[PlannedStep], bool] | None,
    ) -> None:
        self._shown = shown
        self._listener = listener
        self._ask = ask

    def __call__(self, step: PlannedStep) -> bool:
        """Whether the step may be applied; without a question to ask it may."""
        assert step.counts is not None
        if step not in self._shown:
            self._listener(Note(f"{step.title}: {in_words(step.counts)}"))
            if self._ask is not None:
                with paused(self._listener):
                    return self._ask(step)
        return True


def in_words(counts: Counts) -> str:
    """Counts as Terraform says them."""
    return f"{counts.add} to add, {counts.change} to change, {counts.destroy} to destroy"


def show_planned(title: str, steps: Sequence[PlannedStep], *, is_result: bool) -> None:
    """One row a step, in order; on stdout where the plan is the result, else on stderr."""
    rows = [
        (number, step.title, *_cells(step), _what(step))
        for number, step in enumerate(steps, start=1)
    ]
    console = stdout if is_result else stderr
    print_table(title, ("", "step", "add", "change", "destroy", "what"), rows, console=console)


def show_deploy_plan(
    settings: DeploySettings, steps: Sequence[PlannedStep], costs: Costs, *, is_result: bool
) -> None:
    """The plan of a deploy, and what the deployment costs; where it is the result, what is next."""
    title = (
        f"Plan for account {settings.account_id}, {settings.region}, "
        f"bucket {settings.s3_bucket_name}"
    )
    show_planned(title, steps, is_result=is_result)
    up = f", ${costs.hourly_when_up_usd:.2f} an hour for each vLLM while it is up"
    say(
        f"Costs: ${costs.monthly_idle_usd:.2f} a month when idle"
        f"{up if costs.hourly_when_up_usd else ''}. Based on {costs.note}."
    )
    if is_result:
        say("Nothing was changed. To apply it, give the same options without --plan.")


def confirm_plan(steps: Sequence[PlannedStep], *, what: str) -> None:
    """Ask whether to apply a plan that changes something; raises DeclinedError after a no."""
    if changes_anything(steps):
        confirm_or_decline("Apply it?", what=what)


def show_deployed(result: DeployResult, next_step: str) -> None:
    """What a deploy did, and the next command."""
    if result.steps:
        show_applied("Deployed" if result.changed else "No changes", result.steps)
    if next_step:
        say(next_step)


def raise_if_declined(result: DeployResult, command: str, consequence: str) -> None:
    """Raise DeclinedError where the operator declined a step."""
    if not result.complete:
        raise DeclinedError(
            f"The command `{command}`",
            f"was not finished: you declined a step, so {consequence}",
            f"Run `{command}` again to continue.",
        )


def show_applied(title: str, steps: Sequence[AppliedStep]) -> None:
    """One row a step with what it did and how long it took; on stdout."""
    rows = [
        (
            number,
            step.title,
            step.counts.add,
            step.counts.change,
            step.counts.destroy,
            f"{step.seconds:.0f} s",
        )
        for number, step in enumerate(steps, start=1)
    ]
    print_table(title, ("", "step", "added", "changed", "destroyed", "took"), rows)


def changes_anything(steps: Sequence[PlannedStep]) -> bool:
    """Whether any step changes something, or may, since it cannot be planned yet."""
    return any(step.counts is None or step.counts.total for step in steps)


def _cells(step: PlannedStep) -> tuple[int | str, int | str, int | str]:
    if step.counts is None:
        return "?", "?", "?"
    return step.counts.add, step.counts.change, step.counts.destroy


def _what(step: PlannedStep) -> str:
    if step.counts is None:
        return f"planned and asked about once {step.waits_for} is there"
    if not step.counts.total:
        return "no changes"
    if len(step.addresses) > _ADDRESSES_SHOWN:
        return f"{len(step.addresses)} resources"
    return ", ".join(step.addresses)
