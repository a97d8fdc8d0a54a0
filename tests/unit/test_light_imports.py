"""Optional dependencies that would take seconds stay out of the processes that find topics."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ftm_core.light_imports import without_packages


def test_without_packages_an_import_fails_within_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with without_packages("wave"), pytest.raises(ModuleNotFoundError):
        import wave
    import wave

    assert wave.__name__ == "wave"


def test_without_packages_leaves_loaded_packages_alone() -> None:
    import json

    with without_packages("json"):
        import json as again
    assert again is json


def test_without_packages_restores_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with pytest.raises(ZeroDivisionError), without_packages("wave"):
        raise ZeroDivisionError
    assert "wave" not in sys.modules


@pytest.mark.models
def test_topic_process_loads_neither_torch_nor_umap() -> None:
    """With them the first topic of a run came seconds later; afterwards both can be imported."""
    probe = (
        "import sys\n"
        "from ftm_core.contracts.settings import Settings\n"
        "from ftm_core.topics.embedding import load_embedder\n"
        "import ftm_core.topics.topic_model\n"
        "assert load_embedder(Settings().embedding).embed(['Costs rose.']).shape == (1, 384)\n"
        "heavy = {'hdbscan', 'numba', 'plotly', 'sentence_transformers', 'torch', 'umap'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "import hdbscan"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "[]"
