"""Which columns of a source mean what: the known layouts, their recognition, overrides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ftm_core.contracts.errors import InputError

# Our names of what a source row may give.
REQUIRED = (
    "firm_id",
    "firm_name",
    "transcript_id",
    "earnings_call_date",
    "position",
    "raw_text",
)
OPTIONAL = ("ticker", "permno", "gvkey", "link_date", "speaker_type")


@dataclass(frozen=True)
class Layout:
    """Our names mapped to a source's columns, and what its rows are.

    ``splits``: a row is a speaking turn, to be split into sentences; otherwise a row is a
    sentence. ``global_transcripts``: a transcript id can belong to one firm only.
    ``dated_transcripts``: a transcript id is ``YYYYMMDD_TICKER`` and must agree with both.
    """

    name: str
    columns: Mapping[str, str]
    splits: bool
    optional: Mapping[str, str] = field(default_factory=dict)
    global_transcripts: bool = False
    dated_transcripts: bool = False


FTM = Layout(
    "ftm",
    {name: name for name in REQUIRED},
    splits=False,
    optional={name: name for name in OPTIONAL},
)
CAPITAL_IQ = Layout(
    "capital-iq",
    {
        "firm_id": "companyid",
        "firm_name": "companyname",
        "transcript_id": "transcriptid",
        "raw_text": "componenttext",
        "position": "componentorder",
        "earnings_call_date": "mostimportantdateutc",
        "speaker_type": "speakertypename",
    },
    splits=True,
    optional={name: name for name in ("ticker", "permno", "gvkey", "link_date")},
    global_transcripts=True,
)
MAEC = Layout(
    "maec",
    {
        "firm_id": "ticker",
        "firm_name": "ticker",
        "ticker": "ticker",
        "transcript_id": "transcript_id",
        "earnings_call_date": "call_date",
        "position": "position",
        "raw_text": "text",
    },
    splits=False,
    dated_transcripts=True,
)
LAYOUTS = {layout.name: layout for layout in (FTM, CAPITAL_IQ, MAEC)}


@dataclass(frozen=True)
class ColumnMap:
    """A layout applied to one source: which of its columns gives each of our names.

    ``as_recognised`` is False when options, not the columns alone, led to this map.
    """

    layout: Layout
    columns: Mapping[str, str]
    as_recognised: bool

    def describe(self) -> str:
        """The layout and each column that differs from it, on one line."""
        known = {**self.layout.optional, **self.layout.columns}
        changed = [f"{o}={t}" for o, t in sorted(self.columns.items()) if known.get(o) != t]
        return " ".join([self.layout.name, *changed])


def parse_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``ours=theirs`` pairs; raises InputError on any that is not one, or given twice."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        where = f"--column {pair}"
        if not equals or not theirs:
            raise InputError(where, "is not ours=theirs", "Write for example permno=lpermno.")
        if ours not in (*REQUIRED, *OPTIONAL):
            raise InputError(
                where,
                f"{ours!r} is not one of our columns",
                f"Ours are {', '.join((*REQUIRED, *OPTIONAL))}.",
            )
        if ours in overrides:
            raise InputError(where, f"{ours} is given twice", "Give each column once.")
        overrides[ours] = theirs
    return overrides


def column_map(
    available: Collection[str],
    *,
    where: str,
    layout: str | None = None,
    overrides: Mapping[str, str] | None = None,
) -> ColumnMap:
    """Choose the layout that fits the source's columns and apply the overrides.

    Raises InputError when the layout is unknown, a required column is missing, or none or several
    layouts fit.
    """
    overrides = overrides or {}
    recognised = [known for known in LAYOUTS.values() if not _missing(known, available)]
    if layout is not None:
        if layout not in LAYOUTS:
            raise InputError(
                f"--layout {layout}", "is not a layout", f"Use one of {', '.join(LAYOUTS)}."
            )
        chosen = _overridden(LAYOUTS[layout], overrides)
        _require(chosen, available, where=where)
    else:
        candidates = [_overridden(known, overrides) for known in LAYOUTS.values()]
        fitting = [known for known in candidates if not _missing(known, available)]
        if len(fitting) > 1:
            raise InputError(
                where,
                f"fits several layouts ({', '.join(known.name for known in fitting)})",
                "Say which with --layout: in capital-iq a row is a speaking turn, in ftm and maec "
                "a sentence.",
            )
        if not fitting:
            # The layout that comes nearest tells the user most.
            _require(
                min(candidates, key=lambda known: len(_missing(known, available))),
                available,
                where=where,
            )
        chosen = fitting[0]
    columns = dict(chosen.columns)
    columns.update((o, t) for o, t in chosen.optional.items() if t in available)
    plain = [known.name for known in recognised] == [chosen.name] and not overrides
    return ColumnMap(LAYOUTS[chosen.name], columns, as_recognised=plain)


def _overridden(layout: Layout, overrides: Mapping[str, str]) -> Layout:
    """The layout with overrides; a column that is named must then be there."""
    left = {ours: theirs for ours, theirs in layout.optional.items() if ours not in overrides}
    return replace(layout, columns={**layout.columns, **overrides}, optional=left)


def _missing(layout: Layout, available: Collection[str]) -> list[str]:
    return [theirs for theirs in dict.fromkeys(layout.columns.values()) if theirs not in available]


def _require(layout: Layout, available: Collection[str], *, where: str) -> None:
    missing = _missing(layout, available)
    if missing:
        raise InputError(
            where,
            f"lacks {', '.join(missing)} (layout {layout.name}); its columns are "
            f"{', '.join(repr(column)[:60] for column in list(available)[:30]) or 'none'}",
            "Name the columns with --column ours=theirs, or choose another --layout.",
        )
