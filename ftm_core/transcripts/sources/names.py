"""What the name of a file or folder says of a call: its day, ticker, firm or fiscal quarter."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ftm_core.contracts.errors import InputError

# Fields of --name-pattern, and what each may match.
_FIELDS = {
    "date": (
        "earnings_call_date",
        r"\d{4}-?\d{2}-?\d{2}|\d{4}-[A-Za-z]{3}-\d{1,2}|\d{1,2}[A-Za-z]{3}\d{4}",
    ),
    "ticker": ("ticker", r"[A-Za-z0-9.\-]+"),
    "firm_id": ("firm_id", r"[^/]+?"),
    "firm_name": ("firm_name", r"[^/]+?"),
    "transcript_id": ("transcript_id", r"[^/]+?"),
    "fiscal": ("fiscal", r"[^/_]+?"),
    "any": ("", r"[^/]*?"),
}
_FIELD = re.compile(r"\{(\w*)\}|\*")
_MONTH_NAME = re.compile(r"^(\d{4})-([A-Za-z]{3})-(\d{1,2})$")

# Names that public sets and vendors use, tried in this order. A ticker differs from a company's
# name by its form.
_TICKER = r"[A-Z][A-Z0-9]{0,5}(?:[.\-][A-Z0-9]{1,3})?"
_DAY = r"(?:19|20)\d{2}[01]\d[0-3]\d"
_KNOWN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?P<date>\d{{4}}-[A-Za-z]{{3}}-\d{{1,2}})-(?P<ticker>{_TICKER})$",
        rf"^(?P<date>{_DAY})_(?P<ticker>{_TICKER})$",
        rf"^(?P<date>{_DAY})_(?P<firm_name>.+)$",
        rf"^(?P<ticker>{_TICKER})_(?P<date>{_DAY}|\d{{4}}-\d{{2}}-\d{{2}})$",
        rf"^(?P<firm_name>.+)_(?P<date>{_DAY})$",
        rf"^(?P<ticker>{_TICKER})_(?P<fiscal>[qQ][1-4]_\d{{4}}|\d{{4}}_?[qQ][1-4])$",
        rf"^CT_(?P<ticker>{_TICKER})_(?P<fiscal>\d{{4}}_[qQ][1-4])$",
        rf"^.+ \((?P<ticker>{_TICKER})\) .*$",
    )
)
# Names that say nothing about the call: the folder's name is the one that counts.
_NAMELESS = {"text", "transcript", "call", "textsequence"}


class NamePattern:
    """Reads our values out of a path; ``pattern`` is the user's, as ``{date}_{ticker}.txt``."""

    def __init__(self, pattern: str | None = None) -> None:
        self._own = _compiled(pattern) if pattern is not None else None
        self.pattern = pattern

    def read(self, path: str) -> dict[str, str]:
        """What ``path``, relative to the source, says; raises ValueError if nothing fits."""
        if self._own is not None:
            match = self._own.search(path)
            if match is None:
                raise ValueError(f"its name does not fit the pattern {self.pattern}")
            return _values(match.groupdict())
        place = PurePosixPath(path)
        stem = place.stem if place.suffix else place.name
        if stem.lower() in _NAMELESS and place.parent.name:
            stem = place.parent.name
        for known in _KNOWN:
            match = known.match(stem)
            if match is not None:
                return _values(match.groupdict())
        return {}


def call_name(path: str) -> str:
    """What a call is called when nothing names it: its file, or the folder of a ``text.txt``."""
    place = PurePosixPath(path)
    return (
        place.parent.name if place.stem.lower() in _NAMELESS and place.parent.name else place.stem
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    where = f"The pattern {pattern}"
    parts = [r"(?:^|/)"]
    last = 0
    seen: set[str] = set()
    for found in _FIELD.finditer(pattern):
        parts.append(re.escape(pattern[last : found.start()]))
        last = found.end()
        name = found.group(1) or "any"
        if name not in _FIELDS:
            raise InputError(
                where,
                f"has the unknown field {{{name}}}",
                f"Use {', '.join('{' + known + '}' for known in _FIELDS if known != 'any')} and *.",
            )
        if name != "any" and name in seen:
            raise InputError(where, f"has {{{name}}} twice", "Name each field once.")
        seen.add(name)
        body = _FIELDS[name][1]
        parts.append(f"(?P<{name}>{body})" if name != "any" else f"(?:{body})")
    if not seen - {"any"}:
        raise InputError(where, "has no field", "Write for example {date}_{ticker}.txt.")
    parts.append(re.escape(pattern[last:]) + "$")
    return re.compile("".join(parts))


def _values(groups: dict[str, str | None]) -> dict[str, str]:
    given = {_FIELDS[name][0]: value.strip() for name, value in groups.items() if value}
    match = _MONTH_NAME.match(given.get("earnings_call_date", ""))
    if match is not None:
        given["earnings_call_date"] = f"{match.group(3)}-{match.group(2)}-{match.group(1)}"
    return given
