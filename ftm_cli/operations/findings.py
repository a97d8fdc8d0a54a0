"""What a diagnosis found: a plain sentence, the evidence for it, and the next command."""

from __future__ import annotations

from collections.abc import Iterator

from ftm_cli.results.runs import Finding
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.data.failures import collect_failures
from ftm_core.storage import Storage

_REASONS_SHOWN = 3


def recorded_failures(storage: Storage, quarter: Quarter) -> Iterator[Finding]:
    """What the failures manifests of a quarter hold; nothing when they hold nothing."""
    try:
        report = collect_failures(storage, quarter)
    except InputError:
        return
    if not report.failures:
        return
    reasons: dict[str, int] = {}
    for item in report.failures:
        reason = f"{item.failure.error_type}: {item.failure.error_message}"
        reasons[reason] = reasons.get(reason, 0) + 1
    commonest = sorted(reasons.items(), key=lambda pair: -pair[1])[:_REASONS_SHOWN]
    yield Finding(
        "failures",
        "problem",
        f"{report.n_failed_firms} of {report.n_firms} firms failed, wholly or in one topic.",
        tuple(f"{count} × {reason}" for reason, count in commonest),
        f"List them with `ftm failures --quarter {quarter}`, and try them again with "
        f"`ftm run --quarter {quarter}`.",
    )
