"""Hours and dollars of whole quarters by the model of `ftm run --dry-run`, and by simulation.

Run from the project root: ``python -m bench.quarter_on_paper``. Nothing is measured here: the
rates are those of ftm_cli/operations/prices.toml, which says of each whence it comes. The
simulation moves every job second by second, with its bounded queue, against the formula's maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.measuring import report
from ftm_cli.operations.costs import Pace, Prices, estimate_run, pace, read_prices
from ftm_core.contracts.settings import Settings

FIRMS = 5000
BATCHES = 20
SENTENCES = 300.0
STEP_SECONDS = 1.0
# Rates that were measured, on two cores and not on AWS; prices.toml says how. All others are
# assumed, and so is every time that follows from one of those.
MEASURED_RATES = frozenset(
    {
        "seconds_per_sentence",
        "seconds_per_call",
        "topics_per_sentence",
        "topics_per_theme",
        "prompt_tokens",
        "answer_tokens",
        "answers_per_topic",
        "answers_per_theme",
        "reduce_seconds",
    }
)
# Entries of the table that are no rates.
NOT_RATES = frozenset({"measured", "basis"})


@dataclass
class Job:
    """One map job: firms modelled and answered so far."""

    firms: float
    modelled: float = 0.0
    answered: float = 0.0


def simulate(prices: Prices, step: Pace, vllm_instances: int) -> tuple[float, float]:
    """Seconds until every batch is answered, and the share of them that the LLM worked.

    Jobs start as others end. Each models ahead within the map's bound on firms in flight, and has
    at most LLM_MAX_CONCURRENT requests on their way. The server divides what it can among them; a
    request alone takes its prompt's prefill and one token after another.
    """
    rates, settings = prices.rates, Settings()
    processes = max(1.0, rates["map_vcpus"])
    ahead = 2 * processes + settings.llm.max_concurrent
    # Decoding alone is bound by reading the weights: 27 ms a token (16.4 GB at 600 GB/s).
    latency = (
        rates["prompt_tokens"] / rates["prefill_tokens_per_second"] + rates["answer_tokens"] * 0.027
    )
    capacity = step.answers_per_second * vllm_instances
    waiting = [Job(FIRMS / BATCHES) for _ in range(BATCHES)]
    running: list[Job] = []
    seconds = worked = 0.0
    while waiting or running:
        while waiting and len(running) < prices.map_jobs_at_once(vllm_instances):
            running.append(waiting.pop())
        wanted = []
        for job in running:
            room = min(job.firms, job.answered + ahead) - job.modelled
            job.modelled += min(room, processes * STEP_SECONDS / step.model_seconds_per_firm)
            backlog = (job.modelled - job.answered) * step.answers_per_firm
            most = settings.llm.max_concurrent / latency * STEP_SECONDS
            wanted.append(min(backlog, most))
        granted = min(1.0, capacity * STEP_SECONDS / max(sum(wanted), 1e-9))
        for job, answers in zip(running, wanted, strict=True):
            job.answered += answers * granted / step.answers_per_firm
        running = [job for job in running if job.answered < job.firms - 1e-6]
        worked += min(sum(wanted), capacity * STEP_SECONDS) / capacity
        seconds += STEP_SECONDS
    return seconds, worked / seconds


def main() -> None:
    prices = read_prices()
    step = pace(prices, SENTENCES)
    values: dict[str, object] = {
        "rates": prices.note,
        "quarter": f"{FIRMS} firms of {SENTENCES:.0f} sentences, {BATCHES} batches",
        "answers a quarter": round(FIRMS * step.answers_per_firm),
        "answers a second of one vLLM": step.answers_per_second,
    }
    for name, rate in prices.rates.items():
        if name not in NOT_RATES:
            kind = "measured" if name in MEASURED_RATES else "assumed"
            values[f"rate, {name}"] = f"{rate:g} ({kind})"
    for instances in (1, 4, 16):
        planned = estimate_run(
            prices,
            firms=FIRMS,
            batches=BATCHES,
            vllm_instances=instances,
            sentences_per_firm=SENTENCES,
        )
        simulated, busy = simulate(prices, step, instances)
        for quarters in (1, 40):
            hours = quarters * planned.seconds / 3600
            dollars = ", ".join(
                f"{item} ${quarters * usd:,.2f}" for item, usd in planned.items.items()
            )
            total = quarters * planned.total_usd
            values[f"{instances} vLLM, {quarters} quarter(s)"] = (
                f"{hours:,.1f} h, ${total:,.0f} ({dollars})"
            )
        parts = {
            "LLM answers (assumed)": planned.answer_seconds,
            "topic models (measured)": planned.model_seconds,
            "reduce (measured)": planned.reduce_seconds,
            "starting up (assumed)": planned.start_seconds,
        }
        first, second = sorted(parts, key=lambda part: -parts[part])[:2]
        values[f"{instances} vLLM, parts"] = ", ".join(
            f"{part} {seconds / 3600:.2f} h" for part, seconds in parts.items()
        )
        values[f"{instances} vLLM, bottleneck"] = f"{first}, then {second}"
        formula = max(planned.answer_seconds, planned.model_seconds)
        values[f"{instances} vLLM, map simulated"] = (
            f"{simulated / 3600:.2f} h, {simulated / formula:.2f} of the formula, "
            f"LLM at work {busy:.0%}"
        )
    report("quarter_on_paper", values)


if __name__ == "__main__":
    main()
