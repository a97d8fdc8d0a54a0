"""Answers a second of the LLM client against a bare load generator, and the prefix cache's hits.

Run from the project root: ``python -m bench.llm_throughput [PROMPTS] [PAIRS]``. Both send prompts
to the same local server and keep as many requests in flight. No prompt is sent twice, as the
server would know it the second time: each prompt of one side has one of its length on the other,
at the same place in the order.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

import httpx

from bench.corpus import maec_firms
from bench.measuring import alternate, report
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.client import LlmClient
from ftm_core.llm.dialect import Dialect
from ftm_core.llm.local_server import LocalServer
from ftm_core.llm.messages import Parameters, Prompt
from ftm_core.llm.prompts import summary_prompt

CONCURRENT = 8
MAX_TOKENS = 48


class Watching(httpx.AsyncBaseTransport):
    """The network, counting prompt tokens and those that the server had kept."""

    def __init__(self) -> None:
        self._network = httpx.AsyncHTTPTransport()
        self.n_cached = 0
        self.n_prompt = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._network.handle_async_request(request)
        body = await response.aread()
        if request.url.path.endswith("/completions"):
            usage = json.loads(body)["usage"]
            self.n_prompt += usage["prompt_tokens"]
            self.n_cached += usage["prompt_tokens_details"]["cached_tokens"]
        return response


def prompts(number: int) -> list[Prompt]:
    """Topic summaries as the map asks for them, from sentences that stand together."""
    texts = [text for firm in maec_firms(60) for text in firm["raw_text"].to_pylist()]
    groups = [texts[start : start + 4] for start in range(0, 4 * number, 4)]
    return [summary_prompt(group[0].lower().split()[:5], group) for group in groups]


def sides(made: Sequence[Prompt]) -> list[list[Prompt]]:
    """An even number of prompts as two lists of which each place has prompts of like lengths."""
    by_length = sorted(range(len(made)), key=lambda place: (len(made[place].user), place))
    pairs = [by_length[place : place + 2] for place in range(0, len(made), 2)]
    # The longer of a pair goes to either side in turn.
    pairs = [pair[:: (1, -1)[number % 2]] for number, pair in enumerate(pairs)]
    return [[made[pair[side]] for pair in sorted(pairs, key=min)] for side in (0, 1)]


async def ask_bare(llm: LlmSettings, chosen: Sequence[Prompt], watching: Watching) -> None:
    """As many requests on their way as slots, each body sent as it is."""
    parameters = Parameters(max_tokens=MAX_TOKENS)
    left = iter([Dialect().body(p, model=llm.model_name, parameters=parameters) for p in chosen])

    async def send() -> None:
        for body in left:
            answer = await http.post(f"{llm.base_url}/chat/completions", json=body)
            answer.raise_for_status()

    async with httpx.AsyncClient(transport=watching, timeout=600) as http:
        await asyncio.gather(*(send() for _ in range(CONCURRENT)))


async def ask_ours(llm: LlmSettings, chosen: Sequence[Prompt], watching: Watching) -> None:
    """All prompts handed to the client at once, as the map hands over a firm's."""
    async with LlmClient(llm, transport=watching) as client:
        await asyncio.gather(*(client.complete(p, max_tokens=MAX_TOKENS) for p in chosen))


def main() -> None:
    n_prompts, n_pairs = (int(given) for given in (sys.argv[1:] + ["16", "3"][len(sys.argv) - 1 :]))
    made = prompts(2 * n_prompts * n_pairs + CONCURRENT)
    warm, made = made[:CONCURRENT], made[CONCURRENT:]
    hits: dict[str, float] = {}
    with LocalServer(slots=CONCURRENT) as server:
        llm = server.settings(LlmSettings(max_concurrent=CONCURRENT, timeout=600))
        asyncio.run(ask_bare(llm, warm, Watching()))
        seen = {"client": Watching(), "bare": Watching()}

        def run(ask: object, side: int, name: str, pair: int) -> None:
            watching = Watching()
            chosen = sides(made[2 * n_prompts * pair : 2 * n_prompts * (pair + 1)])[side]
            asyncio.run(ask(llm, chosen, watching))  # type: ignore[operator]
            seen[name].n_cached += watching.n_cached
            seen[name].n_prompt += watching.n_prompt

        ratio = alternate(
            lambda pair: run(ask_ours, 0, "client", pair),
            lambda pair: run(ask_bare, 1, "bare", pair),
            n_pairs,
        )
    for name, watching in seen.items():
        hits[f"share of prompt tokens found in the prefix cache, {name}"] = (
            watching.n_cached / watching.n_prompt
        )
    report(
        "llm_throughput",
        {
            "times the answers a second of a bare load generator": ratio,
            "prompts a side": n_prompts * n_pairs,
            "answers a second, client": n_prompts / min(ratio.ours_seconds),
            "prompt tokens each": seen["client"].n_prompt / (n_prompts * n_pairs),
            **hits,
        },
    )


if __name__ == "__main__":
    main()
