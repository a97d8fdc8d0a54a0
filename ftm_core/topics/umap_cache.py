"""UMAP's compiled functions, kept on disk so that each new process need not compile them."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from ftm_core.instruction_set import use_one_instruction_set

_log = logging.getLogger("ftm.map")


@cache
def keep_compiled() -> None:
    """Have numba keep what a UMAP fit compiles; call before the first fit of a process.

    Compiling takes about 18 seconds of CPU and loading what was kept half a second. UMAP 0.5.12
    asks for no cache itself. NUMBA_CACHE_DIR says where, else numba decides (``__pycache__``).
    Source: https://numba.readthedocs.io/en/stable/developer/caching.html
    """
    for function in fitting_functions():
        try:
            function.enable_caching()
        except RuntimeError as error:
            _log.warning("compiled code cannot be stored, each process compiles again (%s)", error)
            return


def fitting_functions() -> tuple[Any, ...]:
    """The functions that a fit with cosine distance compiles."""
    from umap import layouts, umap_

    return (
        umap_.fast_knn_indices,
        umap_.smooth_knn_dist,
        umap_.compute_membership_strengths,
        layouts._nb_optimize_layout_euclidean_single_epoch,
    )


def compile_now() -> None:
    """Compile and keep all of it: an image made so starts its jobs without compiling."""
    import numpy as np
    from umap import UMAP

    keep_compiled()
    points = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    UMAP(n_neighbors=5, metric="cosine", random_state=0, n_jobs=1).fit(points)


if __name__ == "__main__":
    use_one_instruction_set()
    compile_now()
