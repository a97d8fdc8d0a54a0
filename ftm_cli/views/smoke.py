"""Steps and checklist of a smoke test on the terminal."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ftm_cli.console import print_table

if TYPE_CHECKING:
    from ftm_cli.operations.smoke import SmokeTest

_TICKS = {True: "[x]", False: "[ ]", None: "[-]"}


def show_smoke_test(test: SmokeTest) -> None:
    """Steps and checklist; a lost terminal must not hide how the test ended."""
    with contextlib.suppress(OSError):
        steps = [
            (
                step.name,
                step.state,
                "" if step.seconds is None else f"{step.seconds:.0f} s",
                step.detail,
            )
            for step in test.steps
        ]
        title = f"Smoke test of {test.quarter}, {test.run or 'no run'}"
        print_table(title, ("step", "state", "time", "what"), steps)
        lines = [
            (
                _TICKS[line.passed],
                line.item,
                line.value or ("not reached" if line.passed is None else ""),
            )
            for line in test.checklist
        ]
        print_table("Checklist", ("", "", "found"), lines)
