"""Plan the quarters that `ftm run` asks for, run them on any target, report the first failure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ftm_cli.targets.base import (
    QuarterOutcome,
    QuarterPlan,
    RunOptions,
    SupportsDetach,
    Target,
)
from ftm_cli.targets.quarters import require_same_inputs, select_quarters
from ftm_core.contracts.errors import InputError, RetryableError
from ftm_core.contracts.events import Listener
from ftm_core.data.listing import quarters_with_transcripts

# Options of `ftm run` that override a setting.
_SETTING_OF_FLAG = {
    "--llm-base-url": "llm.base_url",
    "--llm-model-name": "llm.model_name",
    "--local-model": "llm.local_model",
    "--batch-size": "map.batch_size",
    "--workers": "map.workers",
}


def run_options(target: Target, flags: Mapping[str, Any], *, restart: bool) -> RunOptions:
    """The options of a run from its flags, None where one was not given.

    Raises InputError for a flag that has no meaning on this target.
    """
    for name, value in flags.items():
        if value is not None and name not in target.run_flags:
            raise InputError(
                f"The option {name} of `ftm run`",
                f"does not exist for --target {target.name}",
                f"Use the options of this target: {', '.join(sorted(target.run_flags))}. The "
                "settings of deployed jobs are changed by `ftm deploy`.",
            )
    return RunOptions(
        restart=restart,
        max_firms=flags["--max-firms"],
        settings={setting: flags[flag] for flag, setting in _SETTING_OF_FLAG.items()},
        scale=flags["--scale"] or "auto",
        instances=flags["--instances"] or 1,
        save_scripts=flags["--save-scripts"],
        at_once=flags["--at-once"] or 2,
        detach=bool(flags["--detach"]),
    )


def plan_quarters(
    target: Target,
    options: RunOptions,
    *,
    quarter: str | None,
    quarters: str | None,
    every: bool,
) -> list[QuarterPlan]:
    """Plan each quarter asked for; several must have the same settings and models."""
    storage = target.storage()
    selected = select_quarters(
        [] if quarter else quarters_with_transcripts(storage),
        quarter=quarter,
        quarters=quarters,
        every=every,
        what="transcripts",
        where=storage.uri,
    )
    plans = [target.plan(item, options) for item in selected]
    if plans[1:]:
        require_same_inputs(storage, plans)
    return plans


def run_quarters(
    target: Target, plans: Sequence[QuarterPlan], options: RunOptions, listener: Listener
) -> list[QuarterOutcome]:
    """Run the quarters to their end, or only start them where ``options`` say so."""
    if not options.detach:
        return target.execute(plans, options, listener)
    if len(plans) > options.at_once and target.costs_money:
        raise InputError(
            "The command `ftm run --detach`",
            f"would start {len(plans)} quarters at once, more than {options.at_once}",
            "Leave --detach out, or allow it with --at-once.",
        )
    assert isinstance(target, SupportsDetach)
    return [QuarterOutcome(result) for result in target.start(plans, options, listener)]


def raise_first_error(
    target: Target,
    plans: Sequence[QuarterPlan],
    outcomes: Sequence[QuarterOutcome],
    options: RunOptions,
) -> None:
    """Raise the error of the quarter that failed; of several, one that retrying cannot fix.

    Raises RunRefusedError when quarters that have ended turn out to differ in settings or models.
    """
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    lasting = [error for error in errors if not isinstance(error, RetryableError)]
    for error in lasting or errors:
        raise error
    if plans[1:] and not options.detach:
        # The settings of deployed jobs are known only now.
        ended = [dataclasses.replace(plan, restart=False) for plan in plans]
        require_same_inputs(target.storage(), ended)
