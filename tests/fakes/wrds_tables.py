"""Generated tables of WRDS's shape, with every trap that the real ones hold.

Firms below BULK_START are traps, each named for what it is there to catch; the rest is bulk,
sized by a parameter. The same size gives the same rows.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from tests.fakes.wrds_postgres import DATABASE, PASSWORD, USER, PostgresServer

BULK_START = 1_000_000
FINAL, PRELIMINARY = 5, 4
AUDITED, PROOFED, EDITED, SPELLCHECKED = 8, 1, 2, 7
STAGES = {8: "Audited Copy", 1: "Proofed Copy", 2: "Edited Copy", 7: "Spellchecked Copy"}
ODD_TEXT = (
    "Our “Nächste” plan — 東京, naïve café\u00a0sales — grew 5% 🚀.\r\n"
    "It\u2019s a\tfine\u200b quarter; they said \\N and NULL, 'quoted' \"twice\".\x07"
)

# The types are WRDS's own: the same id is numeric in one table and integer in another.
_DDL = """
CREATE SCHEMA ciq;
CREATE SCHEMA crsp;
CREATE TABLE ciq.wrds_transcript_detail (
    companyid numeric(11), keydevid numeric(11), transcriptid numeric(11), headline varchar(381),
    mostimportantdateutc date, mostimportanttimeutc time, keydeveventtypeid numeric(11),
    keydeveventtypename varchar(400), companyname varchar(400), transcriptcollectiontypeid integer,
    transcriptcollectiontypename varchar(200), transcriptpresentationtypeid integer,
    transcriptpresentationtypename varchar(200), transcriptcreationdate_utc date,
    transcriptcreationtime_utc time, audiolengthsec numeric(11));
CREATE TABLE ciq.ciqtranscriptcomponent (
    transcriptcomponentid integer, transcriptid integer, componentorder smallint,
    transcriptcomponenttypeid smallint, transcriptpersonid integer, componenttext text);
CREATE TABLE ciq.wrds_transcript_person (
    transcriptcomponentid numeric(11), transcriptid numeric(11), componentorder integer,
    transcriptpersonid numeric(11), transcriptpersonname varchar(400), speakertypeid integer,
    speakertypename varchar(100));
CREATE TABLE ciq.wrds_gvkey (
    companyid numeric(11), gvkey varchar(6), startdate date, enddate date,
    companyname varchar(400));
CREATE TABLE crsp.ccmxpf_linktable (
    gvkey varchar(6), linkprim varchar(1), liid varchar(3), linktype varchar(2),
    lpermno double precision, lpermco double precision, usedflag double precision,
    linkdt date, linkenddt date);
CREATE INDEX ON ciq.ciqtranscriptcomponent (transcriptid);
CREATE INDEX ON ciq.wrds_transcript_person (transcriptid);
"""

_SPEAKERS = {"Operator": 1, "Executives": 2, "Analysts": 3, "Shareholders": 4, "Attendees": 5}
_BULK_SENTENCES = (
    "Revenue in the {word} segment rose {n} percent to ${n}.{d} million.",
    "We expect {word} demand to hold up through the second half of the year.",
    "Gross margin was {n}.{d}%, helped by {word} pricing and lower freight.",
    "Could you say more about {word} and what it means for the U.S. market?",
    "Our team closed {n} new {word} contracts, including one with Acme Corp. in Ohio.",
    "Capital spending on {word} will be about ${n} million this year.",
)
_WORDS = ("cloud", "battery", "retail", "mining", "dental", "freight", "grid", "beverage", "lease")


@dataclass
class WrdsTables:
    """Rows of the five tables, by table name."""

    rows: dict[str, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {
            "ciq.wrds_transcript_detail": [],
            "ciq.ciqtranscriptcomponent": [],
            "ciq.wrds_transcript_person": [],
            "ciq.wrds_gvkey": [],
            "crsp.ccmxpf_linktable": [],
        }
    )
    _next_component: int = 1

    def call(
        self,
        company: int,
        event: int,
        transcript: int,
        day: dt.date,
        turns: Iterable[Turn] = (),
        *,
        time: dt.time = dt.time(14, 0),
        stage: int = PROOFED,
        presentation: int = FINAL,
        created: dt.datetime | None = None,
        kind: int = 48,
        name: str | None = None,
    ) -> None:
        """One version of one call, with its components and their speakers."""
        made = created or dt.datetime.combine(day, time) + dt.timedelta(days=1)
        name = name or f"Trap {company} Inc."
        self.rows["ciq.wrds_transcript_detail"].append(
            (
                *(company, event, transcript, f"{name}, Earnings Call, {day}", day, time, kind),
                *("Earnings Calls" if kind == 48 else "Other", name, stage, STAGES[stage]),
                *(presentation, "Final" if presentation == FINAL else "Preliminary"),
                *(made.date(), made.time(), 3600),
            )
        )
        for number, turn in enumerate(turns):
            self._turn(transcript, number if turn.order is None else turn.order, turn)

    def link(
        self,
        company: int,
        gvkey: str,
        *links: tuple[str, str, int | None, dt.date | None, dt.date | None],
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> None:
        """A gvkey of a company with its dates, and the gvkey's links to permnos."""
        self.rows["ciq.wrds_gvkey"].append((company, gvkey, start, end, f"Company {company}"))
        for kind, primary, permno, first, last in links:
            self.rows["crsp.ccmxpf_linktable"].append(
                (gvkey, primary, "01", kind, permno, permno, 1, first, last)
            )

    def _turn(self, transcript: int, order: int, turn: Turn) -> None:
        component = self._next_component
        self._next_component += 1
        self.rows["ciq.ciqtranscriptcomponent"].append(
            (component, transcript, order, 2, order + 1, turn.text)
        )
        for speaker in turn.speakers:
            self.rows["ciq.wrds_transcript_person"].append(
                (
                    *(component, transcript, order, order + 1, "A Person"),
                    *(_SPEAKERS.get(speaker or ""), speaker),
                )
            )


@dataclass(frozen=True)
class Turn:
    """What one person says; no speaker, or several, where WRDS has none, or several, rows."""

    text: str | None
    speakers: tuple[str | None, ...] = ("Executives",)
    order: int | None = None


def traps() -> WrdsTables:
    """Every trap, each in a firm (company id) of its own, around the quarter 2023Q1."""
    tables = WrdsTables()
    _link_traps(tables)
    _date_traps(tables)
    _version_traps(tables)
    _text_traps(tables)
    return tables


def with_bulk(n_components: int, *, per_call: int = 70, firms_of_two: int = 10) -> WrdsTables:
    """The traps and about ``n_components`` components of ordinary calls in the quarter.

    Each call also has an edited version with a third as many more, which must not be taken; one
    firm in ``firms_of_two`` has two calls.
    """
    tables = traps()
    chance = random.Random(20230101)
    left = n_components - len(tables.rows["ciq.ciqtranscriptcomponent"])
    firm = BULK_START
    while left > 0:
        for _ in range(2 if firm % firms_of_two == 0 else 1):
            left -= _bulk_call(tables, chance, firm, min(per_call, max(left, 1)))
        gvkey = f"{firm - BULK_START + 100_000:06d}"
        if firm % 7 == 0:
            tables.link(firm, gvkey)
        else:
            tables.link(
                firm, gvkey, ("LC", "P", 10_000 + firm - BULK_START, dt.date(2001, 1, 1), None)
            )
        firm += 1
    return tables


def load(server: PostgresServer, tables: WrdsTables) -> None:
    """Put the tables into a fresh database, in an order that helps nobody."""
    with psycopg.connect(server.owner_dsn("postgres"), autocommit=True) as connection:
        name = sql.Identifier(DATABASE)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        for role in (USER, "duo", "stranger"):
            known = connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)
            ).fetchone()
            if known is None:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(PASSWORD)
                    )
                )
    chance = random.Random(7)
    with psycopg.connect(server.owner_dsn()) as connection:
        connection.execute(_DDL)
        for table, rows in tables.rows.items():
            schema, _, plain = table.partition(".")
            target = sql.Identifier(schema, plain)
            shuffled = list(rows)
            chance.shuffle(shuffled)
            filling = sql.SQL("COPY {} FROM STDIN").format(target)
            with connection.cursor() as cursor, cursor.copy(filling) as copy:
                for row in shuffled:
                    copy.write_row(row)
            connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(target, _role()))
        for schema in ("ciq", "crsp"):
            connection.execute(
                sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), _role())
            )
    with psycopg.connect(server.owner_dsn(), autocommit=True) as connection:
        connection.execute("ANALYZE")


def _role() -> sql.Identifier:
    return sql.Identifier(USER)


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _said(*texts: str) -> list[Turn]:
    return [Turn(text) for text in texts]


# Company ids of the traps, by what they are there for.
OVERLAPPING_LINKS = 101
LAPSED_LINK = 102
OPEN_LINK = 103
YEAR_9999 = 104
TYPE_REFUSED = 105
NOT_PRIMARY = 106
NO_GVKEY = 107
TWO_GVKEYS = 108
OLD_GVKEY = 109
LINK_FROM_CALL_DAY = 110
LINK_TO_CALL_DAY = 111
CHANGES_IN_QUARTER = 112
LAST_SECOND = 201
FIRST_SECOND = 202
SECOND_AFTER = 203
LAST_SECOND_BEFORE = 204
NOT_EARNINGS = 205
VERSIONS_DISAGREE = 206
THREE_VERSIONS = 301
PRELIMINARY_LATER = 302
SAME_MOMENT = 303
FINAL_HAS_NO_TEXT = 304
TWO_CALLS = 305
LISTED_TWICE = 306
SHARED_CALL = (307, 308)
SPEAKER_MISSING = 401
OUT_OF_ORDER = 402
ODD_CHARACTERS = 403
BLANK_PARTS = 404
NO_TEXT_AT_ALL = 405
TWO_SPEAKERS_LISTED = 406


def _link_traps(tables: WrdsTables) -> None:
    """Links that overlap, lapse, never end, or must not be used at all."""
    mid = _day("2023-02-15")
    start, end = _day("2010-01-01"), _day("2022-12-31")
    for company in range(OVERLAPPING_LINKS, CHANGES_IN_QUARTER):
        day = _day("2023-02-15")
        tables.call(company, company * 10, company * 100, day, _said("We sold more."))
    tables.link(
        OVERLAPPING_LINKS,
        "000101",
        ("LU", "P", 11101, start, None),
        ("LC", "C", 11102, start, None),
        ("LC", "P", 11103, _day("2015-01-01"), None),
        ("LC", "P", 11104, _day("2020-06-01"), None),
        ("LC", "P", 11105, _day("2020-06-01"), None),
    )
    tables.link(LAPSED_LINK, "000102", ("LC", "P", 11201, start, end))
    tables.link(OPEN_LINK, "000103", ("LU", "C", 11301, start, None))
    tables.link(
        YEAR_9999,
        "000104",
        ("LC", "P", 11401, start, _day("9999-12-31")),
        end=_day("9999-12-31"),
    )
    tables.link(
        TYPE_REFUSED,
        "000105",
        ("LD", "P", 11501, start, None),
        ("NR", "P", None, start, None),
        ("LX", "C", 11502, start, None),
    )
    tables.link(
        NOT_PRIMARY, "000106", ("LC", "J", 11601, start, None), ("LC", "N", 11602, start, None)
    )
    tables.link(TWO_GVKEYS, "000108")
    tables.link(TWO_GVKEYS, "900108", ("LU", "C", 11801, start, None))
    tables.link(OLD_GVKEY, "000109", ("LC", "P", 11901, start, None), end=end)
    tables.link(
        OLD_GVKEY, "900109", ("LC", "P", 11902, start, None), start=end + dt.timedelta(days=1)
    )
    tables.link(LINK_FROM_CALL_DAY, "000110", ("LC", "P", 12001, mid, None))
    tables.link(LINK_TO_CALL_DAY, "000111", ("LC", "P", 12101, start, mid))
    for number, day in enumerate((_day("2023-01-20"), _day("2023-03-20"))):
        company = CHANGES_IN_QUARTER
        tables.call(company, company * 10 + number, company * 100 + number, day, _said("We sell."))
    tables.link(
        CHANGES_IN_QUARTER,
        "000112",
        ("LC", "P", 12201, start, _day("2023-02-28")),
        ("LC", "P", 12202, _day("2023-03-01"), None),
    )


def _date_traps(tables: WrdsTables) -> None:
    """Calls on both edges of the quarter, and what is not an earnings call."""
    last, midnight = dt.time(23, 59, 59), dt.time(0, 0, 0)
    for company, day, time in (
        (LAST_SECOND, _day("2023-03-31"), last),
        (FIRST_SECOND, _day("2023-01-01"), midnight),
        (SECOND_AFTER, _day("2023-04-01"), midnight),
        (LAST_SECOND_BEFORE, _day("2022-12-31"), last),
    ):
        tables.call(company, company * 10, company * 100, day, _said("We close."), time=time)
    tables.call(
        NOT_EARNINGS, 2050, 20500, _day("2023-02-01"), _said("We present at a fair."), kind=51
    )
    # The preliminary version has the day before: taken by date alone, the call is in two quarters.
    tables.call(
        *(VERSIONS_DISAGREE, 2060, 20600, _day("2023-03-31"), _said("We said this once.")),
        stage=SPELLCHECKED,
        presentation=PRELIMINARY,
        created=_moment("2023-04-01T01:00:00"),
    )
    tables.call(
        *(VERSIONS_DISAGREE, 2060, 20601, _day("2023-04-01"), _said("We said this once.")),
        created=_moment("2023-04-02T01:00:00"),
    )


def _version_traps(tables: WrdsTables) -> None:
    """Several versions of a call, several calls of a firm, one call of several firms."""
    day = _day("2023-02-07")
    for transcript, stage, presentation, created, text in (
        (30100, SPELLCHECKED, PRELIMINARY, "2023-02-07T16:00:00", "The spellchecked one."),
        (30103, EDITED, FINAL, "2023-02-07T22:00:00", "The edited one."),
        (30101, PROOFED, FINAL, "2023-02-08T09:30:00", "The proofed one."),
    ):
        tables.call(
            *(THREE_VERSIONS, 3010, transcript, day, _said(text)),
            stage=stage,
            presentation=presentation,
            created=_moment(created),
        )
    tables.call(
        *(PRELIMINARY_LATER, 3020, 30200, day, _said("The final one.")),
        created=_moment("2023-02-08T08:00:00"),
    )
    tables.call(
        *(PRELIMINARY_LATER, 3020, 30201, day, _said("A later preliminary one.")),
        presentation=PRELIMINARY,
        created=_moment("2023-02-09T08:00:00"),
    )
    for transcript, stage in ((30302, EDITED), (30301, PROOFED), (30300, AUDITED)):
        tables.call(
            *(SAME_MOMENT, 3030, transcript, day, _said(f"Stage {stage}.")),
            stage=stage,
            created=_moment("2023-02-08T08:00:00"),
        )
    tables.call(
        *(FINAL_HAS_NO_TEXT, 3040, 30400, day, _said("The edited one has the text.")),
        stage=EDITED,
        created=_moment("2023-02-07T22:00:00"),
    )
    tables.call(FINAL_HAS_NO_TEXT, 3040, 30401, day, created=_moment("2023-02-08T09:00:00"))
    tables.call(TWO_CALLS, 3050, 30500, _day("2023-03-20"), _said("The second call."))
    tables.call(TWO_CALLS, 3051, 30501, _day("2023-01-20"), _said("The first call."))
    for _ in range(2):
        tables.call(LISTED_TWICE, 3060, 30600, day, ())
    tables.call(LISTED_TWICE, 3061, 30600, day, _said("One call under two events."))
    for company in SHARED_CALL:
        tables.call(company, 3070, 30700, day, ())
    tables.call(SHARED_CALL[1], 3070, 30700, day, _said("We merged."))


def _text_traps(tables: WrdsTables) -> None:
    """Speakers missing or listed twice, components out of order, odd characters, blanks."""
    day = _day("2023-03-01")
    tables.call(
        *(SPEAKER_MISSING, 4010, 40100, day),
        [Turn("Who says this?", ()), Turn("Or this?", (None,)), Turn("Welcome.", ("Operator",))],
    )
    tables.call(
        *(OUT_OF_ORDER, 4020, 40200, day),
        [
            Turn("Third.", order=30),
            Turn("First.", order=5),
            Turn("Fourth, listed earlier.", order=31),
            Turn("Fourth, listed later.", order=31),
            Turn("Second.", order=29),
        ],
    )
    tables.call(ODD_CHARACTERS, 4030, 40300, day, _said(ODD_TEXT))
    tables.call(
        *(BLANK_PARTS, 4040, 40400, day),
        [Turn("We begin."), Turn(None), Turn(""), Turn(" \u00a0\r\n\u2003"), Turn("We end.")],
    )
    tables.call(NO_TEXT_AT_ALL, 4050, 40500, day, [Turn(None), Turn("  ")])
    tables.call(
        *(TWO_SPEAKERS_LISTED, 4060, 40600, day),
        [Turn("Said once.", ("Analysts", "Executives"))],
    )


def _bulk_call(tables: WrdsTables, chance: random.Random, firm: int, size: int) -> int:
    """An ordinary call and its edited version; returns the components of the former."""
    event = len(tables.rows["ciq.wrds_transcript_detail"]) + 10_000_000
    day = _day("2023-01-02") + dt.timedelta(days=chance.randrange(88))
    turns = list(_bulk_turns(chance, size))
    name = f"Bulk {firm} Corp."
    tables.call(firm, event, event * 2, day, turns, name=name)
    edited = [dataclasses.replace(turn, text=f"Edited. {turn.text}") for turn in turns[::3]]
    created = dt.datetime.combine(day, dt.time(18))
    tables.call(firm, event, event * 2 - 1, day, edited, stage=EDITED, created=created, name=name)
    return len(turns)


def _bulk_turns(chance: random.Random, count: int) -> Iterator[Turn]:
    for number in range(count):
        speaker = "Operator" if number % 10 == 0 else chance.choice(("Executives", "Analysts"))
        sentences = [
            chance.choice(_BULK_SENTENCES).format(
                word=chance.choice(_WORDS), n=chance.randrange(2, 90), d=chance.randrange(10)
            )
            for _ in range(1 if speaker == "Operator" else chance.randrange(1, 14))
        ]
        yield Turn(" ".join(sentences), (speaker,))
