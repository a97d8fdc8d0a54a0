"""Separate the turns of a call: from a text with speakers' names, or from a list of turns."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ftm_core.transcripts.values import UNKNOWN_SPEAKER

OPERATOR, EXECUTIVE, ANALYST = "Operator", "Executive", "Analyst"


class Turn(NamedTuple):
    """What one person says without a break."""

    speaker: str
    speaker_type: str
    text: str


_OPERATOR = re.compile(r"\b(operator|coordinator)\b", re.IGNORECASE)
_ANALYST = re.compile(r"\banalyst\b|\bresearch division\b", re.IGNORECASE)
_UNNAMED_EXECUTIVE = re.compile(r"\b(company|corporate) representative\b|\bexecutive\b", re.I)
# A name: up to seven words that begin with a capital, or a numbered voice of a recording.
_WORD = r"(?:[A-ZÀ-Þ][\w.'’\-]*|[a-z]{2,3}\b|[\"“(][A-ZÀ-Þ]\w+[\"”)]|&)"
_NAME = rf"(?:[A-ZÀ-Þ][\w.'’\-]*(?:,? {_WORD}){{0,6}}|spk\d+|Speaker ?\d+)"
_LABELED = re.compile(rf"^\**({_NAME})\**\s?:\**\s+(?=\S)")
_DASHED = re.compile(rf"^({_NAME}) +(?:--|—|–|-) +(.{{2,120}})$")
_ALONE = re.compile(rf"^\**({_NAME})\**:?$")
# Headings, and what follows the call on a page.
_HEADING = re.compile(
    r"^(prepared remarks|presentation|questions? (and|&) answers?|question[- ]and[- ]answer session"
    r"|q ?& ?a( session)?|management discussion section|contents?|image source.*)\s*:?$",
    re.IGNORECASE,
)
_END = re.compile(
    r"^(duration: .*|call participants:?|more \S+ analysis|all earnings call transcripts"
    r"|copyright policy.*|this article is a transcript.*|\[?end of (call|transcript)\]?)$",
    re.IGNORECASE,
)
_VOTING = re.compile(r"\n\s*1\s*\n\s*V\. Bearish\b.*\Z", re.DOTALL)
_RULE = re.compile(r"^-{20,}$")
_NUMBERED = re.compile(r"^(.+?)\s+\[\d+\]$")


def speaker_type(name: str, role: str | None = None) -> str:
    """The type inferred from a name or a role; Unknown when neither has one."""
    if _OPERATOR.search(name) or (role and _OPERATOR.fullmatch(role.strip())):
        return OPERATOR
    if (role and _ANALYST.search(role)) or _ANALYST.search(name):
        return ANALYST
    if role and role.strip():
        return EXECUTIVE
    return EXECUTIVE if _UNNAMED_EXECUTIVE.search(name) else UNKNOWN_SPEAKER


def turns_of_list(parts: Iterable[Any], types: Mapping[str, str] | None = None) -> list[Turn]:
    """Turns of a nested list such as ``[{"speaker": …, "text": …}]``.

    Raises ValueError when an element is no object, or holds no text.
    """
    turns = []
    for number, part in enumerate(parts, start=1):
        if not isinstance(part, Mapping):
            raise ValueError(f"has an element that is no turn (number {number})")
        text = _first(part, ("text", "content", "speech", "paragraphs", "message"))
        if isinstance(text, list | tuple):
            text = "\n".join(str(paragraph) for paragraph in text if paragraph is not None)
        if text is not None and not isinstance(text, str):
            raise ValueError(f"has a turn whose text is no text (number {number})")
        given = _first(part, ("speaker", "name", "speaker_name"))
        if isinstance(given, Mapping):
            name = str(_first(given, ("name", "speaker")) or "")
            role = _first(given, ("title", "role", "description"))
        else:
            name = str(given or "").strip()
            role = _first(part, ("title", "role", "type"))
        known = (types or {}).get(name) or speaker_type(name, str(role) if role else None)
        if text and text.strip():
            turns.append(Turn(name, known, text))
    return turns


def types_of_participants(parts: Any) -> dict[str, str]:
    """Speaker types by name, from a list such as Finnhub's ``participant``."""
    types: dict[str, str] = {}
    for part in parts if isinstance(parts, list | tuple) else ():
        if isinstance(part, str):
            name, _, role = part.partition(" -- ") if " -- " in part else part.partition(" - ")
            types[name.strip()] = speaker_type(name, role)
        elif isinstance(part, Mapping):
            name = str(_first(part, ("name", "speaker")) or "").strip()
            roles = [str(part[key]) for key in ("role", "description", "title") if part.get(key)]
            if name:
                types[name] = _type_of_roles(name, roles)
    return types


def parsed_list(value: Any) -> list[Any] | None:
    """A value as a list of turns: a list, or the JSON text of one; None when it is neither."""
    if isinstance(value, list | tuple):
        return list(value)
    if hasattr(value, "tolist"):
        return list(value.tolist())
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            parsed = json.loads(value)
        except ValueError:
            return None
        return parsed if isinstance(parsed, list) else None
    return None


def turns_of_text(text: str, types: Mapping[str, str] | None = None) -> list[Turn]:
    """Turns of a call's text; empty when no way of naming speakers is recognized in it.

    Recognized are ``Name: text``, ``Name -- Role`` above the text, a name alone on its line (a
    known one, or one that occurs at least twice), and StreetEvents' numbered headings. Headings
    such as "Questions and Answers" and what follows the call are left out.
    """
    text = _VOTING.sub("\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = text.split("\n")
    if any(_RULE.match(line) for line in lines) and any(_NUMBERED.match(line) for line in lines):
        return _turns_of_streetevents(lines)
    types = dict(types or {})
    counts = {
        "labeled": _count(lines, _LABELED, types),
        "dashed": _count(lines, _DASHED, types),
        "alone": _count(lines, _ALONE, types),
    }
    # A dashed or lone operator counts for both forms, so roles decide between these two.
    if counts["labeled"] >= max(2, counts["dashed"], counts["alone"]):
        return _turns_by_lines(lines, "labeled", types)
    if counts["dashed"] >= 2 and counts["dashed"] >= counts["labeled"]:
        return _turns_by_lines(lines, "dashed", types)
    if counts["alone"] >= 2:
        return _turns_by_lines(lines, "alone", types)
    return []


def _names(lines: Iterable[str], form: re.Pattern[str], types: Mapping[str, str]) -> set[str]:
    """Who speaks: names that are known, the operator, and names that come more than once."""
    found: Counter[str] = Counter()
    dashed = form is _DASHED
    for line in lines:
        match = form.match(line.strip())
        if match is not None and not _HEADING.match(line.strip()):
            found[match.group(1)] += 1
    return {
        name
        for name, times in found.items()
        if name in types or _OPERATOR.search(name) or times > 1 or dashed or _like_a_person(name)
    }


def _like_a_person(name: str) -> bool:
    """Two to four capitalized words: what a name is, and a sentence's beginning hardly ever."""
    words = name.replace(",", "").split()
    return 2 <= len(words) <= 4 and all(word[0].isupper() for word in words)


def _count(lines: list[str], form: re.Pattern[str], types: Mapping[str, str]) -> int:
    names = _names(lines, form, types)
    if form is _ALONE:
        names = {name for name in names if name in types or _repeated_or_operator(name, lines)}
    return sum(
        1
        for line in lines
        for match in [form.match(line.strip())]
        if match is not None and match.group(1) in names
    )


def _repeated_or_operator(name: str, lines: list[str]) -> bool:
    if _OPERATOR.search(name):
        return True
    return sum(line.strip() == name for line in lines) > 1


def _turns_by_lines(lines: list[str], form: str, types: dict[str, str]) -> list[Turn]:
    """Turns whose first line names the speaker; every other line belongs to the last one named."""
    names = {
        "labeled": _names(lines, _LABELED, types),
        "dashed": _names(lines, _DASHED, types),
        "alone": {
            name
            for name in _names(lines, _ALONE, types)
            if name in types or _repeated_or_operator(name, lines)
        },
    }[form]
    turns: list[Turn] = []
    speaker, kind, spoken = "", UNKNOWN_SPEAKER, [""]
    began = False

    def end() -> None:
        text = "\n".join(spoken).strip()
        if began and text:
            turns.append(Turn(speaker, kind, text))

    for raw in lines:
        line = raw.strip()
        if _END.match(line) and began:
            break
        if _HEADING.match(line):
            continue
        head = _head(line, form, names, types)
        if head is None:
            spoken.append(raw)
            continue
        end()
        speaker, kind, first = head
        spoken = [first]
        began = True
    end()
    return turns


def _head(
    line: str, form: str, names: set[str], types: dict[str, str]
) -> tuple[str, str, str] | None:
    """Speaker, type and first words of a line that begins a turn; None for any other line."""
    if form == "labeled":
        match = _LABELED.match(line)
        if match is None or match.group(1) not in names:
            return None
        name = match.group(1)
        return name, types.get(name) or speaker_type(name), line[match.end() :]
    alone = _ALONE.match(line)
    if alone is not None:
        name = alone.group(1)
        if name in types or _OPERATOR.search(name) or (form == "alone" and name in names):
            return name, types.get(name) or speaker_type(name), ""
    match = _DASHED.match(line)
    if match is None or _too_long(line):
        return None
    name, role = match.group(1), match.group(2)
    if form == "dashed":
        types.setdefault(name, speaker_type(name, role))
        return name, types[name], ""
    if name in types:
        return name, types[name], ""
    return None


def _too_long(line: str) -> bool:
    """Whether a line with a dash is a sentence rather than a name and a role."""
    return len(line) > 160 or line.endswith((".", "?", "!", ","))


def _turns_of_streetevents(lines: list[str]) -> list[Turn]:
    """Turns between lines of dashes that enclose ``Name,  Firm - Role    [n]``."""
    types = _streetevents_types(lines)
    turns: list[Turn] = []
    speaker, spoken, began = "", [""], False

    def end() -> None:
        text = "\n".join(spoken).strip()
        if began and text:
            name = speaker.partition(",")[0].strip()
            known = types.get(name) or speaker_type(speaker, _role(speaker))
            turns.append(Turn(name, known, text))

    at = 0
    while at < len(lines):
        line = lines[at].strip()
        enclosed = at + 2 < len(lines) and _RULE.match(line) and _RULE.match(lines[at + 2].strip())
        if enclosed:
            heading = lines[at + 1].strip()
            match = _NUMBERED.match(heading)
            end()
            began = match is not None
            speaker, spoken = (match.group(1) if match else ""), [""]
            at += 3
            continue
        if line.startswith("=" * 20):
            # A section's title stands between two such lines.
            end()
            began = False
            at += 1
            continue
        spoken.append(lines[at])
        at += 1
    end()
    return turns


def _streetevents_types(lines: list[str]) -> dict[str, str]:
    """Types by name: the corporate participants are executives, the others by their role."""
    types: dict[str, str] = {}
    section = ""
    for at, raw in enumerate(lines):
        line = raw.strip()
        if line.lower() in {"corporate participants"}:
            section = EXECUTIVE
        elif line.lower().startswith("conference call partici"):
            section = ANALYST
        elif line.lower() in {"presentation", "questions and answers"}:
            section = ""
        elif section and raw.startswith(" * "):
            types[line[2:].strip()] = section
        elif at > 0 and section == ANALYST and raw.startswith("   ") and line:
            name = lines[at - 1].strip().removeprefix("* ").strip()
            role = line.rpartition(" - ")[2]
            if name in types and role and not _ANALYST.search(role):
                types[name] = UNKNOWN_SPEAKER
    return types


def _role(heading: str) -> str | None:
    return heading.rpartition(" - ")[2] if " - " in heading else None


def _type_of_roles(name: str, roles: list[str]) -> str:
    """The type inferred from any of several roles, the plainest first."""
    plain = {role.strip().lower() for role in roles}
    for words, kind in (
        ({"operator"}, OPERATOR),
        ({"analyst", "analysts"}, ANALYST),
        ({"executive", "executives", "corprep"}, EXECUTIVE),
    ):
        if plain & words:
            return kind
    return speaker_type(name, roles[0] if roles else None)


def _first(part: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of several values that is there."""
    return next((part[name] for name in names if part.get(name) is not None), None)
