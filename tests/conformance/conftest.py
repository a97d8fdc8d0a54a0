"""The servers that the contract is tested against: the local one, and vLLM where served."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.local_server import LocalServer

# Both servers use a template with Qwen3's thinking switch, which the small model lacks.
TEMPLATE = Path(__file__).parent / "thinking_template.jinja"


@dataclass(frozen=True)
class Target:
    """One server: its kind (``local`` or ``vllm``), API URL, model name and context length."""

    kind: str
    base_url: str
    model_name: str
    context_length: int

    @property
    def root(self) -> str:
        return self.base_url.removesuffix("/v1")

    def settings(self, **changes: object) -> LlmSettings:
        values = {"base_url": self.base_url, "model_name": self.model_name, "timeout": 300.0}
        return LlmSettings.model_validate({**values, **changes})


@pytest.fixture(scope="session", params=["local", pytest.param("vllm", marks=pytest.mark.vllm)])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "vllm":
        url = os.environ.get("VLLM_BASE_URL")
        if not url:
            pytest.fail("no vLLM is served: run `make vllm-conformance`")
        yield Target("vllm", url, os.environ.get("LLM_MODEL_NAME", "Qwen/Qwen3-8B"), 2048)
        return
    with LocalServer(slots=10, slot_context=1024, chat_template=TEMPLATE) as server:
        yield Target("local", server.base_url, server.model_name, 1024)
