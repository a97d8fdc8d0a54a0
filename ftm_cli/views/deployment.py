"""Plans and outcomes of deploys on the terminal, and the question before each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ftm_cli.console import paused, print_table, stderr
from ftm_core.contracts.events import Listener, Note

if TYPE_CHECKING:
    from ftm_cli.operations.deploy import AppliedStep, PlannedStep
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


def show_planned(title: str, steps: Sequence[PlannedStep]) -> None:
    """One row a step, in order; on stderr, before a question or in place of one."""
    rows = [
        (number, step.title, *_cells(step), _what(step))
        for number, step in enumerate(steps, start=1)
    ]
    print_table(title, ("", "step", "add", "change", "destroy", "what"), rows, console=stderr)


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
