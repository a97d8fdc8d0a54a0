"""The disk fills up amid the map: a clear error, earlier parts whole, and a resume that ends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftm_core.contracts import keys
from ftm_core.contracts.errors import ExitCode
from tests.chaos.conftest import Reference
from tests.fakes.chaos_llm import SUMMARY, FakeLlm
from tests.fakes.chaos_runs import Place, Q, assert_same_rows, rows_of
from tests.fakes.small_disk import mounted

SMALL = 8 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight mebibytes."""
    with mounted(tmp_path / "disk", str(SMALL)) as folder:
        yield folder


@pytest.mark.models
def test_full_disk_ends_the_run_and_keeps_what_was_saved(
    corpus: Path, small_disk: Path, tmp_path: Path, llm: FakeLlm, reference: Reference
) -> None:
    shutil.copytree(corpus, small_disk / "data")
    place = Place(tmp_path, llm.environment)
    place.data = small_disk / "data"
    n_log = len(llm.log())
    llm.hold(SUMMARY, after=20)
    run = place.start()
    run.wait_for(lambda: len(llm.asked(n_log)) >= 24 and place.n_completed() > 0)
    saved = parts_and_checkpoints(place)
    fill(small_disk / "ballast")
    llm.reset()

    assert run.wait() == ExitCode.UNEXPECTED
    assert "disk is full" in " ".join(run.output.split())
    assert "Free some space" in " ".join(run.output.split())
    assert "Traceback" not in run.output
    assert saved
    assert parts_and_checkpoints(place) == saved
    blamed = [key for key in place.storage.list(keys.progress_prefix(Q)) if "failures" in key]
    assert all(b'"n_failures": 0' in place.storage.read(key) for key in blamed)

    (small_disk / "ballast").unlink()
    place.finish()
    assert_same_rows(rows_of(place.storage), reference.rows)


def parts_and_checkpoints(place: Place) -> dict[str, bytes]:
    return {
        key: place.storage.read(key)
        for prefix in ("intermediate/", keys.progress_prefix(Q))
        for key in place.storage.list(prefix)
        if "_part_" in key or "checkpoint" in key
    }


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (2**16, 2**10, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
