"""Every error and finding in the source reads as full sentences, whatever its fields hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftm_core.contracts.errors import sentence_of

_ROOT = Path(__file__).parents[3]
_FILES = [path for name in ("ftm_core", "ftm_cli") for path in sorted((_ROOT / name).rglob("*.py"))]
_TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _FILES}
# Stands for the value of a field, and of a text that the source does not spell out.
_VALUE = "\N{BLACK SQUARE}"
# Functions that take the ``where`` of the errors that they raise, and at which position.
_CARRIERS = {"translated": 0, "damaged": 0, "translate": 1, "storage_error": 1, "require_extra": 1}
_FEWEST_WORDS = 4


@dataclass(frozen=True)
class Text:
    """One argument as it can read, and where it is written."""

    place: str
    reads: str


def _error_classes() -> set[str]:
    found, before = {"FtmError"}, 0
    while len(found) > before:
        before = len(found)
        for tree in _TREES.values():
            found |= {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ClassDef)
                and any(ast.unparse(base).rpartition(".")[2] in found for base in node.bases)
            }
    return found


def _readings(node: ast.expr, names: dict[str, list[ast.expr]]) -> list[str]:
    """What an expression can read as; a bare value where it is computed."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(p.value) if isinstance(p, ast.Constant) else _VALUE for p in parts)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in _readings(left, names) for b in _readings(right, names)]
        case ast.IfExp(body=body, orelse=orelse):
            return _readings(body, names) + _readings(orelse, names)
        case ast.Name(id=name) if name in names:
            rest = {key: value for key, value in names.items() if key != name}
            return [text for value in names[name] for text in _readings(value, rest)]
        case _:
            return [_VALUE]


def _calls() -> Iterator[tuple[str, str, list[list[str]]]]:
    """Place, name of the called and the readings of each argument, over the whole source."""
    for path, tree in _TREES.items():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names: dict[str, list[ast.expr]] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    names.setdefault(node.targets[0].id, []).append(node.value)
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and node.args:
                    called = ast.unparse(node.func).rpartition(".")[2]
                    place = f"{path.relative_to(_ROOT)}:{node.lineno}"
                    yield place, called, [_readings(item, names) for item in node.args]


_CALLS = list(_calls())
_CLASSES = _error_classes()
_ERRORS = [
    (place, arguments)
    for place, called, arguments in _CALLS
    if called in _CLASSES and len(arguments) >= 3
]


def _texts(position: int) -> list[Text]:
    return [
        Text(place, reading)
        for place, arguments in _ERRORS
        for reading in arguments[position]
        if reading != _VALUE
    ]


def _wrong(texts: list[Text], pattern: str) -> list[Text]:
    return [text for text in texts if not re.fullmatch(pattern, text.reads, re.DOTALL)]


def _is_terse(hint: str) -> bool:
    return _VALUE not in hint and len(hint.split()) < _FEWEST_WORDS


def test_error_begins_with_the_thing_that_is_wrong() -> None:
    subjects = _texts(0) + [
        Text(place, reading)
        for place, called, arguments in _CALLS
        if called in _CARRIERS
        for reading in arguments[_CARRIERS[called]]
        if reading != _VALUE
    ]
    assert len(subjects) > 300
    assert _wrong(subjects, rf"({_VALUE} |[A-Z]|vLLM|s3://).*[^.: ]") == []


def test_error_says_what_is_wrong_of_it() -> None:
    causes = _texts(1)
    assert len(causes) > 300
    assert _wrong(causes, rf"[a-z{_VALUE}].*[^ ]") == []
    assert [text for text in causes if sentence_of("The file", text.reads).endswith("..")] == []


def test_error_ends_with_what_to_do_next() -> None:
    hints = _texts(2)
    assert len(hints) > 300
    assert _wrong(hints, rf"[A-Z{_VALUE}].*(\. ?|{_VALUE})") == []
    assert [text for text in hints if _is_terse(text.reads)] == []


def test_finding_is_a_sentence_and_says_what_to_do() -> None:
    found = [(place, arguments) for place, called, arguments in _CALLS if called == "Finding"]
    sentences, steps = (
        [
            Text(place, reading)
            for place, arguments in found
            for reading in (arguments[position] if len(arguments) > position else [])
            if reading not in ("", _VALUE)
        ]
        for position in (2, 4)
    )
    assert len(sentences) > 30
    assert _wrong(sentences, rf"([A-Z{_VALUE}0-9]|vLLM).*\.") == []
    assert _wrong(steps, rf"[A-Z{_VALUE}].*\.") == []
