"""Calendar quarters such as ``2023Q1``: validation, first and last day, neighbours."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ftm_core.contracts.errors import InputError

# A longer range is taken for a typing error.
MAX_QUARTERS = 200

_RANGE = re.compile(r"(?P<first>[^.,\s]+)\.\.(?P<last>[^.,\s]+)")
_PATTERN = re.compile(r"^([0-9]{4})Q([1-4])$")


@dataclass(frozen=True, order=True)
class Quarter:
    """One calendar quarter, ordered by time; ``str()`` gives the ``YYYYQn`` form."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Quarter:
        """Read ``YYYYQn``; raises InputError on anything else."""
        match = _PATTERN.match(text)
        # `$` also matches before a final newline, which must not become part of a key.
        if match is None or text != match.group(0):
            raise InputError(
                f"The quarter {text!r}",
                "is not a calendar quarter",
                "Write it as four digits, Q and 1 to 4, for example 2023Q1.",
            )
        if match.group(1) == "0000":
            raise InputError(f"The quarter {text!r}", "is in a year 0", "Use a year from 0001 on.")
        return cls(int(match.group(1)), int(match.group(2)))

    @classmethod
    def parse_range(cls, text: str) -> list[Quarter]:
        """Read ``YYYYQn`` or ``YYYYQn..YYYYQn``, both ends included, or raise InputError."""
        start, dots, end = text.partition("..")
        first = cls.parse(start)
        last = cls.parse(end) if dots else first
        if last < first:
            raise InputError(
                f"The range {text!r}",
                "ends before it begins",
                f"Write the range as {last}..{first}.",
            )
        quarters = [first]
        while quarters[-1] < last:
            quarters.append(quarters[-1].next())
        return quarters

    @property
    def first_day(self) -> dt.date:
        """First calendar day of the quarter."""
        return dt.date(self.year, 3 * self.number - 2, 1)

    @property
    def last_day(self) -> dt.date:
        """Last calendar day of the quarter, inclusive."""
        end_month = 3 * self.number
        last = {3: 31, 6: 30, 9: 30, 12: 31}[end_month]
        return dt.date(self.year, end_month, last)

    def contains(self, day: dt.date) -> bool:
        """Whether ``day`` lies within the quarter, its last day included."""
        return self.first_day <= day <= self.last_day

    def next(self) -> Quarter:
        """The quarter that follows."""
        if self.number == 4:
            return Quarter(self.year + 1, 1)
        return Quarter(self.year, self.number + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}Q{self.number}"


def parse_quarters(text: str) -> tuple[list[Quarter], bool]:
    """Quarters of ``2016Q3..2017Q1`` or ``2016Q3,2017Q1``, oldest first, and whether a range.

    Both ends of a range are included. Raises InputError for anything else.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return sorted({Quarter.parse(part.strip()) for part in text.split(",")}), False
    first, last = Quarter.parse(match["first"]), Quarter.parse(match["last"])
    if first > last:
        raise InputError(
            f"The range {text!r}", "ends before it begins", "Write the earlier quarter first."
        )
    found = [first]
    while found[-1] < last:
        found.append(found[-1].next())
        if len(found) > MAX_QUARTERS:
            raise InputError(
                f"The range {text!r}",
                f"holds more than {MAX_QUARTERS} quarters",
                "Check the years, or run the command for a part of them.",
            )
    return found, True
