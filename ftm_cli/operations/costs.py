"""What a run and a deployment cost, from a table of prices and rates that states its date."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import InputError

PRICES_FILE = "prices.toml"
HOURS_A_MONTH = 730.0
DEFAULT_INSTANCE = "g5.xlarge"


@dataclass(frozen=True)
class Prices:
    """The table: US dollars an hour or a month, and rates of work."""

    date: str
    source: str
    instance_hourly: Mapping[str, float]
    hourly: Mapping[str, float]
    monthly: Mapping[str, float]
    rates: Mapping[str, Any]

    def vllm_hourly(self, count: int, instance_type: str = DEFAULT_INSTANCE) -> float:
        """An hour of ``count`` vLLM instances, without the load balancer, which is always there."""
        price = self.instance_hourly.get(instance_type)
        if price is None:
            raise InputError(
                f"price of {instance_type}",
                f"is not in {self.source}",
                f'Add it to {PRICES_FILE} here: [instance_hourly] "{instance_type}" = DOLLARS.',
            )
        return count * (price + self.hourly["instance_extras"])

    def monthly_at_rest(self, *, with_vllm: bool) -> float:
        """A month with everything deployed and nothing running, without stored data."""
        if not with_vllm:
            return self.monthly["watching"]
        return self.hourly["load_balancer"] * HOURS_A_MONTH + sum(self.monthly.values())

    @property
    def note(self) -> str:
        """Where the figures come from, for beside every estimate."""
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
    vllm_usd: float
    batch_usd: float
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
        return self.vllm_usd + self.batch_usd

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
            "vllm_usd": round(self.vllm_usd, 2),
            "batch_usd": round(self.batch_usd, 2),
            "total_usd": round(self.total_usd, 2),
        }


def read_prices(folder: Path | None = None) -> Prices:
    """The packaged table, single values overridden by ``prices.toml`` beside ftm.toml.

    Raises InputError for a file that cannot be read or holds a table of another name.
    """
    packaged = _read(Path(__file__).with_name(PRICES_FILE))
    own = (folder or Path()) / PRICES_FILE
    changed = _read(own) if own.exists() else {}
    unknown = sorted(set(changed) - set(packaged))
    if unknown:
        raise InputError(str(own), f"has an unknown table {unknown[0]}", "See docs/runbook.md.")
    merged = {
        name: {**value, **changed.get(name, {})}
        if isinstance(value, dict)
        else changed.get(name, value)
        for name, value in packaged.items()
    }
    for table in ("instance_hourly", "hourly", "monthly"):
        for name, value in merged[table].items():
            if not isinstance(value, int | float) or value < 0:
                raise InputError(f"{own} [{table}] {name}", "is no price", "Write a number.")
    return Prices(
        date=str(merged["date"]),
        source=str(own) if changed else "the packaged table",
        instance_hourly=merged["instance_hourly"],
        hourly=merged["hourly"],
        monthly=merged["monthly"],
        rates=merged["rates"],
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
        answers_per_firm=topics * (1 + rates["answers_per_theme"] / rates["topics_per_theme"]),
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

    Without ``sentences_per_firm`` the table's own figure is taken. Batches beyond the jobs that
    run at once wait for a second round.
    """
    rates = prices.rates
    step = pace(prices, sentences_per_firm or rates["sentences_per_firm"])
    jobs = max(1, min(batches, int(rates["parallel_map_jobs"])))
    rounds = math.ceil(batches / jobs)
    processes = max(1.0, rates["map_vcpus"] - 1)
    model_seconds = rounds * (firms / max(1, batches)) * step.model_seconds_per_firm / processes
    answers = firms * step.answers_per_firm
    answer_seconds = answers / (step.answers_per_second * max(1, vllm_instances))
    map_seconds = max(model_seconds, answer_seconds)
    start = rates["batch_start_seconds"] + (rates["vllm_start_seconds"] if vllm_instances else 0.0)
    seconds = start + map_seconds + rates["reduce_seconds"]
    vcpu_hours = (jobs * map_seconds + rates["reduce_seconds"]) * rates["map_vcpus"] / 3600
    return Estimate(
        firms=firms,
        batches=batches,
        seconds=seconds,
        model_seconds=model_seconds,
        answer_seconds=answer_seconds,
        reduce_seconds=rates["reduce_seconds"],
        start_seconds=start,
        vllm_usd=prices.vllm_hourly(vllm_instances, instance_type) * seconds / 3600,
        batch_usd=vcpu_hours * prices.hourly["batch_vcpu"],
        note=prices.note,
    )


def duration(seconds: float) -> str:
    """A time such as ``2 h 05 min`` or ``40 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "Correct the file.") from error
