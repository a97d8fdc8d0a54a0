"""Just enough of the Amazon States Language to ask where a rendered state machine leads."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

States = Mapping[str, Mapping[str, Any]]


def all_states(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state by name, those inside Maps included."""
    for name, state in definition["States"].items():
        yield name, state
        if state["Type"] == "Map":
            yield from all_states(state["ItemProcessor"])


def successors(state: Mapping[str, Any]) -> dict[str, set[str]]:
    """Where a state leads: by its own success, by its choices, by its catchers."""
    return {
        "next": {state["Next"]} if "Next" in state else set(),
        "choice": {rule["Next"] for rule in state.get("Choices", [])}
        | ({state["Default"]} if "Default" in state else set()),
        "catch": {catcher["Next"] for catcher in state.get("Catch", [])},
    }


def reachable(states: States, start: str, without: frozenset[tuple[str, str]]) -> set[str]:
    """States that can be reached from ``start`` when the edges ``without`` are cut."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for targets in successors(states[name]).values():
            todo += [target for target in targets if (name, target) not in without]
    return seen


def choose(state: Mapping[str, Any], data: Any) -> str:
    """The state that a Choice leads to for its input."""
    for rule in state["Choices"]:
        if _holds(rule, data):
            return str(rule["Next"])
    return str(state["Default"])


def _holds(rule: Mapping[str, Any], data: Any) -> bool:
    if "And" in rule:
        return all(_holds(part, data) for part in rule["And"])
    present, value = _look_up(rule["Variable"], data)
    (test,) = set(rule) - {"Variable", "Next"}
    wanted = rule[test]
    if test == "IsPresent":
        return bool(present == wanted)
    if not present:
        raise LookupError(f"{rule['Variable']} is not there: the execution would break")
    tests = {
        "IsString": lambda: isinstance(value, str) == wanted,
        "IsBoolean": lambda: isinstance(value, bool) == wanted,
        "StringEquals": lambda: value == wanted,
        "StringMatches": lambda: fnmatch.fnmatchcase(value, wanted),
        "NumericEquals": lambda: value == wanted,
        "NumericGreaterThan": lambda: value > wanted,
        "NumericLessThanEquals": lambda: value <= wanted,
    }
    return bool(tests[test]())


def _look_up(path: str, data: Any) -> tuple[bool, Any]:
    for step in path.removeprefix("$.").split("."):
        if not isinstance(data, Mapping) or step not in data:
            return False, None
        data = data[step]
    return True, data
