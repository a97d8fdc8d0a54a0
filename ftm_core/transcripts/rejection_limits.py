"""Refuse a source of which nothing is left to ingest, or of which too many rows are rejected."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.rejects import RejectedRowsError, RejectLog

# Above this share of rejected rows a source is refused: most likely it is read in a wrong way.
MAX_REJECTED_SHARE = 0.02


def check_rejects(
    name: str,
    log: RejectLog,
    *,
    n_accepted: int,
    n_rows: int,
    other_quarters: Mapping[str, int],
    wanted: Collection[Quarter] | None,
    strict: bool = False,
    accept_rejects: bool = False,
) -> None:
    """Raise InputError for an empty source or one without the wanted quarters.

    Raises RejectedRowsError when no row is accepted, when more than ``MAX_REJECTED_SHARE`` of the
    rows of the wanted quarters are rejected without ``accept_rejects``, or one with ``strict``.
    """
    n_wanted = n_rows - sum(other_quarters.values())
    if n_rows == 0:
        raise InputError(f"The source {name}", "holds no row of data", "Export the source again.")
    allowed = 0 if strict else int(MAX_REJECTED_SHARE * n_wanted)
    too_many = log.count > allowed and (strict or not accept_rejects)
    if n_accepted and not too_many:
        return
    if not log.count:
        there = ", ".join(f"{q} ({n:,} rows)" for q, n in sorted(other_quarters.items()))
        raise InputError(
            f"The source {name}",
            f"has no row of {_asked(wanted)}; it holds {there or 'no call'}",
            "Ask for one of these quarters, or for all of them with --all-quarters.",
        )
    first = log.first[0]
    reason, times = log.by_reason.most_common(1)[0]
    fault = f"{first.field} {first.reason}".strip()
    example = f"the first is {first.file} row {first.row}: {fault}"
    most_often = f"The most frequent reason ({times:,} rows) is: {reason}. "
    if not n_accepted:
        cause = f"has no row to ingest into {_asked(wanted)} among {n_rows:,}; {example}"
        hint = most_often
    elif strict:
        cause = f"has {log.count:,} rejected rows among {n_wanted:,}; {example}"
        hint = "Correct the source, or leave out --strict. "
    else:
        share = f"{100 * log.count / n_wanted:.1f}".rstrip("0").rstrip(".")
        cause = f"has {log.count:,} rejected rows among {n_wanted:,} ({share} %); {example}"
        hint = f"{most_often}Add --accept-rejects to ingest the other rows. "
    hint += "`ftm ingest --preview SOURCE` shows how the source is read."
    raise RejectedRowsError(f"The source {name}", cause, hint, log)


def _asked(wanted: Collection[Quarter] | None) -> str:
    if wanted is None:
        return "any quarter"
    ordered = sorted(wanted)
    return str(ordered[0]) if len(ordered) == 1 else f"{ordered[0]}..{ordered[-1]}"
