"""What a run and a deployment cost, from a table of prices and rates that states its date."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.project_file import read_toml

PRICES_FILE = "prices.toml"
HOURS_A_MONTH = 730.0
DEFAULT_INSTANCE = "g5.xlarge"
DEFAULT_JOB_INSTANCE = "m6i.xlarge"


@dataclass(frozen=True)
class Prices:
    """The table: US dollars an hour or a month, and rates of work."""

    date: str
    source: str
    instance_hourly: Mapping[str, float]
    hourly: Mapping[str, float]
    per_gigabyte: Mapping[str, float]
    monthly: Mapping[str, float]
    rates: Mapping[str, Any]

    def vllm_hourly(self, count: int, instance_type: str = DEFAULT_INSTANCE) -> float:
        """An hour of ``count`` vLLM instances, without the load balancer, which is always there."""
        return count * (self._price_of(instance_type) + self.hourly["instance_extras"])

    def job_hourly(self) -> float:
        """An hour of one map or reduce job, which fills an instance; on demand.

        Spot is usually a third of it.
        """
        return self._price_of(DEFAULT_JOB_INSTANCE) + self.hourly["job_instance_extras"]

    def map_jobs_at_once(self, vllm_instances: int) -> int:
        """Map jobs that so many vLLM instances answer without letting them wait."""
        return int(self.rates["map_jobs_per_vllm"]) * max(1, vllm_instances)

    def _price_of(self, instance_type: str) -> float:
        price = self.instance_hourly.get(instance_type)
        if price is None:
            raise InputError(
                f"The price of {instance_type}",
                f"is not in {self.source}",
                f'Add it to {PRICES_FILE} here: [instance_hourly] "{instance_type}" = DOLLARS.',
            )
        return price

    def monthly_idle(self, *, with_vllm: bool) -> float:
        """A month with everything deployed and nothing running, without stored data."""
        if not with_vllm:
            return self.monthly["watching"]
        return self.hourly["load_balancer"] * HOURS_A_MONTH + sum(self.monthly.values())

    @property
    def note(self) -> str:
        """Where the prices come from, shown beside every estimate."""
        kind = "measured" if self.rates.get("measured") else str(self.rates["basis"])
        return f"prices of {self.date} ({self.source}); rates {kind}"


@dataclass(frozen=True)
class Estimate:
    """Expected time and cost of the rest of a run."""

    firms: int
    batches: int
    seconds: float
    model_seconds: float
    answer_seconds: float
    reduce_seconds: float
    start_seconds: float
    # Map jobs at once, and how long each takes with its waits for answers.
    jobs_at_once: int
    job_seconds: float
    vllm_usd: float
    batch_usd: float
    # Reading the model's files, and traffic between zones.
    model_usd: float
    transfer_usd: float
    note: str

    @property
    def bottleneck(self) -> str:
        """What takes longest, and so what more of would help first."""
        parts = {
            "LLM answers": self.answer_seconds,
            "topic models": self.model_seconds,
            "reduce": self.reduce_seconds,
            "starting up": self.start_seconds,
        }
        return max(parts, key=lambda name: parts[name])

    @property
    def total_usd(self) -> float:
        """All of it."""
        return sum(self.items.values())

    @property
    def items(self) -> dict[str, float]:
        """Dollars by what is billed."""
        return {
            "vLLM": self.vllm_usd,
            "jobs": self.batch_usd,
            "model files": self.model_usd,
            "data transfer": self.transfer_usd,
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded."""
        return {
            **asdict(self),
            "seconds": round(self.seconds),
            "model_seconds": round(self.model_seconds),
            "answer_seconds": round(self.answer_seconds),
            "reduce_seconds": round(self.reduce_seconds),
            "start_seconds": round(self.start_seconds),
            "bottleneck": self.bottleneck,
            "job_seconds": round(self.job_seconds),
            "vllm_usd": round(self.vllm_usd, 2),
            "batch_usd": round(self.batch_usd, 2),
            "model_usd": round(self.model_usd, 2),
            "transfer_usd": round(self.transfer_usd, 2),
            "total_usd": round(self.total_usd, 2),
        }


_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Hourly(_Strict):
    instance_extras: _Price
    load_balancer: _Price
    job_instance_extras: _Price


class _PerGigabyte(_Strict):
    between_zones: _Price
    model_cache_read: _Price


class _Monthly(_Strict):
    model_cache: _Price
    watching: _Price


class _Rates(_Strict):
    measured: bool
    basis: str
    seconds_per_sentence: _Rate
    seconds_per_call: _Price
    sentences_per_firm: _Rate
    topics_per_sentence: _Rate
    prompt_tokens: _Rate
    answer_tokens: _Rate
    prefill_tokens_per_second: _Rate
    decode_tokens_per_second: _Rate
    topics_per_theme: _Rate
    answers_per_topic: _Price
    answers_per_theme: _Price
    vllm_start_seconds: _Price
    batch_start_seconds: _Price
    reduce_seconds: _Price
    map_vcpus: _Rate
    kilobytes_per_answer: _Price
    model_gigabytes: _Price
    plan_seconds: _Price
    map_jobs_per_vllm: _Rate


class _PriceFile(_Strict):
    """All that a prices.toml may hold."""

    date: str | dt.date
    instance_hourly: dict[str, _Price]
    hourly: _Hourly
    per_gigabyte: _PerGigabyte
    monthly: _Monthly
    rates: _Rates


def read_prices(folder: Path | None = None) -> Prices:
    """The packaged table, single values overridden by ``prices.toml`` beside ftm.toml.

    Raises InputError for a file that cannot be read, or that holds a name or value that has no
    effect on an estimate.
    """
    packaged = read_toml(Path(__file__).with_name(PRICES_FILE))
    own = (folder or Path()) / PRICES_FILE
    changed = read_toml(own)
    merged = dict(packaged)
    for name, value in changed.items():
        is_table = isinstance(value, dict) and isinstance(packaged.get(name), dict)
        merged[name] = {**packaged[name], **value} if is_table else value
    try:
        checked = _PriceFile.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            f"The value {'.'.join(str(step) for step in first['loc'])} of {own}",
            f"cannot be {first['input']!r}, which has no effect on an estimate: {first['msg']}",
            "Use a name of ftm_cli/operations/prices.toml. docs/reference/prices.md describes it.",
        ) from error
    return Prices(
        date=str(checked.date),
        source=str(own) if changed else "the packaged table",
        instance_hourly=checked.instance_hourly,
        hourly=checked.hourly.model_dump(),
        per_gigabyte=checked.per_gigabyte.model_dump(),
        monthly=checked.monthly.model_dump(),
        rates=checked.rates.model_dump(),
    )


@dataclass(frozen=True)
class Pace:
    """What the rates come to for firms of one size."""

    model_seconds_per_firm: float
    answers_per_firm: float
    answers_per_second: float


def pace(prices: Prices, sentences_per_firm: float) -> Pace:
    """Seconds of one process for a firm's topics, its answers, and answers a second of one vLLM."""
    rates = prices.rates
    topics = sentences_per_firm * rates["topics_per_sentence"]
    tokens_seconds = (
        rates["prompt_tokens"] / rates["prefill_tokens_per_second"]
        + rates["answer_tokens"] / rates["decode_tokens_per_second"]
    )
    return Pace(
        model_seconds_per_firm=sentences_per_firm * rates["seconds_per_sentence"]
        + rates["seconds_per_call"],
        answers_per_firm=topics
        * (rates["answers_per_topic"] + rates["answers_per_theme"] / rates["topics_per_theme"]),
        answers_per_second=1 / tokens_seconds,
    )


def estimate_run(
    prices: Prices,
    *,
    firms: int,
    batches: int,
    vllm_instances: int,
    sentences_per_firm: float | None = None,
    instance_type: str = DEFAULT_INSTANCE,
) -> Estimate:
    """Expected rest of a run of ``firms`` in ``batches``; the slower of models and LLM decides.

    Jobs are billed as the instances that they fill, from their start to the last answer; vLLM from
    the end of the plan, when it is brought up, to the end of the run. Without
    ``sentences_per_firm`` the table's own value is taken. Batches beyond the jobs that run at once
    wait for a later round.
    """
    rates = prices.rates
    step = pace(prices, sentences_per_firm or rates["sentences_per_firm"])
    jobs = max(1, min(batches, prices.map_jobs_at_once(vllm_instances)))
    rounds = math.ceil(batches / jobs)
    processes = max(1.0, rates["map_vcpus"])
    model_seconds = rounds * (firms / max(1, batches)) * step.model_seconds_per_firm / processes
    answers = firms * step.answers_per_firm
    answer_seconds = answers / (step.answers_per_second * max(1, vllm_instances))
    map_seconds = max(model_seconds, answer_seconds)
    plan = rates["batch_start_seconds"] + rates["plan_seconds"]
    vllm_start = rates["vllm_start_seconds"] if vllm_instances else 0.0
    vllm_seconds = vllm_start + map_seconds + rates["reduce_seconds"]
    # The jobs start beside vLLM and wait for it.
    job_hours = (
        jobs * (vllm_start + map_seconds) + rates["plan_seconds"] + rates["reduce_seconds"]
    ) / 3600
    gigabytes = answers * rates["kilobytes_per_answer"] / 1e6
    return Estimate(
        firms=firms,
        batches=batches,
        seconds=plan + vllm_seconds,
        model_seconds=model_seconds,
        answer_seconds=answer_seconds,
        reduce_seconds=rates["reduce_seconds"],
        start_seconds=plan + vllm_start,
        jobs_at_once=jobs,
        job_seconds=map_seconds * jobs / max(1, batches),
        vllm_usd=prices.vllm_hourly(vllm_instances, instance_type) * vllm_seconds / 3600,
        batch_usd=job_hours * prices.job_hourly(),
        model_usd=vllm_instances
        * rates["model_gigabytes"]
        * prices.per_gigabyte["model_cache_read"],
        transfer_usd=gigabytes * prices.per_gigabyte["between_zones"],
        note=prices.note,
    )


def duration(seconds: float) -> str:
    """A time such as ``2 h 05 min`` or ``40 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
