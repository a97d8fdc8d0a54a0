"""The same two fictional calls in the forms in which vendors, APIs and public sets give calls."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

OPERATOR, EXECUTIVE, ANALYST = "Operator", "Executive", "Analyst"
PLURAL = {OPERATOR: "Operator", EXECUTIVE: "Executives", ANALYST: "Analysts"}
TYPE_IDS = {OPERATOR: "1", EXECUTIVE: "2", ANALYST: "3"}


@dataclass(frozen=True)
class Spoken:
    """One turn: who, as what, and the sentences."""

    name: str
    title: str
    kind: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


@dataclass(frozen=True)
class FakeCall:
    """One call; its fiscal quarter is never the calendar quarter of its day."""

    company: int
    name: str
    ticker: str
    day: str
    long_day: str
    fiscal: str
    turns: tuple[Spoken, ...]


def _turns(firm: str, chief: str, analyst: str, subject: str) -> tuple[Spoken, ...]:
    operator = ("Operator", "Operator", OPERATOR)
    head = (chief, "Chief Executive Officer", EXECUTIVE)
    asker = (analyst, "Research Analyst", ANALYST)
    return (
        Spoken(*operator, (f"Welcome to the {firm} earnings call.", "Please go ahead.")),
        Spoken(*head, (f"We’re pleased with {subject}, up 5.2%.", "Costs fell – as planned.")),
        Spoken(*operator, (f"We now take a question from {analyst}.",)),
        Spoken(*asker, (f"Where do you see {subject} next year?",)),
        Spoken(*head, ("We see growth of about 3%.", "Mr. Reed’s team opened 12 sites.")),
        Spoken(*operator, ("This ends the call.",)),
    )


CALLS = (
    FakeCall(
        99000001,
        "Alder Mills",
        "ZALD",
        "2023-02-08",
        "February 8, 2023",
        "2022Q4",
        _turns("Alder Mills", "Nora Finch", "Paul Iverson", "paper demand"),
    ),
    FakeCall(
        99000002,
        "Birch & Sons",
        "ZBIR",
        "2023-03-15",
        "March 15, 2023",
        "2022Q4",
        _turns("Birch & Sons", "Omar Lind", "Rita Sanderson", "store traffic"),
    ),
)


@dataclass(frozen=True)
class Form:
    """How a form is written, how it is read, and which speaker types it contains."""

    name: str
    write: Callable[[Path], Path]
    options: dict[str, Any] = field(default_factory=dict)
    speakers: str = "all"
    firm_ids: str = "ticker"


def turn_rows() -> list[dict[str, Any]]:
    """Capital IQ's columns, a row a turn."""
    return [
        {
            "companyid": call.company,
            "companyname": call.name,
            "keydevid": 70 + number,
            "transcriptid": 500 + number,
            "mostimportantdateutc": f"{call.day} 21:00:00",
            "transcriptcomponentid": 9000 + 100 * number + order,
            "componentorder": order,
            "speakertypename": PLURAL[turn.kind],
            "componenttext": turn.text,
        }
        for number, call in enumerate(CALLS)
        for order, turn in enumerate(call.turns)
    ]


def write_csv(
    path: Path, rows: Sequence[dict[str, Any]], *, encoding: str = "utf-8", separator: str = ","
) -> Path:
    """A delimited file in any encoding."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, names, delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def labeled(call: FakeCall) -> str:
    """``Name: text``, a line a turn."""
    return "\n".join(f"{turn.name}: {turn.text}" for turn in call.turns)


def dashed(call: FakeCall) -> str:
    """Motley Fool: a line ``Name -- Title`` above each turn, and what follows the call."""
    lines = ["Prepared Remarks:", ""]
    for turn in call.turns:
        title = "" if turn.kind == OPERATOR else f" -- {turn.title}"
        lines += [turn.name + title, "", turn.text, ""]
    lines += ["Duration: 40 minutes", "Call participants:"]
    return "\n".join([*lines, *(f"{t.name} -- {t.title}" for t in call.turns)])


def nested(call: FakeCall, text: str = "text") -> list[dict[str, str]]:
    """A list of turns."""
    return [{"speaker": turn.name, text: turn.text} for turn in call.turns]


def json_file(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _capital_iq(ending: str, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: write_csv(folder / f"calls{ending}", turn_rows(), **options)


def _upper(folder: Path) -> Path:
    return write_csv(
        folder / "calls.csv", [{k.upper(): v for k, v in row.items()} for row in turn_rows()]
    )


def _frame(folder: Path, ending: str) -> Path:
    frame = pd.DataFrame(turn_rows())
    path = folder / f"calls{ending}"
    if ending == ".dta":
        frame["companyid"] = frame["companyid"].astype(float)
        frame.to_stata(path, write_index=False, version=118)
    elif ending == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_feather(path)
    return path


def _gzip(folder: Path) -> Path:
    plain = _capital_iq(".csv")(folder)
    path = folder / "packed.csv.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


def _zip(folder: Path) -> Path:
    path = folder / "packed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(_capital_iq(".csv")(folder), "export/calls.csv")
        archive.writestr("__MACOSX/export/._calls.csv", b"\x00\x05")
    return path


def _parts(folder: Path) -> Path:
    rows = turn_rows()
    (folder / "parts").mkdir()
    for number, part in enumerate((rows[:4], rows[4:])):
        shuffled = [dict(reversed(row.items())) for row in part] if number else part
        pq.write_table(pa.Table.from_pylist(shuffled), folder / f"parts/part-{number}.parquet")
    (folder / "parts/_SUCCESS").write_bytes(b"")
    return folder / "parts"


def _three_tables(folder: Path) -> Path:
    rows = turn_rows()
    target = folder / "tables"
    target.mkdir()
    turns = ("transcriptcomponentid", "transcriptid", "componentorder", "componenttext")
    calls = ("transcriptid", "companyid", "companyname", "keydevid", "mostimportantdateutc")
    persons = ("transcriptcomponentid", "transcriptid", "speakertypename")
    write_csv(target / "components.csv", [{k: row[k] for k in turns} for row in rows])
    write_csv(
        target / "detail.csv",
        [dict(items) for items in dict.fromkeys(tuple((k, r[k]) for k in calls) for r in rows)],
    )
    write_csv(target / "persons.csv", [{k: row[k] for k in persons} for row in rows])
    return target


def _speaker_ids(folder: Path) -> Path:
    kinds = [turn.kind for call in CALLS for turn in call.turns]
    rows = [
        {**row, "speakertypeid": TYPE_IDS[k]} for row, k in zip(turn_rows(), kinds, strict=True)
    ]
    for row in rows:
        del row["speakertypename"]
    return write_csv(folder / "calls.csv", rows)


def _hugging_face(folder: Path) -> Path:
    rows = [
        {
            "symbol": call.ticker,
            "company_name": call.name,
            "company_id": float(number),
            "year": 2022,
            "quarter": 4,
            "date": f"{call.day} 16:30:00",
            "content": labeled(call),
            "structured_content": nested(call),
        }
        for number, call in enumerate(CALLS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "calls.parquet")
    return folder / "calls.parquet"


def _motley(folder: Path) -> Path:
    rows = [
        {
            "": number,
            "date": f"{call.long_day}, 9:30 a.m. ET",
            "exchange": f"NYSE: {call.ticker}",
            "q": "2022-Q4",
            "ticker": call.ticker,
            "transcript": dashed(call),
        }
        for number, call in enumerate(CALLS)
    ]
    return write_csv(folder / "motley.csv", rows)


def _lamini(folder: Path) -> Path:
    """A call is repeated for each question about it."""
    rows = [
        {
            "question": f"Question {number}?",
            "date": call.day,
            "q": "2022-Q4",
            "ticker": call.ticker,
            "transcript": dashed(call),
        }
        for call in CALLS
        for number in range(3)
    ]
    return json_file(folder / "qa.json", rows)


def _fmp(folder: Path) -> Path:
    return json_file(
        folder / "fmp.json",
        [
            {
                "symbol": call.ticker,
                "quarter": 4,
                "year": 2022,
                "date": f"{call.day} 14:30:00",
                "content": labeled(call),
            }
            for call in CALLS
        ],
    )


def _api_ninjas(folder: Path) -> Path:
    return json_file(
        folder / "ninjas.json",
        [
            {
                "date": call.day,
                "ticker": call.ticker,
                "year": "2022",
                "quarter": "4",
                "transcript": labeled(call),
                "transcript_split": nested(call),
            }
            for call in CALLS
        ],
    )


def _finnhub(folder: Path) -> Path:
    return json_file(
        folder / "finnhub.json",
        [
            {
                "symbol": call.ticker,
                "time": f"{call.day} 14:30:00",
                "quarter": 4,
                "year": 2022,
                "participant": [
                    {"name": t.name, "role": t.kind.lower(), "description": t.title}
                    for t in call.turns
                ],
                "transcript": [
                    {"name": t.name, "speech": list(t.sentences), "session": "talk"}
                    for t in call.turns
                ],
            }
            for call in CALLS
        ],
    )


def _alpha_vantage(folder: Path) -> Path:
    """Answers without a day, and a table with the days."""
    target = folder / "answers"
    target.mkdir()
    for call in CALLS:
        json_file(
            target / f"{call.ticker}_{call.fiscal}.json",
            {
                "symbol": call.ticker,
                "quarter": call.fiscal,
                "transcript": [
                    {"speaker": t.name, "title": t.title, "content": t.text, "sentiment": "0.1"}
                    for t in call.turns
                ],
            },
        )
    write_csv(
        target / "meta.csv",
        [{"symbol": c.ticker, "quarter": c.fiscal, "call_date": c.day} for c in CALLS],
    )
    return target


def _earningscall(folder: Path) -> Path:
    """The earningscall library: the day has an offset, the ticker is in the file's name."""
    target = folder / "library"
    target.mkdir()
    for call in CALLS:
        json_file(
            target / f"{call.ticker}_{call.fiscal}.json",
            {
                "event": {
                    "year": 2022,
                    "quarter": 4,
                    "conference_date": f"{call.day}T14:00:00-08:00",
                },
                "speakers": nested(call),
            },
        )
    return target


def _motley_json(folder: Path) -> Path:
    """Motley Fool as scraped: two lists of turns, no day and no firm."""
    target = folder / "scraped"
    target.mkdir()
    for number, call in enumerate(CALLS):
        parts = [{"speaker": t.name, "speech": [t.text]} for t in call.turns]
        json_file(
            target / f"call-{number}.json",
            {
                "prepared_remarks": parts[:2],
                "q_and_a": parts[2:],
                "participants": [f"{t.name} -- {t.title}" for t in call.turns],
            },
        )
    write_csv(
        target / "dates.csv",
        [
            {"file": f"call-{number}.json", "ticker": call.ticker, "call_date": call.day}
            for number, call in enumerate(CALLS)
        ],
    )
    return target


def streetevents(call: FakeCall, *, brief: bool = False) -> str:
    """StreetEvents' text form."""
    rule, line = "=" * 80, "-" * 80
    day = call.long_day.upper()
    kind = "Brief" if brief else "Transcript"
    out = [f"Thomson Reuters StreetEvents Event {kind}", "E D I T E D   V E R S I O N", ""]
    out += [f"Q4 2022 {call.name} Earnings Call", f"{day} / 2:30PM GMT", ""]
    for heading, wanted in (
        ("Corporate Participants", EXECUTIVE),
        ("Conference Call Participiants", ANALYST),
    ):
        out += [rule, heading, rule, ""]
        people = dict.fromkeys((t.name, t.title) for t in call.turns if t.kind == wanted)
        firm = call.name if wanted == EXECUTIVE else "Quay Research, Research Division"
        for name, title in people:
            role = title if wanted == EXECUTIVE else "Analyst"
            out += [f" * {name}", f"   {firm} - {role}"]
        out.append("")
    if brief:
        return "\n".join([*out, rule, "OVERVIEW", rule, "Co. reported results."])
    out += [rule, "Presentation", rule]
    for number, turn in enumerate(call.turns, start=1):
        who = "Operator" if turn.kind == OPERATOR else f"{turn.name},  {call.name} - {turn.title}"
        out += [line, f"{who}    [{number}]", line, "", f"          {turn.text}", ""]
    return "\n".join([*out, line, "Disclaimer", line, "Nothing here was said.", line])


def _streetevents_text(folder: Path) -> Path:
    target = folder / "streetevents"
    for call in CALLS:
        place = target / call.ticker
        place.mkdir(parents=True)
        year, month, day = call.day.split("-")
        name = f"{year}-{ {'02': 'Feb', '03': 'Mar'}[month] }-{day}-{call.ticker}.txt"
        (place / name).write_text(streetevents(call), encoding="utf-8")
    brief = target / "2023-Feb-20-ZBRF.txt"
    brief.write_text(streetevents(CALLS[0], brief=True), encoding="utf-8")
    return target


def _streetevents_xml(folder: Path) -> Path:
    """Two versions of the first call, of which the archived one is older, and another event."""
    target = folder / "feed"
    (target / "Archive").mkdir(parents=True)

    def story(call: FakeCall, number: int, version: str, updated: str, kind: str = "1") -> str:
        return (
            '<?xml version="1.0" encoding="UTF-8" ?>\n'
            f'<Event Id="{number}" lastUpdate="{updated}" eventTypeId="{kind}" '
            'eventTypeName="Conference Presentation">'
            f'<EventStory Id="{number}.{version[0]}" action="publish" storyType="transcript" '
            f'version="{version}"><Headline><![CDATA[Title]]></Headline>'
            f"<Body><![CDATA[{streetevents(call)}]]></Body></EventStory>"
            f"<companyName>{escape(call.name)}</companyName>"
            f"<companyTicker>{call.ticker}</companyTicker>"
            f"<startDate>{int(call.day[-2:])}-{'Feb' if call.day[5:7] == '02' else 'Mar'}-23 "
            "2:30pm GMT</startDate></Event>"
        )

    late, early = (f"Thursday, April {day}, 2023 at 10:30:00am GMT" for day in (6, 5))
    for number, call in enumerate(CALLS):
        (target / f"{number}_T.xml").write_text(
            story(call, number, "Final", late), encoding="utf-8"
        )
    (target / "Archive/0_T.xml").write_text(
        story(CALLS[0], 0, "Preliminary", early), encoding="utf-8"
    )
    (target / "9_T.xml").write_text(story(CALLS[0], 9, "Final", late, kind="7"), encoding="utf-8")
    return target


def _factset(folder: Path) -> Path:
    target = folder / "factset"
    target.mkdir()
    kinds = {OPERATOR: "operator", EXECUTIVE: "corprep", ANALYST: "analyst"}
    for number, call in enumerate(CALLS):
        people = list(dict.fromkeys((t.name, t.kind) for t in call.turns))
        ids = {name: at for at, (name, _) in enumerate(people)}
        listed = "".join(
            f'<participant id="{ids[name]}" type="{kinds[kind]}">{name}</participant>'
            for name, kind in people
        )
        for product, ending, turns in (
            ("RawTranscript", "T", call.turns[:4]),
            ("CorrectedTranscript", "C", call.turns),
        ):
            said = "".join(
                f'<speaker id="{ids[t.name]}"><plist>'
                + "".join(f"<p>{escape(sentence)}</p>" for sentence in t.sentences)
                + "</plist></speaker>"
                for t in turns
            )
            (target / f"{call.day.replace('-', '')}-{number}-{ending}.xml").write_text(
                f'<?xml version="1.0" encoding="UTF-8"?><transcript id="{number}" '
                f'product="{product}" '
                'xmlns="http://www.factset.com/callstreet/xmllayout/v0.1"><meta>'
                f"<title>{escape(call.name)}, Q4 2022 Earnings Call</title><date>{call.day}</date>"
                f"<companies><company>00{number}FIC-E</company></companies>"
                f"<participants>{listed}</participants></meta>"
                f'<body><section name="MANAGEMENT DISCUSSION SECTION">{said}</section></body>'
                "</transcript>",
                encoding="utf-8",
            )
    return target


def _seeking_alpha(folder: Path) -> Path:
    target = folder / "seeking"
    target.mkdir()
    for call in CALLS:
        people = dict.fromkeys((EXECUTIVE, ANALYST), "")
        for kind in people:
            names = dict.fromkeys(t.name for t in call.turns if t.kind == kind)
            people[kind] = "\n".join(f"{name} - {call.name}" for name in names)
        said = "\n".join(f"{turn.name}\n{turn.text}" for turn in call.turns)
        text = (
            f"{call.name} (NYSE:{call.ticker}) Q4 2022 Earnings Call {call.long_day}  9:30 AM ET\n"
            f"Executives\n{people[EXECUTIVE]}\nAnalysts\n{people[ANALYST]}\n{said}\n"
            "1\n          V. Bearish\n        \n2\n          Bearish\n"
        )
        (target / f"CT_{call.ticker}_2022_q4.txt").write_text(text, encoding="cp1252")
    return target


def _markdown(folder: Path) -> Path:
    target = folder / "notes"
    target.mkdir()
    for call in CALLS:
        said = "\n\n".join(f"**{turn.name}**: {turn.text}" for turn in call.turns)
        (target / f"{call.ticker}_2022_Q4.md").write_text(
            f"# {call.ticker} Q4 2022 Earnings Call\n\n**Date**: {call.long_day}\n\n{said}\n",
            encoding="utf-8",
        )
    return target


def _named_by_pattern(folder: Path) -> Path:
    target = folder / "named"
    target.mkdir()
    for call in CALLS:
        path = target / f"call of {call.ticker} on {call.day}.txt"
        path.write_text(labeled(call), encoding="utf-8")
    return target


FORMS = (
    Form("capital-iq csv", _capital_iq(".csv"), firm_ids="company"),
    Form("capital-iq upper", _upper, firm_ids="company"),
    Form("capital-iq tsv", _capital_iq(".tsv", separator="\t"), firm_ids="company"),
    Form("capital-iq txt", _capital_iq(".txt", separator="\t"), firm_ids="company"),
    Form("capital-iq semicolon", _capital_iq(".csv", separator=";"), firm_ids="company"),
    Form("capital-iq pipe", _capital_iq(".csv", separator="|"), firm_ids="company"),
    Form("capital-iq utf-16", _capital_iq(".csv", encoding="utf-16"), firm_ids="company"),
    Form("capital-iq cp1252", _capital_iq(".csv", encoding="cp1252"), firm_ids="company"),
    Form("capital-iq gzip", _gzip, firm_ids="company"),
    Form("capital-iq zip", _zip, firm_ids="company"),
    Form("capital-iq parts", _parts, firm_ids="company"),
    Form("capital-iq tables", _three_tables, firm_ids="company"),
    Form("capital-iq speaker ids", _speaker_ids, firm_ids="company"),
    Form("stata", lambda folder: _frame(folder, ".dta"), firm_ids="company"),
    Form("excel", lambda folder: _frame(folder, ".xlsx"), firm_ids="company"),
    Form("feather", lambda folder: _frame(folder, ".feather"), firm_ids="company"),
    Form("hugging face", _hugging_face, speakers="operator"),
    Form("motley fool csv", _motley),
    Form("motley fool json", _motley_json),
    Form("lamini", _lamini),
    Form("fmp", _fmp, speakers="operator"),
    Form("api ninjas", _api_ninjas, speakers="operator"),
    Form("finnhub", _finnhub),
    Form("alpha vantage", _alpha_vantage),
    Form("earningscall", _earningscall, speakers="operator"),
    Form("streetevents text", _streetevents_text),
    Form("streetevents xml", _streetevents_xml),
    Form("factset xml", _factset, firm_ids="entity"),
    Form("seeking alpha", _seeking_alpha),
    Form("markdown", _markdown, speakers="operator"),
    Form(
        "name pattern",
        _named_by_pattern,
        options={"name_pattern": "call of {ticker} on {date}.txt"},
        speakers="operator",
    ),
)
