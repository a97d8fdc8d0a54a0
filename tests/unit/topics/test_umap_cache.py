"""What UMAP compiles is kept for the next process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json
from ftm_core.topics import umap_cache
umap_cache.compile_now()
stats = {f.__name__: f.stats for f in umap_cache.fitting_functions()}
print(json.dumps({name: [len(s.cache_hits), len(s.cache_misses)] for name, s in stats.items()}))
"""


def loaded_and_compiled() -> dict[str, list[int]]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, check=True)
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


@pytest.mark.models
def test_a_second_process_compiles_nothing_again() -> None:
    loaded_and_compiled()

    second = loaded_and_compiled()

    assert len(second) == 4
    assert all(n_loaded and not n_compiled for n_loaded, n_compiled in second.values()), second
