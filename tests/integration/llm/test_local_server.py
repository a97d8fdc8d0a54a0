"""The local LLM server as a process: it starts, answers, says why it cannot, leaves no orphan."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import psutil
import pytest

from ftm_core.contracts.errors import FtmError, InputError
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm import local_server
from ftm_core.llm.bundled_model import (
    FOLDER_VARIABLE,
    MODEL_FILE,
    MODEL_NAME,
    bundled_model_path,
)
from ftm_core.llm.client import LlmClient
from ftm_core.llm.local_server import LocalServer
from ftm_core.llm.messages import Prompt

pytestmark = pytest.mark.models

QUESTION = Prompt(
    "You summarise earnings calls in one sentence.",
    "Sentences:\n- Freight rates rose by a tenth.\n- Shipping took longer.\n\nWhat is reported?",
)


def gone(pid: int, *, within: float) -> bool:
    """Whether the process ends within that many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


async def test_it_answers_under_its_own_name_on_this_machine_alone() -> None:
    with LocalServer(slots=3) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        async with LlmClient(server.settings(LlmSettings(timeout=120))) as client:
            await client.wait_until_healthy()
            assert await client.context_length() == local_server.SLOT_CONTEXT
            answer = await client.complete(QUESTION, max_tokens=24)
        listening = {
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        pid = server.pid
    assert answer.model == MODEL_NAME
    assert answer.text
    assert answer.completion_tokens <= 24
    assert listening == {"127.0.0.1"}
    assert gone(pid, within=5)


async def test_a_prompt_far_too_long_is_cut_and_answered() -> None:
    lines = "\n".join(f"- Revenue of unit {n} rose 1,{n:03d}.{n:02d} %." for n in range(2000))
    prompt = Prompt("Summarise.", f"Sentences:\n{lines}\n\nWhat is reported?")
    with LocalServer(slots=1, slot_context=512) as server:
        async with LlmClient(server.settings(LlmSettings(timeout=120))) as client:
            answer = await client.complete(prompt, max_tokens=8)
    assert 100 < answer.prompt_tokens <= 512 - 8


async def test_a_cancelled_call_frees_its_slot_on_the_server() -> None:
    with LocalServer(slots=1) as server:
        async with LlmClient(server.settings(LlmSettings(timeout=120))) as client:
            await client.complete(QUESTION, max_tokens=1)
            call = asyncio.create_task(
                client.complete(Prompt("", "Count from one to a thousand."), max_tokens=1500)
            )
            slots = server.base_url.removesuffix("/v1") + "/slots"
            async with httpx.AsyncClient(trust_env=False) as http:
                while not (await http.get(slots)).json()[0]["is_processing"]:
                    await asyncio.sleep(0.05)
                call.cancel()
                async with asyncio.timeout(10):
                    while (await http.get(slots)).json()[0]["is_processing"]:
                        await asyncio.sleep(0.05)
    assert call.cancelled()


def test_a_killed_parent_leaves_no_orphan_and_no_folder(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import time
        from ftm_core.llm.local_server import LocalServer
        with LocalServer(slots=1) as server:
            print(server.pid, flush=True)
            time.sleep(600)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        assert list(tmp_path.iterdir())
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(pid, within=5)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_at_the_terminal_leaves_the_server_to_its_parent() -> None:
    script = textwrap.dedent(
        """
        import signal, threading, time, httpx
        from ftm_core.llm.local_server import LocalServer
        arrived = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: arrived.set())
        with LocalServer(slots=1) as server:
            print("ready", flush=True)
            arrived.wait()
            time.sleep(0.5)
            url = server.base_url.removesuffix("/v1") + "/health"
            print(httpx.get(url, trust_env=False).status_code, flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.readline() == "200\n"


def test_a_restart_keeps_the_port_and_a_stop_frees_it() -> None:
    with LocalServer(slots=1) as server:
        url, pid = server.base_url, server.pid
        os.kill(pid, signal.SIGKILL)
        server.start()
        assert server.base_url == url
        assert server.pid != pid
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.split(":")[2].split("/")[0]))) != 0


def test_a_server_that_cannot_start_shows_the_end_of_its_log() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FtmError, match="log ends") as caught:
            LocalServer(port=port).start()
    assert str(port) in caught.value.cause


def test_server_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(InputError, match=r"pip install 'ftm\[local\]'"):
        LocalServer().start()


def test_server_without_its_model_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="Run `ftm models fetch bundled`"):
        LocalServer().start()


def test_server_with_a_damaged_model_refuses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / MODEL_FILE).write_bytes(bundled_model_path().read_bytes()[:-1] + b"\0")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=r"\.gguf has the SHA-256.*fetch bundled --again"):
        LocalServer().start()
