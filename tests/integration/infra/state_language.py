"""Just enough of the Amazon States Language to ask where a rendered state machine leads."""

from __future__ import annotations

import copy
import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

States = Mapping[str, Mapping[str, Any]]
# More steps than any path through our state machines has.
_MOST_STEPS = 200


class StateError(Exception):
    """What a Task raises: an error's name and its cause."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(name)
        self.name, self.cause = name, cause


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
    if "Or" in rule:
        return any(_holds(part, data) for part in rule["Or"])
    present, value = _look_up(rule["Variable"], data)
    (test,) = set(rule) - {"Variable", "Next"}
    wanted = rule[test]
    if test == "IsPresent":
        return bool(present == wanted)
    if not present:
        raise LookupError(f"{rule['Variable']} is not there: the execution would break")
    tests = {
        "IsNumeric": lambda: _is_number(value) == wanted,
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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def walk(
    states: States, start: str, data: Mapping[str, Any], task: Callable[[str, Any], Any]
) -> tuple[str, Any]:
    """The state in which a path ends, and its data; ``task`` plays the Task states.

    ``task`` gets a state's name and data, and returns its result or raises StateError. A path ends
    in a Succeed or Fail state, in a state with "End", or where it leaves ``states``.
    """
    name, data = start, copy.deepcopy(dict(data))
    for _ in range(_MOST_STEPS):
        if name not in states:
            return name, data
        state = states[name]
        kind = state["Type"]
        if kind in ("Succeed", "Fail"):
            return name, data
        if kind == "Choice":
            name = choose(state, data)
            continue
        if kind == "Pass":
            _put(data, state, _result_of_pass(state, data))
        elif kind == "Task":
            try:
                result = _tried(state, lambda here=name: task(here, data))  # type: ignore[misc]
            except StateError as error:
                catcher = _handler(state.get("Catch", []), error)
                if catcher is None:
                    return name, data
                failure = {"Error": error.name, "Cause": error.cause}
                _put(data, catcher, failure)
                name = catcher["Next"]
                continue
            _put(data, state, result)
        if state.get("End"):
            return name, data
        name = state["Next"]
    raise AssertionError(f"a path from {start} does not end")


def _tried(state: Mapping[str, Any], call: Callable[[], Any]) -> Any:
    used: dict[int, int] = {}
    while True:
        try:
            return call()
        except StateError as error:
            retrier = _handler(state.get("Retry", []), error)
            if retrier is None or used.get(id(retrier), 0) >= retrier.get("MaxAttempts", 3):
                raise
            used[id(retrier)] = used.get(id(retrier), 0) + 1


def _handler(handlers: list[Mapping[str, Any]], error: StateError) -> Mapping[str, Any] | None:
    for handler in handlers:
        if {error.name, "States.ALL"} & set(handler["ErrorEquals"]):
            return handler
        # States.TaskFailed stands for every error of a Task but a timeout.
        if "States.TaskFailed" in handler["ErrorEquals"] and error.name != "States.Timeout":
            return handler
    return None


def _result_of_pass(state: Mapping[str, Any], data: Any) -> Any:
    if "Parameters" in state:
        return filled(state["Parameters"], data)
    return state.get("Result", data)


def _put(data: dict[str, Any], state: Mapping[str, Any], result: Any) -> None:
    path = state.get("ResultPath", "$")
    if path is None:
        return
    if path == "$":
        found = dict(result) if isinstance(result, Mapping) else {}
        data.clear()
        data.update(found)
        return
    data[path.removeprefix("$.")] = result


def filled(template: Any, data: Any) -> Any:
    """Parameters of a state for its input."""
    if not isinstance(template, Mapping):
        return template
    return {
        name.removesuffix(".$"): _evaluated(value, data)
        if name.endswith(".$")
        else filled(value, data)
        for name, value in template.items()
    }


def _evaluated(expression: str, data: Any) -> Any:
    """A path or one of the intrinsic functions that our state machines use."""
    call = re.fullmatch(r"States\.(\w+)\((.*)\)", expression)
    if call is None:
        present, value = _look_up(expression, data)
        if not present:
            raise LookupError(f"{expression} is not there: the execution would break")
        return value
    function, inner = call.groups()
    arguments = [_argument(part, data) for part in re.findall(r"'(?:[^'\\]|\\.)*'|[^,\s]+", inner)]
    if function == "MathAdd":
        return sum(arguments)
    if function == "StringToJson":
        return json.loads(arguments[0])
    assert function == "Format", function
    return arguments[0].format(*arguments[1:])


def _argument(text: str, data: Any) -> Any:
    if text.startswith("'"):
        return text[1:-1]
    return int(text) if text.isdigit() else _evaluated(text, data)
