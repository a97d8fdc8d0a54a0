"""Which quarters a command works on, and that all of them are made by the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftm_cli.targets.base import QuarterPlan, Target
from ftm_cli.targets.data import chosen_quarter
from ftm_cli.targets.names import TargetName
from ftm_core.contracts.errors import InputError, RunRefusedError
from ftm_core.contracts.quarters import MAX_QUARTERS, Quarter, parse_quarters
from ftm_core.data.lease import changes, read_identity
from ftm_core.data.listing import quarters_with_themes
from ftm_core.storage import Storage

# Inputs that differ from quarter to quarter, or by choice.
_OWN_INPUTS = ("transcripts", "max_firms")


def select_quarters(
    available: Sequence[Quarter],
    *,
    quarter: str | None = None,
    quarters: str | None = None,
    every: bool = False,
    what: str,
    where: str,
) -> list[Quarter]:
    """The quarters that ``--quarter``, ``--quarters`` or ``--all`` ask for, oldest first.

    Of a range the quarters that are ``available`` are taken; each quarter of a list must be.
    ``what`` and ``where`` say in errors what is missing where. Raises InputError unless exactly
    one of the three is given, and when nothing is left.
    """
    if sum((quarter is not None, quarters is not None, every)) != 1:
        raise InputError(
            "The choice of quarters",
            "is made in more than one way",
            "Use one of --quarter 2023Q1, --quarters 2022Q1..2023Q4 and --all.",
        )
    if quarter is not None:
        return [Quarter.parse(quarter)]
    asked, is_range = (list(available), True) if quarters is None else parse_quarters(quarters)
    missing = [item for item in asked if item not in set(available)]
    if missing and not is_range:
        raise InputError(
            f"The data location {where}",
            f"has no {what} of {', '.join(map(str, missing))}",
            "Leave these quarters out, or bring them in first.",
        )
    found = [item for item in asked if item not in set(missing)]
    if not found:
        there = ", ".join(map(str, available)) or "none"
        raise InputError(
            f"The data location {where}",
            f"has no {what} of {quarters or 'any quarter'}",
            f"Choose among the quarters that have: {there}.",
        )
    return found


def select_finished(
    storage: Storage, quarter: str | None, quarters: str | None, every: bool
) -> list[Quarter]:
    """The finished quarters asked for, oldest first; the latest when none is named."""
    if quarters is None and not every:
        return [chosen_quarter(storage, quarter)]
    return select_quarters(
        quarters_with_themes(storage),
        quarter=quarter,
        quarters=quarters,
        every=every,
        what="themes",
        where=storage.uri,
    )


def latest_runs(target: Target, quarters: str | None, every: bool) -> list[str]:
    """What ``observe`` takes for the latest run of each quarter asked for, oldest first."""
    latest: dict[Quarter, str] = {}
    for record in target.history(MAX_QUARTERS):
        if record.quarter:
            # An execution has a name of its own; elsewhere a quarter has one run.
            name = record.run if target.name is TargetName.AWS else record.quarter
            latest.setdefault(Quarter.parse(record.quarter), name)
    chosen = select_quarters(
        sorted(latest), quarters=quarters, every=every, what="run", where=target.location
    )
    return [latest[quarter] for quarter in chosen]


def require_same_inputs(storage: Storage, plans: Sequence[QuarterPlan]) -> None:
    """Raise RunRefusedError, naming what differs, unless all quarters share settings and models.

    A panel of quarters that were made by different rules compares the rules, not the quarters.
    """
    reference: tuple[str, dict[str, Any]] | None = None
    for plan in plans:
        identity = read_identity(storage, plan.quarter)
        present = plan.inputs
        if identity is not None and not plan.restart:
            present = identity.inputs
        if present is None:
            continue
        shared = {name: value for name, value in present.items() if name not in _OWN_INPUTS}
        if reference is None:
            reference = (str(plan.quarter), shared)
        elif shared != reference[1]:
            raise RunRefusedError(
                f"The quarters {reference[0]} and {plan.quarter}",
                "have different settings, models or versions of ftm: "
                + changes(reference[1], shared),
                "Run each with the same settings (`ftm config` shows them), or add --restart to "
                "start all of them over.",
            )
