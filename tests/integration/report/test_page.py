"""The page in a real browser: quiet, alone, searchable, by keyboard, in the dark, on a phone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.report.conftest import HOSTILE

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True,
}  # fmt: skip
# The machine of the tests may have much else to do.
TIMEOUT = 60_000

# WCAG 2.2, 1.4.3: contrast of each visible text with the background it stands on.
LOW_CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (parts) => parts.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = rgb(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
  };
  return [...document.querySelectorAll("body *:not(svg *)")]
    .filter((one) => one.offsetParent && [...one.childNodes].some(
      (child) => child.nodeType === 3 && child.data.trim()))
    .map((one) => {
      const [a, b] = [light(rgb(getComputedStyle(one).color)), light(behind(one))];
      return [one.tagName, one.className, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    })
    .filter(([, , ratio]) => ratio < 4.5);
}"""


@contextlib.contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page, drawn, without a network; and what the browser logged or asked for."""
    with contextlib.closing(browser.new_context(offline=True, **options)) as context:
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        heard: list[str] = []
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: heard.append(f"request: {request.url[:80]}"))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        yield page, heard


@pytest.fixture(scope="module")
def desk(browser: Browser, page_path: Path) -> Iterator[tuple[Page, list[str]]]:
    with opened(browser, page_path, **DESK) as found:
        yield found


@pytest.fixture(autouse=True)
def timeout_() -> Iterator[None]:
    expect.set_options(timeout=TIMEOUT)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def page(desk: tuple[Page, list[str]]) -> Page:
    page = desk[0]
    page.evaluate("scrollTo(0, 0)")
    page.fill("#theme-search", "")
    return page


def names_shown(page: Page) -> list[str]:
    return page.locator("#theme-table button.open:visible").all_inner_texts()


def test_it_draws_all_and_asks_for_nothing(desk: tuple[Page, list[str]], page_path: Path) -> None:
    page, heard = desk
    assert page.locator("#map-chart .point").count() == 13
    # Both themes of the quarter, one of them from the quarter before.
    assert page.locator("#timeline-chart .point").count() == 3
    row = page.locator("#timeline tbody tr", has_text="Pricing in the quarter")
    assert row.inner_text().split("\t")[1:] == ["2", "6", "+4"]
    assert heard == [f"request: {page_path.as_uri()[:80]}"]


def test_texts_stay_text(page: Page) -> None:
    assert HOSTILE in page.locator("#theme-0").inner_text()
    page.locator("#theme-0 button.open").click()
    detail = page.locator("#theme-0 + tr")
    detail.locator("summary").first.click()
    # The summary and, opened, each of its three sentences.
    assert detail.locator("details").first.inner_text().count(HOSTILE) == 4
    page.locator("#map-chart .point").first.hover(force=True)
    hover = page.locator("#map-chart .hovertext")
    # The chart wraps lines wherever it likes, so words are looked for.
    expect(hover).to_contain_text("onerror='window.harmed=1'>")
    expect(hover).to_contain_text("<i>Firm</i>")
    assert page.locator("main img, main i, main b").count() == 0
    assert page.evaluate("window.harmed") is None
    page.locator("#theme-0 button.open").click()
    expect(detail).to_be_hidden()


def test_a_script_that_is_not_its_own_is_refused(browser: Browser, page_path: Path) -> None:
    with opened(browser, page_path) as (page, heard):
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), "
            "{textContent: 'window.harmed = 1'}))"
        )
        assert page.evaluate("window.harmed") is None
        assert any("Content Security Policy" in line for line in heard)


def test_search_finds_what_only_a_summary_says(page: Page) -> None:
    page.fill("#theme-search", "FREIGHT changed")
    assert names_shown(page) == ["Freight in the quarter"]
    expect(page.get_by_role("status")).to_have_text("1 of 2 themes")
    page.fill("#theme-search", "no such word")
    assert names_shown(page) == []
    expect(page.get_by_role("status")).to_have_text("0 of 2 themes")


def test_themes_about_the_call_show_when_asked(browser: Browser, procedure_page: Path) -> None:
    """They stand neither in the table, nor in its counts, nor on the map until then."""
    with opened(browser, procedure_page, **DESK) as (page, _):
        assert names_shown(page) == ["Pricing in the quarter"]
        expect(page.get_by_role("status")).to_have_text("1 of 1 themes")
        page.fill("#theme-search", "FREIGHT changed")
        assert names_shown(page) == []
        page.fill("#theme-search", "")
        shown = page.get_by_label("Show 1 theme about the call itself")
        expect(shown).not_to_be_checked()
        shown.check()
        assert names_shown(page) == ["Pricing in the quarter", "Freight in the quarter"]
        expect(page.get_by_role("status")).to_have_text("2 of 2 themes")
        shown.uncheck()
        assert names_shown(page) == ["Pricing in the quarter"]


def test_a_theme_opens_to_firms_topics_and_sentences_by_keyboard(page: Page) -> None:
    page.focus("#theme-1 button.open")
    page.keyboard.press("Enter")
    expect(page.locator("#theme-1 button.open")).to_have_attribute("aria-expanded", "true")
    detail = page.locator("#theme-1 + tr")
    expect(detail).to_contain_text("Firms (5 of 6 shown)")
    expect(detail).to_contain_text("Topics (6)")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(detail.locator("li", has_text="ocean freight").first).to_be_visible()
    # Back to the button before the topics: the map shows that theme alone in color.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#map-theme")).to_have_value("1")
    assert page.locator("#map-chart .legendtext").all_text_contents() == [
        "Freight in the quarter", "other topics",
    ]  # fmt: skip
    page.select_option("#map-theme", "")


def test_columns_sort_by_keyboard(page: Page) -> None:
    assert names_shown(page) == ["Pricing in the quarter", "Freight in the quarter"]
    head = page.locator("#theme-table th", has_text="Theme").first
    page.focus("#theme-table th:first-child button.sort")
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names_shown(page) == ["Freight in the quarter", "Pricing in the quarter"]
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names_shown(page) == ["Pricing in the quarter", "Freight in the quarter"]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    # Numbers begin at the largest, and only one column says that it sorts.
    assert page.locator("#theme-table [aria-sort]").all_inner_texts() == ["Firms"]
    assert names_shown(page) == ["Pricing in the quarter", "Freight in the quarter"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_legible_in_both_schemes(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.locator("#run summary").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    assert page.evaluate(LOW_CONTRAST) == []
    # The charts follow.
    assert page.locator("#map-chart .main-svg").first.evaluate(
        "chart => getComputedStyle(chart).backgroundColor"
    ) == ground  # fmt: skip


def test_a_phone_scrolls_down_only(browser: Browser, page_path: Path) -> None:
    with opened(browser, page_path, **PHONE) as (page, _):
        page.locator("#theme-0 button.open").tap()
        page.locator("#theme-0 + tr summary").first.tap()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator("#map-chart").bounding_box()
        assert box is not None
        assert box["width"] < 390
        assert page.locator("#map-chart .point").count() == 13
