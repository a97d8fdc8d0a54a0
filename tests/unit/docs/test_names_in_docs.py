"""Every command, option, setting, identifier, path and link named in the documentation exists."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from ftm_cli.app import app
from ftm_core.contracts.settings import QualityThresholds, setting_fields

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted((ROOT / "bench/results").glob("*.md"))
SOURCE_FOLDERS = ("ftm_core", "ftm_cli", "infra", "scripts", "tests", "bench", "Makefile")
# Names of other programs that the documentation explains.
FOREIGN = {"HF_ENDPOINT", "HF_TOKEN", "JOB_COMPLETION_INDEX"}
INLINE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
EXAMPLE_ID = re.compile(r"\d{4}Q\d|\d{8}|^fault_\d+$")
PATH = re.compile(r"(?:ftm_core|ftm_cli|infra|scripts|tests|bench|docs)/[\w./-]*\w")


def by_name(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "page", pages, ids=[str(page.relative_to(ROOT)) for page in pages]
    )


def code_of(text: str) -> list[str]:
    """Inline code, and each line of shell in a block, its continuation lines joined."""
    spans = INLINE.findall(BLOCK.sub("", text))
    for language, body in BLOCK.findall(text):
        if language in ("", "bash", "console"):
            spans += body.replace("\\\n", " ").splitlines()
    return spans


@cache
def sources() -> str:
    """The text of all code, in which a documented name must occur."""
    files = [
        path
        for folder in SOURCE_FOLDERS
        for path in [ROOT / folder, *(ROOT / folder).rglob("*")]
        if path.is_file()
        and path != Path(__file__)
        and not {".terraform", "__pycache__"} & set(path.parts)
        and not path.is_relative_to(ROOT / "tests/data")
        and path.suffix in {"", ".py", ".sql", ".tf", ".toml", ".tftpl"}
    ]
    return "\n".join(path.read_text(encoding="utf-8", errors="ignore") for path in files)


@cache
def words_of_the_code() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", sources()))


@cache
def ftm() -> Any:
    return typer.main.get_command(app)


def unknown_in_command(line: str) -> str | None:
    """What ``ftm`` would not accept of one documented command line; None if there is nothing."""
    words = shlex.split(line, comments=True)
    command = ftm()
    options = {option for param in command.params for option in param.opts}
    for word in words[words.index("ftm") + 1 :]:
        if word in {"|", ">", "&&", ";"}:
            break
        commands = getattr(command, "commands", {})
        if command.name == "ingest" and word not in commands:
            command, commands = commands["files"], {}
        if word.startswith("-") and not re.fullmatch(r"-?-?\d.*|-", word):
            known = options | {option for param in command.params for option in param.opts}
            known |= {option for param in command.params for option in param.secondary_opts}
            if word.split("=")[0] not in known | {"--help"}:
                return word
        elif word in commands:
            command = commands[word]
        elif commands and re.fullmatch(r"[a-z][a-z-]+", word):
            return word
    return None


@by_name(PAGES)
def test_docs_commands_and_options_exist(page: Path) -> None:
    lines = [code for code in code_of(page.read_text("utf-8")) if re.match(r"(\$ )?ftm( |$)", code)]
    unknown = {line: unknown_in_command(line) for line in lines}
    assert {line: word for line, word in unknown.items() if word} == {}


@by_name(PAGES)
def test_docs_make_targets_and_benches_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for code in code_of(page.read_text("utf-8")):
        for target in re.findall(r"^make ([a-z0-9-]+)", code):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for module in re.findall(r"python -m bench\.(\w+)", code):
            assert (ROOT / f"bench/{module}.py").is_file(), module


@by_name(PAGES)
def test_docs_settings_and_identifiers_exist(page: Path) -> None:
    """A name with an underscore is a setting, column, field or variable of the code."""
    text = page.read_text("utf-8")
    if "This page is generated" in text:
        return
    named = {
        name
        for code in INLINE.findall(BLOCK.sub("", text))
        for name in re.findall(r"(?<![\w./{-])[A-Za-z]\w*_\w+(?![\w./}-])", code)
    }
    named = {name for name in named if not EXAMPLE_ID.search(name)}
    assert named - words_of_the_code() - FOREIGN == set()


@by_name(PAGES)
def test_docs_dotted_settings_exist(page: Path) -> None:
    groups = {group for group, _, _ in setting_fields()}
    known = {f"{group}.{name}" for group, name, _ in setting_fields()}
    known |= {f"quality.{name}" for name in QualityThresholds.model_fields}
    for code in INLINE.findall(page.read_text("utf-8")):
        group = code.split(".")[0]
        if re.fullmatch(r"\w+\.(?!parquet$)\w+", code) and group in groups | {"quality"}:
            assert code in known


@by_name(PAGES)
def test_docs_paths_of_the_repository_exist(page: Path) -> None:
    for code in INLINE.findall(page.read_text("utf-8")):
        if PATH.fullmatch(code.split("::")[0]) and "Q" not in code:
            assert (ROOT / code).exists(), code


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@by_name(PAGES + RESULTS)
def test_docs_links_lead_to_a_page_and_heading(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_docs_index_links_every_page() -> None:
    index = ROOT / "docs/README.md"
    linked = {
        (index.parent / link.split("#")[0]).resolve() for link in LINK.findall(index.read_text())
    }
    assert {*PAGES, *RESULTS} - {ROOT / "README.md", index} - linked == set()


def test_code_refers_to_pages_that_exist() -> None:
    named = set(re.findall(r"(?<![\w/.-])(?:docs|bench/results)/[\w/-]+\.md", sources()))
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_evaluation_page_lists_every_sql_check() -> None:
    text = (ROOT / "docs/reference/evaluation.md").read_text("utf-8")
    table = text[text.index("## The checks") : text.index("**Evidence")]
    listed = set(
        re.findall(r"`([a-z]+(?:-[a-z]+)+)`", "\n".join(re.findall(r"^\| (`[^|]*)", table, re.M)))
    )
    checks = {path.stem for path in (ROOT / "ftm_core/checks/sql").glob("*.sql")}
    assert checks - listed == set()
    assert {check for check in listed - checks if f'"{check}"' not in sources()} == set()


def test_quality_page_lists_measures_that_exist() -> None:
    text = (ROOT / "docs/reference/quality.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[a-z][a-z-]+`(?:, `[a-z-]+`)*)", text, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert listed
    exists = {name for name in listed if f'"{name}"' in sources()}
    exists |= {name for name in listed if f'"{name.partition("-")[2]}"' in sources()}
    assert listed - exists == set()
