"""Which columns of a source mean what: the known layouts, their recognition, overrides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
# Distinguish the versions of one call; they are not stored.
VERSION = ("event_id", "presentation", "stage", "created_date", "created_time")
# The turns of a call that stands in one row: a text, a list, or two lists.
TURNS = ("turns", "participants", "prepared_remarks", "questions_and_answers")
_ALL = (*REQUIRED, *OPTIONAL, *VERSION, *TURNS)

_Aliases = Mapping[str, tuple[str, ...]]
_SEPARATORS = re.compile(r"[\s_\-]+")
_IDENTIFIERS: _Aliases = {
    "ticker": ("ticker", "tic", "symbol"),
    "permno": ("permno", "lpermno"),
    "gvkey": ("gvkey",),
    "link_date": ("link_date", "linkdt"),
}


@dataclass(frozen=True)
class Layout:
    """Our names, each with the names that a source may give the column, in order of preference.

    ``splits``: a row's text is to be split into sentences; otherwise a row is a sentence.
    ``whole_calls``: a row is a whole call, whose turns must first be separated.
    ``dated_transcripts``: a transcript id is ``YYYYMMDD_TICKER`` and must agree with both.
    """

    name: str
    describes: str
    columns: _Aliases
    splits: bool
    optional: _Aliases = field(default_factory=dict)
    whole_calls: bool = False
    dated_transcripts: bool = False

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """All our names with their aliases."""
        return {**self.columns, **self.optional}


def _own(names: Iterable[str]) -> _Aliases:
    return {name: (name,) for name in names}


FTM = Layout("ftm", "a row is a sentence", _own(REQUIRED), splits=False, optional=_own(OPTIONAL))
TURNS_LAYOUT = Layout(
    "turns", "a row is a speaking turn", _own(REQUIRED), splits=True, optional=_own(OPTIONAL)
)
CAPITAL_IQ = Layout(
    "capital-iq",
    "a row is a speaking turn of Capital IQ",
    {
        "firm_id": ("companyid",),
        "firm_name": ("companyname",),
        "transcript_id": ("transcriptid",),
        "raw_text": ("componenttext",),
        "position": ("componentorder",),
        "earnings_call_date": ("mostimportantdateutc",),
    },
    splits=True,
    optional={
        "speaker_type": ("speakertypename", "speakertypeid"),
        **_IDENTIFIERS,
        "event_id": ("keydevid",),
        "presentation": ("transcriptpresentationtypeid", "transcriptpresentationtypename"),
        "stage": ("transcriptcollectiontypeid", "transcriptcollectiontypename"),
        "created_date": ("transcriptcreationdate_utc",),
        "created_time": ("transcriptcreationtime_utc",),
    },
)
MAEC = Layout(
    "maec",
    "a row is a sentence of MAEC",
    {
        "firm_id": ("ticker",),
        "firm_name": ("ticker",),
        "ticker": ("ticker",),
        "transcript_id": ("transcript_id",),
        "earnings_call_date": ("call_date",),
        "position": ("position",),
        "raw_text": ("text",),
    },
    splits=False,
    dated_transcripts=True,
)
CALLS = Layout(
    "calls",
    "a row is a whole call",
    {
        "firm_id": ("firm_id", "symbol", "ticker", "companyTicker", "company_id", "companyid"),
        "earnings_call_date": (
            "earnings_call_date",
            "call_date",
            "earnings_date",
            "conference_date",
            "event.conference_date",
            "date",
            "time",
        ),
    },
    splits=True,
    optional={
        # The nested turns say the same as the text, without having to be separated.
        "turns": ("structured_content", "transcript_split", "speakers"),
        "raw_text": ("content", "transcript", "transcript_text", "raw_text", "text"),
        "prepared_remarks": ("prepared_remarks",),
        "questions_and_answers": ("q_and_a", "questions_and_answers", "qa"),
        "participants": ("participants", "participant"),
        "firm_name": ("firm_name", "company_name", "companyname", "company", "event.company_name"),
        "transcript_id": ("transcript_id", "transcriptid"),
        **_IDENTIFIERS,
    },
    whole_calls=True,
)
LAYOUTS = {layout.name: layout for layout in (FTM, TURNS_LAYOUT, CAPITAL_IQ, MAEC, CALLS)}
# "turns" has the columns of "ftm": only a person can say which of them a table is.
_RECOGNISED = (FTM, CAPITAL_IQ, MAEC)


@dataclass(frozen=True)
class ColumnMap:
    """A layout applied to one source: which of its columns gives each of our names.

    ``as_recognised`` is False when options, not the columns alone, led to this map.
    """

    layout: Layout
    columns: Mapping[str, str]
    as_recognised: bool

    def describe(self) -> str:
        """The layout and each column that was named by an option, on one line."""
        known = self.layout.known
        changed = [
            f"{ours}={theirs}"
            for ours, theirs in sorted(self.columns.items())
            if plain_name(theirs) not in {plain_name(alias) for alias in known.get(ours, ())}
        ]
        return " ".join([self.layout.name, *changed])


def plain_name(name: str) -> str:
    """A column's name as it is compared: without case, spaces, hyphens and underscores."""
    return _SEPARATORS.sub("", name).casefold()


def parse_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``ours=theirs`` pairs; raises InputError on any that is not one, or given twice."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        where = f"The option --column {pair}"
        if not equals or not theirs:
            raise InputError(
                where, "does not have the form ours=theirs", "Write for example permno=lpermno."
            )
        if ours not in _ALL:
            raise InputError(
                where,
                f"names {ours!r}, which is not a column of ftm",
                f"Use one of {', '.join(_ALL)}.",
            )
        if ours in overrides:
            raise InputError(where, f"gives {ours} a second time", "Give each column once.")
        overrides[ours] = theirs
    return overrides


def column_map(
    available: Collection[str],
    *,
    where: str,
    layout: str | None = None,
    overrides: Mapping[str, str] | None = None,
    may_lack: Collection[str] = (),
) -> ColumnMap:
    """Choose the layout that fits the source's columns and apply the overrides.

    Column names match in any case. ``may_lack`` are our names that whole calls get elsewhere: from
    a table of dates or the name of their file. Raises InputError when the layout is unknown, a
    required column is missing, or none or several layouts fit.
    """
    overrides = overrides or {}
    names = _Names(available, where)
    if layout is not None:
        if layout not in LAYOUTS:
            raise InputError(
                f"The layout {layout}", "is not known", f"Use one of {', '.join(LAYOUTS)}."
            )
        chosen = LAYOUTS[layout]
        found, missing = _applied(chosen, names, overrides, may_lack)
        if missing:
            raise _lacks(chosen, missing, names, where)
        return ColumnMap(chosen, found, as_recognised=False)
    fitting = [
        (known, found)
        for known in _RECOGNISED
        for found, missing in [_applied(known, names, overrides, may_lack)]
        if not missing
    ]
    if not fitting:
        found, missing = _applied(CALLS, names, overrides, may_lack)
        if not missing:
            fitting = [(CALLS, found)]
    if len(fitting) > 1:
        raise InputError(
            f"The source {where}",
            f"fits several layouts ({', '.join(known.name for known, _ in fitting)})",
            "Add --layout turns if a row is a speaking turn, or --layout ftm if a row is a "
            "sentence.",
        )
    if not fitting:
        raise _nearest(names, overrides, may_lack, where)
    [(chosen, found)] = fitting
    return ColumnMap(chosen, found, as_recognised=not overrides)


class _Names:
    """The source's columns, found by any spelling of their names."""

    def __init__(self, available: Collection[str], where: str) -> None:
        self.available = list(available)
        self._where = where
        self._by_plain: dict[str, list[str]] = {}
        for name in self.available:
            self._by_plain.setdefault(plain_name(name), []).append(name)

    def find(self, wanted: str) -> str | None:
        """The column of that name, the exact one first; raises InputError when two fit."""
        if wanted in self.available:
            return wanted
        fitting = self._by_plain.get(plain_name(wanted), [])
        if len(fitting) > 1:
            raise InputError(
                f"The source {self._where}",
                f"has the columns {' and '.join(map(repr, fitting))}, both of which may be "
                f"{wanted}",
                "Rename one of them.",
            )
        return fitting[0] if fitting else None


def _applied(
    layout: Layout, names: _Names, overrides: Mapping[str, str], may_lack: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Our names with the source's columns, and what is missing."""
    found: dict[str, str] = {}
    missing: list[str] = []
    for ours, theirs in overrides.items():
        column = names.find(theirs)
        if column is None:
            missing.append(theirs)
        else:
            found[ours] = column
    for ours, aliases in layout.known.items():
        if ours in overrides:
            continue
        column = next((name for alias in aliases if (name := names.find(alias))), None)
        if column is not None:
            found[ours] = column
        elif ours in layout.columns and not (layout.whole_calls and ours in may_lack):
            missing.append(aliases[0] if len(aliases) == 1 else f"{ours} ({' or '.join(aliases)})")
    if layout.whole_calls and not {"turns", "raw_text", "prepared_remarks"} & found.keys():
        missing.append("the text of the call (content or transcript)")
    return found, list(dict.fromkeys(missing))


def _nearest(
    names: _Names, overrides: Mapping[str, str], may_lack: Collection[str], where: str
) -> InputError:
    """The error that names the layout of which the greatest share of columns is there."""

    def score(layout: Layout) -> float:
        found, missing = _applied(layout, names, overrides, may_lack)
        return len(found) / (len(found) + 2 * len(missing))

    nearest = max((*_RECOGNISED, CALLS), key=score)
    _, missing = _applied(nearest, names, overrides, may_lack)
    return _lacks(nearest, missing, names, where)


def _lacks(layout: Layout, missing: Sequence[str], names: _Names, where: str) -> InputError:
    if layout.whole_calls and len(missing) == 1 and missing[0].startswith("earnings_call_date"):
        return InputError(
            f"The source {where}",
            "does not contain the day of its calls; a fiscal quarter does not give it either",
            "Give a table with the days: --dates FILE, with the columns file (or ticker and "
            "quarter) and call_date; or name the column with --column earnings_call_date=theirs.",
        )
    shown = ", ".join(repr(column)[:60] for column in names.available[:30]) or "none"
    return InputError(
        f"The source {where}",
        f"lacks {', '.join(missing)} for the nearest layout, {layout.name} ({layout.describes}); "
        f"its columns are {shown}",
        "Name columns with --column ours=theirs, or another layout with --layout; "
        "`ftm ingest --preview SOURCE` shows how a source is read.",
    )
