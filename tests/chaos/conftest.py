"""One ingested corpus, one fake LLM server, and the output of one uninterrupted run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftm_core.contracts import keys
from ftm_core.llm.local_server import LocalServer
from tests.fakes.chaos_llm import FakeLlm, serving
from tests.fakes.chaos_runs import Place, Process, Q, Rows, clean_environment, rows_of

NewPlace = Callable[[str], Place]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample quarter ingested."""
    folder = tmp_path_factory.mktemp("corpus")
    command = ["ftm_cli", "ingest", "sample", "--quarter", str(Q), "--data", str(folder / "data")]
    ingest = Process(command, clean_environment({}), folder / "ingest.log")
    assert ingest.wait() == 0, ingest.output
    return folder / "data"


@pytest.fixture(scope="session")
def running_llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeLlm]:
    with serving(tmp_path_factory.mktemp("llm") / "log") as llm:
        yield llm


@pytest.fixture
def recorded_llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeLlm]:
    """the real local LLM, behind a recorder of what it is asked."""
    log = tmp_path_factory.mktemp("recorder") / "log"
    with (
        LocalServer(slots=4) as server,
        serving(log, upstream=server.base_url.removesuffix("/v1"), model=server.model_name) as llm,
    ):
        yield llm


@pytest.fixture
def llm(running_llm: FakeLlm) -> Iterator[FakeLlm]:
    running_llm.reset()
    yield running_llm
    # What a test left waiting must not wait on.
    running_llm.reset()


@dataclass(frozen=True)
class Reference:
    """What an uninterrupted run gave, how long it took, and where it is."""

    rows: Rows
    seconds: float
    place: Place


@pytest.fixture(scope="session")
def reference(
    corpus: Path, running_llm: FakeLlm, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    """One run, one worker, one batch."""
    running_llm.reset()
    place = Place.over(corpus, tmp_path_factory.mktemp("reference"), running_llm.environment)
    began = time.monotonic()
    place.finish("--workers", "1", "--batch-size", "50")
    seconds = time.monotonic() - began
    assert place.storage.exists(keys.sentiment_ready(Q))
    return Reference(rows_of(place.storage), seconds, place)


@pytest.fixture
def new_place(corpus: Path, llm: FakeLlm, tmp_path: Path) -> NewPlace:
    """Makes fresh places with the corpus ingested."""
    return lambda name: Place.over(corpus, tmp_path / name, llm.environment)


@pytest.fixture
def place(new_place: NewPlace) -> Place:
    return new_place("place")
