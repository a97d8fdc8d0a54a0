"""Join clusters that are one theme told twice: by how close their centres are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, zip_longest

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from ftm_core.topics.embedding import Vectors

Keywords = Mapping[int, tuple[str, ...]]


def join_alike(
    labels: npt.NDArray[np.int32], keywords: Keywords, vectors: Vectors, similarity: float
) -> tuple[npt.NDArray[np.int32], dict[int, tuple[str, ...]]]:
    """Give clusters one label whose centres have a cosine of ``similarity`` or more on average.

    ``vectors`` has length 1 in each row; a centre is the mean of a cluster's. The label of the
    largest cluster stays, and the keywords of all take turns, the largest cluster's first, until
    there are as many as it had. Average linkage: https://doi.org/10.1007/BF02291478.
    """
    names = sorted(keywords, key=lambda name: (-int((labels == name).sum()), name))
    if len(names) < 2:
        return labels, dict(keywords)
    centres = np.stack([vectors[labels == name].mean(axis=0, dtype=np.float64) for name in names])
    groups = fcluster(linkage(centres, "average", "cosine"), 1 - similarity, "distance")
    joined = labels.copy()
    found: dict[int, tuple[str, ...]] = {}
    for group in dict.fromkeys(groups):
        alike = [name for name, own in zip(names, groups, strict=True) if own == group]
        joined[np.isin(labels, alike)] = alike[0]
        turns = chain.from_iterable(zip_longest(*(keywords[name] for name in alike)))
        words = dict.fromkeys(word for word in turns if word is not None)
        found[alike[0]] = tuple(words)[: len(keywords[alike[0]])]
    return joined, found
