"""Tables of ftm.toml: written without touching anything else in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftm_cli.operations.aws.pin import clear_pin, read_pin, write_pin
from ftm_cli.operations.aws.project_file import read_table, write_table
from ftm_cli.operations.costs import estimate_run, pace, read_prices
from ftm_cli.results.setup import Pin
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import Settings
from tests.fakes.terraform_variables import variable_default

PIN = Pin("research", "123456789012", "us-west-2")
FILE = """# our project
[llm]
max_concurrent = 4  # measured

[aws.deploy]
s3_bucket_name = "ftm-data"

[aws.deploy.variables.ecs]
max_capacity = 2
"""


def test_pinning_and_clearing_leave_the_rest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ftm.toml"
    path.write_text(FILE)
    write_pin(PIN, path)
    assert read_pin(path) == PIN
    assert read_table(path, "aws.deploy.variables.ecs") == {"max_capacity": 2}
    assert clear_pin(path)
    assert read_pin(path) is None
    # Of the pin a header alone may stay, which says nothing.
    assert [line for line in path.read_text().splitlines() if line not in ("", "[aws]")] == [
        line for line in FILE.splitlines() if line
    ]


def test_a_table_is_replaced_not_doubled(tmp_path: Path) -> None:
    path = tmp_path / "ftm.toml"
    write_table(path, "aws", {"profile": 'a "quoted" name'})
    write_table(path, "aws", {"profile": "b"})
    assert read_table(path, "aws") == {"profile": "b"}
    assert path.read_text().count("[aws]") == 1


@pytest.mark.parametrize(
    "text",
    [
        '[aws]\nprofile = "research"\n',
        '[aws]\nprofile = "a"\naccount_id = "12"\nregion = "us-west-2"\n',
        "[aws\n",
    ],
)
def test_a_damaged_pin_is_refused_not_guessed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ftm.toml"
    path.write_text(text)
    with pytest.raises(InputError):
        read_pin(path)


def test_own_prices_override_single_values_and_are_named(tmp_path: Path) -> None:
    own = 'date = "2026-10-01"\n[instance_hourly]\n"g5.xlarge" = 2\n'
    (tmp_path / "prices.toml").write_text(own)
    prices = read_prices(tmp_path)
    assert prices.date == "2026-10-01"
    assert prices.vllm_hourly(1) == pytest.approx(2 + prices.hourly["instance_extras"])
    assert "g6.xlarge" in prices.instance_hourly
    assert "2026-10-01" in prices.note
    with pytest.raises(InputError, match=r"p9\.huge"):
        prices.vllm_hourly(1, "p9.huge")


def test_more_firms_take_longer_and_cost_more(tmp_path: Path) -> None:
    prices = read_prices(tmp_path)
    small = estimate_run(prices, firms=10, batches=1, vllm_instances=1)
    large = estimate_run(prices, firms=3000, batches=12, vllm_instances=1)
    assert large.seconds > small.seconds
    assert large.total_usd > small.total_usd
    assert "none measured on AWS" in small.note


def test_an_estimate_names_what_takes_longest(tmp_path: Path) -> None:
    prices = read_prices(tmp_path)

    one, four, many = (
        estimate_run(prices, firms=5000, batches=20, vllm_instances=count, sentences_per_firm=300)
        for count in (1, 4, 64)
    )

    assert one.bottleneck == "LLM answers"
    assert four.answer_seconds == pytest.approx(one.answer_seconds / 4)
    assert four.seconds < one.seconds
    assert many.bottleneck != "LLM answers"
    # More GPUs than the topic models can feed only cost.
    assert many.seconds - many.start_seconds >= many.model_seconds
    longer = estimate_run(prices, firms=5000, batches=20, vllm_instances=1, sentences_per_firm=600)
    assert longer.answer_seconds == pytest.approx(2 * one.answer_seconds)


@pytest.mark.parametrize("instances", [1, 4])
def test_estimate_bills_jobs_as_their_instances(tmp_path: Path, instances: int) -> None:
    """Fault A9: 20 jobs that wait for one LLM cost more than the LLM."""
    prices = read_prices(tmp_path)
    found = estimate_run(
        prices, firms=5000, batches=20, vllm_instances=instances, sentences_per_firm=300
    )
    hours = (found.seconds - prices.rates["batch_start_seconds"]) / 3600
    most = (found.jobs_at_once + 1) * prices.job_hourly() * hours
    assert 0.5 * most < found.batch_usd <= most
    assert found.batch_usd < found.vllm_usd
    assert found.total_usd == pytest.approx(sum(found.items.values()))


def test_defaults_fit_the_bottleneck(tmp_path: Path) -> None:
    """Fault A9: no job comes near its limit of time, and no answer near LLM_TIMEOUT."""
    prices, llm = read_prices(tmp_path), Settings().llm
    found = estimate_run(prices, firms=5000, batches=20, vllm_instances=1, sentences_per_firm=300)
    assert found.job_seconds <= variable_default("batch", "job_timeout_seconds") / 2
    in_flight = found.jobs_at_once * llm.max_concurrent
    assert in_flight / pace(prices, 300).answers_per_second <= llm.timeout / 2
    concurrent = variable_default("stepfunctions", "max_concurrent_batches")
    assert concurrent == prices.map_jobs_at_once(1)


def test_starting_vllm_is_part_of_its_cost(tmp_path: Path) -> None:
    """Fault A14: what each start reads is in the estimate, at any price."""
    table = "[per_gigabyte]\nmodel_cache_read = 0.03\n"
    (tmp_path / "prices.toml").write_text(table, encoding="utf-8")
    free = estimate_run(read_prices(), firms=10, batches=1, vllm_instances=2)
    billed = estimate_run(read_prices(tmp_path), firms=10, batches=1, vllm_instances=2)
    assert free.model_usd == 0
    assert billed.model_usd == pytest.approx(2 * 16.4 * 0.03)
    assert billed.total_usd == pytest.approx(free.total_usd + billed.model_usd)


def test_batches_beyond_the_jobs_at_once_wait_for_a_second_round(tmp_path: Path) -> None:
    prices = read_prices(tmp_path)
    at_once = prices.map_jobs_at_once(1)

    full, over = (
        estimate_run(prices, firms=250 * batches, batches=batches, vllm_instances=1)
        for batches in (at_once, at_once + 1)
    )

    assert over.model_seconds == pytest.approx(2 * full.model_seconds)
