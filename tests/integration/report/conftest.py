"""The small finished quarter, and a page about it that holds hostile texts and two quarters."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from typer.testing import CliRunner

from ftm_cli.app import app
from ftm_core.contracts import keys
from ftm_core.contracts.quarters import Quarter
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import (
    QUARTER,
    SmallQuarter,
    build_small_quarter,
    edit_table,
    finished_quarter,
    read_rows,
    small_quarter,
)

__all__ = ["finished_quarter", "small_quarter"]

HOSTILE = (
    "</script><script>window.harmed=1</script><img src=x onerror='window.harmed=1'> "
    "{{ 7*7 }} %{x} <b>bold</b>"
)


@pytest.fixture(scope="module")
def page_path(finished_quarter: SmallQuarter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a quarter whose texts would do harm if any of them were taken for HTML."""
    quarter = copy_of(finished_quarter, tmp_path_factory.mktemp("hostile"))
    make_hostile(quarter)
    add_earlier_quarter(quarter)
    return write_page(quarter)


@pytest.fixture(scope="module")
def procedure_page(
    finished_quarter: SmallQuarter, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page of a quarter whose second theme is about the call itself."""
    quarter = copy_of(finished_quarter, tmp_path_factory.mktemp("procedure"))

    def of_themes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [rows[0], *({**row, "kind": "procedure"} for row in rows[1:])]

    edit_table(quarter.storage, keys.themes(QUARTER), of_themes)
    return write_page(quarter)


def copy_of(finished: SmallQuarter, folder: Path) -> SmallQuarter:
    shutil.copytree(finished.storage.uri, folder / "data")
    return dataclasses.replace(finished, storage=LocalStorage(folder / "data"))


def write_page(quarter: SmallQuarter) -> Path:
    """`ftm report` over the quarter."""
    data = Path(quarter.storage.uri)
    output = data.with_name("page.html")
    arguments = ["report", "--quarter", str(QUARTER), "--data", str(data)]
    written = CliRunner().invoke(app, [*arguments, "--output", str(output)])
    assert written.exit_code == 0, written.output
    return output


def make_hostile(quarter: SmallQuarter) -> None:
    def of_topics(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**row, "summary": f"{row['summary']} {HOSTILE}", "firm_name": "<i>Firm</i>"}
            for row in rows
        ]

    def of_themes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "description": f"{row['description']} {HOSTILE}"} for row in rows]

    def of_sentences(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "raw_text": f"{row['raw_text']} {HOSTILE}"} for row in rows]

    for key, change in (
        (keys.processed_table("topics", QUARTER), of_topics),
        (keys.themes(QUARTER), of_themes),
        (keys.processed_table("sentences", QUARTER), of_sentences),
    ):
        edit_table(quarter.storage, key, change)


def add_earlier_quarter(quarter: SmallQuarter) -> None:
    """The quarter before has the first theme, of four firms fewer, and no other."""
    first = read_rows(quarter.storage, keys.themes(QUARTER))[0]
    before = Quarter(2022, 4)
    build_small_quarter(quarter.storage, of=before)

    def only_the_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = {"theme_id": rows[0]["theme_id"], "quarter": rows[0]["quarter"]}
        return [{**first, **kept, "n_firms": first["n_firms"] - 4}]

    edit_table(quarter.storage, keys.themes(before), only_the_first)


@pytest.fixture(scope="module")
def browser(page_path: Path, procedure_page: Path) -> Iterator[Browser]:
    """Debian's Chromium. After the pages, whose making needs an event loop of its own."""
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: scripts/install-test-tools installs it"
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=options)
        yield opened
        opened.close()
