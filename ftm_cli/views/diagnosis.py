"""Checks of a preflight and findings of a diagnosis on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from ftm_cli.console import print_table, say, stdout

if TYPE_CHECKING:
    from ftm_cli.results.runs import Check, Finding

_MARKS = {"ok": ("ok", "green"), "note": ("note", "cyan"), "problem": ("PROBLEM", "bold red")}
_INDENT = (0, 0, 0, 9)


def show_checks(checks: Sequence[Check]) -> None:
    """One row per check; a failed one with the next step."""
    rows = [("pass" if check.passed else "FAIL", check.name, _detail(check)) for check in checks]
    print_table("Requirements of a run", ("", "check", "found"), rows)
    if all(check.passed for check in checks):
        say(f"All {len(checks)} checks passed.")


def _detail(check: Check) -> str:
    if check.passed:
        return check.detail
    return f"{check.detail.rstrip('.')}.\nNext: {check.next_step}"


def show_findings(findings: Sequence[Finding]) -> None:
    """Each finding as a small block: long evidence reads badly in the cells of a table."""
    for finding in findings:
        mark, style = _MARKS[finding.level]
        head = Text.assemble((f"{mark:<9}", style), (finding.about, "bold"), "  ", finding.what)
        stdout.print(head)
        for line in finding.evidence:
            stdout.print(Padding(Text(line, style="dim"), _INDENT, expand=False))
        if finding.next_step and finding.level != "ok":
            stdout.print(Padding(Text(f"Next: {finding.next_step}"), _INDENT, expand=False))
