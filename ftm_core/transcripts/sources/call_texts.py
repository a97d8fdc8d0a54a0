"""Read one call from one file: StreetEvents, FactSet, Seeking Alpha, plain text, sentence lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ftm_core.transcripts.turns import (
    ANALYST,
    EXECUTIVE,
    OPERATOR,
    Turn,
    turns_of_text,
)
from ftm_core.transcripts.values import UNKNOWN_SPEAKER

_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_BRIEF = re.compile(r"Event Brief\s*$", re.MULTILINE)
_STREETEVENTS_DATE = re.compile(
    r"^\s*([A-Z]+ \d{1,2}, ?\d{4} ?/ ?\d{1,2}:\d{2} ?[AP]M ?(?:GMT|UTC)?)\s*$", re.MULTILINE
)
_STREETEVENTS_TITLE = re.compile(
    r"^\s*(?:Q[1-4] \d{4}|(?:Half|Full) Year \d{4})\s+(.+?)\s+Earnings"
)
_LISTED_TICKER = re.compile(r"\(\s*(?:[A-Za-z][\w .]*:\s*)?([A-Z][A-Z0-9.\-]{0,9})\s*\)")
_LONG_DATE = re.compile(
    r"([A-Z][a-z]{2,8}\.?\s+\d{1,2},?\s+\d{4}(?:,?\s*(?:at\s+)?\d{1,2}:\d{2}\s*[AaPp]\.?[Mm]\.?"
    r"(?:\s*(?:ET|E[SD]T|PT|P[SD]T|CST|CDT|GMT|UTC))?)?)"
)
_MARKDOWN_DATE = re.compile(r"^\W*(?:Call )?Date\W+(.+?)\W*$", re.MULTILINE | re.IGNORECASE)
_LISTED_PERSON = re.compile(r"^(.+?)\s+[-–—]+\s+(.+)$")
_SECTIONS = {
    "executives": EXECUTIVE,
    "company participants": EXECUTIVE,
    "corporate participants": EXECUTIVE,
    "analysts": ANALYST,
    "conference call participants": ANALYST,
}
_HEAD_LINES = 6


class NotACallError(Exception):
    """The file holds something else, such as a brief; the text says what."""


@dataclass
class CallText:
    """One call: what the file says of it, by our names, and its turns or sentences."""

    layout: str
    values: dict[str, Any] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    is_split: bool = False


def read_call(text: str, name: Mapping[str, str], *, name_first: bool = False) -> CallText:
    """The call in ``text``; ``name`` is what the file's name contains, by our names.

    What the text says goes before the name, unless ``name_first``. Raises NotACallError for a file
    that holds no call, and ValueError saying what is wrong with one that seems to.
    """
    plain = text.lstrip("\ufeff").lstrip()
    if plain.startswith("<"):
        call = _xml(plain)
    elif "StreetEvents Event" in plain[:400] or _is_streetevents(plain):
        call = _streetevents(plain)
    elif _is_seeking_alpha(plain):
        call = _seeking_alpha(plain)
    else:
        call = _plain(plain)
    stated = {key: value for key, value in call.values.items() if value}
    call.values = {**stated, **name} if name_first else {**name, **stated}
    if not call.turns:
        raise ValueError(
            "no speakers are recognized in it: turns begin with `Name: text`, `Name -- Role` or a "
            "name alone on its line"
        )
    return call


def _xml(text: str) -> CallText:
    try:
        root = fromstring(_XML_DECLARATION.sub("", text))
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"is not valid XML ({error})") from error
    tag = root.tag.rpartition("}")[2]
    if tag == "Event":
        return _streetevents_xml(root)
    if tag == "transcript":
        return _factset(root)
    raise ValueError(f"is XML of an unknown kind (its root is <{tag}>)")


def _streetevents_xml(event: Element) -> CallText:
    story = event.find("EventStory")
    if story is None:
        raise ValueError("has no <EventStory>")
    kind = story.get("storyType", "transcript").lower()
    if kind != "transcript":
        raise NotACallError(f"is a {kind}, not a transcript")
    if event.get("eventTypeId", "1") != "1":
        raise NotACallError(f"is of a {event.get('eventTypeName', 'event')}, not an earnings call")
    if story.get("action", "publish").lower() == "delete":
        raise NotACallError("withdraws a transcript")
    call = _streetevents(story.findtext("Body") or "")
    ticker = _text_of(event, "companyTicker")
    call.layout = "streetevents-xml"
    call.values |= {
        "firm_id": ticker or _text_of(event, "companyId"),
        "firm_name": _text_of(event, "companyName") or call.values.get("firm_name"),
        "ticker": ticker,
        "earnings_call_date": _text_of(event, "startDate") or call.values["earnings_call_date"],
        "transcript_id": story.get("Id") or event.get("Id"),
        "event_id": event.get("Id"),
        "presentation": story.get("version"),
        "created_date": event.get("lastUpdate"),
    }
    return call


def _factset(root: Element) -> CallText:
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    people: dict[str, tuple[str, str]] = {}
    types = {"operator": OPERATOR, "corprep": EXECUTIVE, "analyst": ANALYST}
    for person in root.iter(f"{space}participant"):
        kind = types.get(person.get("type", "").lower(), UNKNOWN_SPEAKER)
        people[person.get("id", "")] = ("".join(person.itertext()).strip(), kind)
    turns = []
    for speaker in root.iter(f"{space}speaker"):
        name, kind = people.get(speaker.get("id", ""), ("", UNKNOWN_SPEAKER))
        text = "\n".join("".join(part.itertext()).strip() for part in speaker.iter(f"{space}p"))
        if text.strip():
            turns.append(Turn(name, kind, text))
    title = (root.findtext(f"{space}meta/{space}title") or "").strip()
    company = root.findtext(f".//{space}company")
    product = root.get("product", "")
    is_raw = "raw" in product.lower()
    firm_name = re.split(r",? Q[1-4] \d{4}\b", title)[0].strip() or title
    return CallText(
        "factset-xml",
        {
            "firm_id": company.strip() if company and company.strip() else firm_name,
            "firm_name": firm_name,
            "earnings_call_date": (root.findtext(f"{space}meta/{space}date") or "").strip(),
            "transcript_id": f"{root.get('id')}.{'T' if is_raw else 'C'}",
            "event_id": root.get("id"),
            "presentation": "Preliminary" if is_raw else "Final",
        },
        turns,
    )


def _is_streetevents(text: str) -> bool:
    return "=" * 60 in text and bool(re.search(r"^Corporate Participants\s*$", text, re.MULTILINE))


def _streetevents(text: str) -> CallText:
    head = text[:600]
    if _BRIEF.search(head):
        raise NotACallError("is an Event Brief, not a transcript")
    title = next(
        (match for line in text.splitlines()[:12] if (match := _STREETEVENTS_TITLE.match(line))),
        None,
    )
    date = _STREETEVENTS_DATE.search(text[:2000])
    return CallText(
        "streetevents-text",
        {
            "firm_name": title.group(1) if title else None,
            "earnings_call_date": date.group(1) if date else None,
        },
        turns_of_text(text),
    )


def _is_seeking_alpha(text: str) -> bool:
    lines = [line.strip().lower() for line in text.splitlines()[:60]]
    return bool(set(lines) & set(_SECTIONS)) and "operator" in {
        line.strip().lower() for line in text.splitlines()
    }


def _seeking_alpha(text: str) -> CallText:
    lines = text.splitlines()
    types: dict[str, str] = {}
    section = ""
    body = 0
    for number, raw in enumerate(lines):
        line = raw.strip()
        if line.lower() in _SECTIONS:
            section = _SECTIONS[line.lower()]
            body = number + 1
            continue
        listed = _LISTED_PERSON.match(line)
        known = listed is not None and listed.group(1).strip() in types
        if not section or not line:
            continue
        if listed is None or known:
            # The first line that lists nobody new begins the call.
            body = number
            break
        types[listed.group(1).strip()] = section
        body = number + 1
    head = " ".join(line.strip() for line in lines[:_HEAD_LINES])
    ticker = _LISTED_TICKER.search(head)
    date = _LONG_DATE.search(head)
    return CallText(
        "seeking-alpha",
        {
            "firm_id": ticker.group(1) if ticker else None,
            "firm_name": head[: ticker.start()].strip() if ticker else None,
            "ticker": ticker.group(1) if ticker else None,
            "earnings_call_date": date.group(1) if date else None,
        },
        turns_of_text("\n".join(lines[body:]), types),
    )


def _plain(text: str) -> CallText:
    """Any other text: turns if speakers are named, sentences if each line is one."""
    head = text[:600]
    ticker = _LISTED_TICKER.search(head.splitlines()[0] if head else "")
    date = _MARKDOWN_DATE.search(head) or _LONG_DATE.search(head)
    values = {
        "firm_id": ticker.group(1) if ticker else None,
        "ticker": ticker.group(1) if ticker else None,
        "earnings_call_date": date.group(1) if date else None,
    }
    turns = turns_of_text(text)
    if turns:
        return CallText("text", values, turns)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not _sentence_lines(lines):
        return CallText("text", values)
    sentences = [Turn("", UNKNOWN_SPEAKER, line) for line in lines]
    return CallText("sentence-lines", {}, sentences, is_split=True)


def _sentence_lines(lines: list[str]) -> bool:
    """Whether each line of a text is a sentence: many lines, none of them long."""
    return len(lines) >= 5 and sum(len(line) <= 1000 for line in lines) >= 0.98 * len(lines)


def _text_of(element: Element, name: str) -> str | None:
    text = element.findtext(name)
    return text.strip() if text and text.strip() else None
