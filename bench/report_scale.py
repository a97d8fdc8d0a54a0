"""Time and memory of the report's page about a large quarter, and how quick it is in a browser.

Run from the project root: ``python -m bench.report_scale [TOPICS] [FIRMS] [THEMES]``. The tables
are made up at that size, over a small quarter that is finished; quality, what is drawn and the
page itself are of the large tables. The checks of `ftm evaluate` are left out: they would find that
the rest of the quarter is small.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import expect, sync_playwright

from bench.measuring import report
from ftm_core.data.quarter_store import QuarterStore
from ftm_core.memory import give_memory_back, peak_memory_mib
from ftm_core.quality.measure import measure_quality
from ftm_core.report.content import collect, quarter_views
from ftm_core.report.page import render_page
from ftm_core.report.quarter_tables import QuarterTables
from ftm_core.storage.local import LocalStorage
from tests.fakes.large_tables import write_large_tables
from tests.fakes.small_quarter import QUARTER, build_small_quarter

SENTENCES = 3
DIMENSIONS = 384


def vectors_of(topic_ids: Sequence[str]) -> np.ndarray:
    """Made up: the large tables have no map output behind them."""
    chance = np.random.default_rng(len(topic_ids))
    return chance.normal(size=(len(topic_ids), DIMENSIONS)).astype(np.float32)


class Stages:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[f"seconds, {name}"] = time.perf_counter() - started


def measure(n_topics: int, n_firms: int, n_themes: int) -> dict[str, object]:
    give_memory_back()
    stage = Stages()
    with tempfile.TemporaryDirectory() as made:
        quarter = build_small_quarter(LocalStorage(Path(made) / "data"))
        content = collect(quarter.storage, QUARTER, quarter.settings, lambda event: None)
        with stage("making the tables (not the product's)"):
            write_large_tables(
                quarter, topics=n_topics, firms=n_firms, themes=n_themes, sentences=SENTENCES
            )
        made_up = peak_memory_mib()
        with stage("quality"):
            quality = measure_quality(quarter.storage, QUARTER, quarter.settings.quality, None)
        with stage("themes, map and heatmap"):
            tables = QuarterTables(QuarterStore(quarter.storage, QUARTER))
            views = quarter_views(tables, vectors_of, quarter.settings.themes.flattened_directions)
        with stage("page"):
            content = dataclasses.replace(content, views=views, quality=quality)
            page = render_page(content, "nothing")
        # Before the browser, whose own memory would count as a child's.
        peak = peak_memory_mib()
        path = Path(made) / "page.html"
        path.write_bytes(page)
        browse(path, stage)
    return {
        "topics, firms, themes": f"{n_topics:,}, {n_firms:,}, {n_themes:,}",
        "sentences": n_topics * SENTENCES,
        **stage.seconds,
        "MiB of the page": len(page) / 2**20,
        "peak MiB": peak,
        "peak MiB before, making the tables": made_up,
        "topics drawn": len(views.topic_map["theme"]),
    }


def browse(path: Path, stage: Stages) -> None:
    """Load the page in headless Chromium, and search."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        with stage("browser: load until drawn"):
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready]", timeout=120_000)
        before = page.locator("#theme-count").inner_text()
        with stage("browser: search"):
            page.locator("#theme-search").fill("Subject 77")
            expect(page.locator("#theme-count")).not_to_have_text(before)
        browser.close()


def main() -> None:
    sizes = [int(given) for given in sys.argv[1:]] + [150_000, 5_000, 700][len(sys.argv) - 1 :]
    report("report_scale", measure(*sizes))


if __name__ == "__main__":
    main()
