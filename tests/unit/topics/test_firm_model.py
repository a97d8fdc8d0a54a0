"""How the firm level fits its parameters to the length of a call."""

from __future__ import annotations

from ftm_core.contracts.settings import FirmTopicSettings
from ftm_core.topics.firm_model import scaled_parameters


def test_short_calls_scale_the_parameters_and_long_ones_do_not() -> None:
    settings = FirmTopicSettings()

    short, long = scaled_parameters(settings, 69), scaled_parameters(settings, 96)

    assert (short.min_cluster_size, short.umap_neighbors) == (4, 10)
    assert (long.min_cluster_size, long.umap_neighbors) == (6, 15)
    assert long.min_samples == short.min_samples == settings.min_samples


def test_what_is_set_smaller_stays_as_set() -> None:
    assert scaled_parameters(FirmTopicSettings(min_cluster_size=2), 20).min_cluster_size == 2
