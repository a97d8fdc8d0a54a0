"""What a quarter's fetch consists of: its calls by firm, their identifiers and their content."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg

from ftm_core.contracts.quarters import Quarter
from ftm_core.transcripts.identifiers import (
    UNLINKED,
    Identifiers,
    Link,
    Resolution,
    resolve_firm,
)
from ftm_core.transcripts.wrds import queries
from ftm_core.transcripts.wrds.connecting import translated

# Everything that str.split takes for space: PostgreSQL's own idea of it is narrower.
BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


@dataclass(frozen=True)
class PlannedCall:
    """The chosen version of one call, and what it holds."""

    company: int
    transcript: int
    firm_name: str
    day: dt.date
    n_versions: int
    n_components: int
    n_blank: int
    content: str

    @property
    def has_text(self) -> bool:
        """Whether anything was said in it."""
        return self.n_components > self.n_blank


@dataclass(frozen=True)
class PlannedFirm:
    """A firm, its identifiers and its calls with text, oldest first."""

    company: int
    name: str
    identifiers: Identifiers
    ambiguous: bool
    calls: tuple[PlannedCall, ...]

    @property
    def firm_id(self) -> str:
        """Capital IQ's company id, as text."""
        return str(self.company)


@dataclass(frozen=True)
class Plan:
    """All firms of a quarter in order of company id, and the calls that have no text."""

    firms: tuple[PlannedFirm, ...]
    silent: tuple[PlannedCall, ...]

    @property
    def n_calls(self) -> int:
        """Calls that will be fetched."""
        return sum(len(firm.calls) for firm in self.firms)

    @property
    def n_components(self) -> int:
        """Components that will be read, blank ones included."""
        return sum(call.n_components for firm in self.firms for call in firm.calls)

    @property
    def n_blank(self) -> int:
        """Components without text, in calls that have some."""
        return sum(call.n_blank for firm in self.firms for call in firm.calls)

    @property
    def n_older_versions(self) -> int:
        """Versions of these calls that the final one replaces."""
        return sum(call.n_versions - 1 for firm in self.firms for call in firm.calls)

    @property
    def content_sha256(self) -> str:
        """SHA-256 over all that the chunks will be made from: it changes when WRDS does."""
        digest = hashlib.sha256()
        for line in self._content():
            digest.update(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return digest.hexdigest()

    def _content(self) -> Iterator[list[Any]]:
        for firm in self.firms:
            found = firm.identifiers
            link_date = found.link_date.isoformat() if found.link_date is not None else None
            yield [firm.firm_id, firm.name, found.gvkey, found.permno, link_date]
            for call in firm.calls:
                yield [call.transcript, call.day.isoformat(), call.n_components, call.content]
        for call in self.silent:
            yield [call.company, call.transcript, call.day.isoformat()]


def read_plan(connection: psycopg.Connection, quarter: Quarter, *, today: dt.date) -> Plan:
    """Read which calls the quarter has and what they are linked to.

    Memory holds one small record a call, no text. Raises as ``connecting.explain`` says.
    """
    with translated():
        calls = _read_calls(connection, quarter)
        links = _read_links(connection, sorted({call.company for call in calls}))
    spoken = [call for call in calls if call.has_text]
    firms = tuple(
        _firm(company, tuple(group), links.get(company, []), today)
        for company, group in groupby(spoken, key=lambda call: call.company)
    )
    return Plan(firms, tuple(call for call in calls if not call.has_text))


def _firm(
    company: int, calls: tuple[PlannedCall, ...], links: list[Link], today: dt.date
) -> PlannedFirm:
    found: Resolution = UNLINKED
    if links:
        found = resolve_firm(links, (call.day for call in calls), today=today)
    # A firm that was renamed between two calls goes by its latest name.
    return PlannedFirm(company, calls[-1].firm_name, found.identifiers, found.ambiguous, calls)


def _read_calls(connection: psycopg.Connection, quarter: Quarter) -> list[PlannedCall]:
    rows = connection.execute(
        queries.CALLS,
        {
            "event": queries.EARNINGS_CALL,
            "first_day": quarter.first_day,
            "day_after": quarter.next().first_day,
        },
    ).fetchall()
    # One transcript may stand under two events of the same firm: it is still one call.
    unique = list(
        {(company, transcript): row for row in rows for company, transcript in [row[:2]]}.values()
    )
    contents = _read_contents(connection, [transcript for _, transcript, *_ in unique])
    return [
        PlannedCall(company, transcript, _plain(name) or str(company), day, versions, *content)
        for (company, transcript, name, day, versions), content in zip(
            unique, contents, strict=True
        )
    ]


def _read_contents(
    connection: psycopg.Connection, transcripts: list[int]
) -> Iterator[tuple[int, int, str]]:
    """Number of components, number of blank ones and hash of each transcript, in order."""
    rows = connection.execute(
        queries.CONTENTS, {"transcripts": transcripts, "blanks": BLANKS}
    ).fetchall()
    by_place = {place: (components, blank, content) for place, components, blank, content in rows}
    for place in range(1, len(transcripts) + 1):
        yield by_place.get(place, (0, 0, ""))


def _read_links(connection: psycopg.Connection, companies: Iterable[int]) -> dict[int, list[Link]]:
    links: dict[int, list[Link]] = {}
    rows = connection.execute(queries.LINKS, {"companies": list(companies)})
    for company, gvkey, gvkey_start, gvkey_end, permno, start, end, kind, primary in rows:
        link = Link(
            gvkey=gvkey.strip(),
            permno=permno,
            start=start,
            end=end,
            kind=_code(kind),
            primary=_code(primary),
            gvkey_start=gvkey_start,
            gvkey_end=gvkey_end,
        )
        links.setdefault(company, []).append(link)
    return links


def _code(text: str | None) -> str:
    """A link's type or mark; a missing one is no permission, unlike a missing column."""
    return (text or "").strip()


def _plain(name: str | None) -> str:
    """A name on one line."""
    return " ".join((name or "").split())
