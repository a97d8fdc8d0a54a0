"""AWS Batch's retry rules by the semantics that AWS documents, over the ends of attempts.

Source: EvaluateOnExit and RetryStrategy in the API reference of AWS Batch. The first entry whose
conditions all match decides, an end that matches none is retried, a pattern is a literal that may
end with an asterisk, there are at most five entries, and a timeout is never retried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rules = Sequence[Mapping[str, Any]]
_MOST_RULES = 5
_TIMEOUT = "Job attempt duration exceeded timeout"
_NOT_PLACED = ("CAPACITY:", "MISCONFIGURATION:")
_TEXT = re.compile(r"[A-Za-z0-9.:\s]{1,512}\*?")
_NUMBER = re.compile(r"[0-9]{0,512}\*?")


@dataclass(frozen=True)
class AttemptEnd:
    """How one attempt ended; None where DescribeJobs leaves a field out."""

    exit_code: int | None = None
    status_reason: str | None = None
    reason: str | None = None

    @property
    def never_ran(self) -> bool:
        """Whether the queue cancelled the job before it had an instance."""
        return bool(self.status_reason) and str(self.status_reason).startswith(_NOT_PLACED)


def check_rules(rules: Rules) -> None:
    """Fail for rules that AWS Batch's API would refuse."""
    assert len(rules) <= _MOST_RULES
    for rule in rules:
        assert str(rule["action"]).upper() in ("RETRY", "EXIT")
        conditions = _conditions(rule)
        assert conditions, "an entry needs a condition"
        for name, pattern in conditions.items():
            form = _NUMBER if name == "on_exit_code" else _TEXT
            assert form.fullmatch(pattern), (name, pattern)


def is_retried(rules: Rules, end: AttemptEnd) -> bool:
    """Whether AWS Batch makes another attempt after this end, while attempts are left."""
    if end.status_reason == _TIMEOUT or end.never_ran:
        return False
    facts = {
        "on_exit_code": None if end.exit_code is None else str(end.exit_code),
        "on_reason": end.reason,
        "on_status_reason": end.status_reason,
    }
    for rule in rules:
        conditions = _conditions(rule)
        if all(_matches(pattern, facts[name]) for name, pattern in conditions.items()):
            return str(rule["action"]).upper() == "RETRY"
    return True


def _conditions(rule: Mapping[str, Any]) -> dict[str, str]:
    names = ("on_exit_code", "on_reason", "on_status_reason")
    return {name: rule[name] for name in names if rule.get(name)}


def _matches(pattern: str, fact: str | None) -> bool:
    if fact is None:
        return False
    if pattern.endswith("*"):
        return fact.startswith(pattern[:-1])
    return fact == pattern
