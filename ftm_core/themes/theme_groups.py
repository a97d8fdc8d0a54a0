"""Groups of similar themes, the upper of the two levels at which themes are read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def group_themes(
    directions: npt.NDArray[np.float32], themes_per_group: int
) -> npt.NDArray[np.int64]:
    """A group number per theme, by Ward linkage on the themes' directions.

    There is about one group for ``themes_per_group`` themes. Groups are numbered in the order in
    which the themes, largest first, name them.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    n_themes = len(directions)
    n_groups = -(-n_themes // themes_per_group)
    if n_groups < 2:
        return np.zeros(n_themes, np.int64)
    tree = linkage(directions.astype(np.float64), "ward")
    found = fcluster(tree, n_groups, "maxclust")
    order = list(dict.fromkeys(found.tolist()))
    return np.array([order.index(group) for group in found.tolist()], np.int64)
