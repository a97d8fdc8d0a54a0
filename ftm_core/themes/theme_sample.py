"""Choose the sentences that themes are fitted on: a bounded share of every firm's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def draws(sentence_ids: Sequence[str], seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per sentence that depends on its id and the seed alone."""
    key = seed.to_bytes(8, "little", signed=True)
    digests = b"".join(
        hashlib.blake2b(name.encode(), digest_size=8, key=key).digest() for name in sentence_ids
    )
    return np.frombuffer(digests, np.uint64).astype(np.float64) / 2.0**64


def stratified_sample(firms: Rows, drawn: npt.NDArray[np.float64], size: int) -> Rows:
    """About ``size`` positions, ascending, the same share of every firm; all if there are fewer.

    ``firms`` numbers the firm of each sentence. Within a firm the smallest draws are taken, so a
    larger sample contains every smaller one but for rounding. At least one of each firm is taken.
    """
    if len(firms) <= size:
        return np.arange(len(firms))
    order = np.lexsort((drawn, firms))
    counts = np.bincount(firms)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(firms), np.int64)
    rank[order] = np.arange(len(firms)) - starts[firms[order]]
    quota = np.maximum(1, np.rint(counts * (size / len(firms))))
    return np.flatnonzero(rank < quota[firms])
