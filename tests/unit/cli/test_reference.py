"""The generated pages of docs/reference are those that the code gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ftm_core.contracts.errors import ExitCode

ROOT = Path(__file__).parents[3]


def test_reference_pages_are_up_to_date() -> None:
    """`make docs` writes them; a difference names the page."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts/write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages = module.pages()
    folder = ROOT / "docs" / "reference"
    generated = {
        path.name
        for path in folder.iterdir()
        if "This page is generated" in path.read_text(encoding="utf-8")
    }
    assert generated == set(pages)
    stale = [name for name, text in pages.items() if (folder / name).read_text() != text]
    assert stale == [], "run `make docs`"
    assert all(f"| {int(code)} |" in pages["exit-codes.md"] for code in ExitCode)
