"""Rows of docs/reference/failure-table.md, for the tests that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parents[2] / "docs" / "reference" / "failure-table.md"


@dataclass(frozen=True)
class Row:
    """One end of a job, and what follows from it; ``times`` is None for always."""

    end: str
    exit_code: int | None
    status_reason: str | None
    reason: str | None
    times: int | None
    attempts: int
    submissions: int
    map: str
    reduce: str
    doctor: str | None

    def job_description(self, attempts: int, name: str = "ftm-map-2023Q1_batch_0000") -> Any:
        """The job as Step Functions writes it into the cause: DescribeJobs in PascalCase."""
        container = {
            "Image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-map:v1",
            "LogStreamName": "firm-processor/default/0123456789abcdef",
        }
        if self.exit_code is not None:
            container |= {"ExitCode": self.exit_code}  # type: ignore[dict-item]
        if self.reason is not None:
            container |= {"Reason": self.reason}
        attempt = {"Container": dict(container), "StartedAt": 1700000000000}
        described = {
            "Attempts": [attempt] * attempts,
            "Container": container,
            "CreatedAt": 1700000000000,
            "JobDefinition": "ftm-firm-processor",
            "JobId": "01234567-89ab-cdef-0123-456789abcdef",
            "JobName": name,
            "JobQueue": "arn:aws:batch:us-west-2:123456789012:job-queue/ftm-queue-main",
            "Status": "FAILED",
        }
        if self.status_reason is not None:
            described |= {"StatusReason": self.status_reason}
            attempt |= {"StatusReason": self.status_reason}
        return described


@dataclass(frozen=True)
class ErrorRow:
    """An error of the service that submits, before there is a job."""

    error: str
    retries: int
    ends_in: str


def job_ends() -> list[Row]:
    """Rows of the first table."""
    return [
        Row(
            end=cells[0],
            exit_code=_number(cells[1]),
            status_reason=_text(cells[2]),
            reason=_text(cells[3]),
            times=None if cells[4] == "always" else int(cells[4]),
            attempts=int(cells[5]),
            submissions=int(cells[6]),
            map=cells[7],
            reduce=cells[8],
            doctor=_text(cells[9]),
        )
        for cells in _rows("end")
    ]


def errors_before_a_job() -> list[ErrorRow]:
    """Rows of the second table."""
    found = []
    for error, what, ends_in in _rows("error"):
        retries = re.match(r"retries, (\d+) times", what)
        found.append(ErrorRow(error, int(retries.group(1)) if retries else 0, ends_in))
    return found


def _rows(first: str) -> list[list[str]]:
    """Cells of the table whose first column is called ``first``."""
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def _text(cell: str) -> str | None:
    return None if cell == "—" else cell


def _number(cell: str) -> int | None:
    return None if cell == "—" else int(cell)
