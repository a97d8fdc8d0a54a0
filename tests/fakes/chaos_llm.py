"""A fake LLM server as a process of its own: each answer is a pure function of its question.

`python -m tests.fakes.chaos_llm --log FILE` prints its port and serves until its input ends. The
log has a line for each question received and for each answer sent. With `--upstream URL` it is no
fake but a recorder: the real server there answers. `--port` asks for a certain port.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from ftm_core.llm.messages import Parameters, Prompt, content_hash
from ftm_core.llm.prompts import cut
from tests.fakes.llm_forms import first_sentence, in_form, properties_of, wants_number

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "pure-function"
SUMMARY, THEME, CHOICE = "summary", "theme", "choice"


def kind_of(body: dict[str, Any]) -> str:
    """Which of the three questions a request asks, by the form of its answer."""
    if wants_number(body):
        return CHOICE
    return SUMMARY if properties_of(body) == ["summary"] else THEME


def answer_to(body: dict[str, Any]) -> str:
    """Words of the question in the form asked for: a pure function of the question."""
    return in_form(body, f"{cut(first_sentence(body), 160).rstrip(' …')}.")


@dataclass(frozen=True)
class Entry:
    """One line of the log: when (seconds since 1970) which question was asked or answered."""

    at: float
    event: str
    kind: str
    content_hash: str


class FakeLlm:
    """A running fake server, seen from the test."""

    def __init__(self, port: int, log: Path, model: str = MODEL) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._log = log
        self._model = model

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a run that asks this server."""
        return {
            "LLM_BASE_URL": self.base_url,
            "LLM_MODEL_NAME": self._model,
            "LLM_MAX_CONCURRENT": "4",
        }

    def log(self, since: int = 0) -> list[Entry]:
        """Entries of the log from number ``since`` on."""
        if not self._log.exists():
            return []
        lines = self._log.read_text().splitlines()
        return [Entry(**json.loads(line)) for line in lines[since:]]

    def asked(self, since: int = 0, kind: str | None = None) -> list[str]:
        """Hashes of the questions asked, in order."""
        return [
            entry.content_hash
            for entry in self.log(since)
            if entry.event == "asked" and kind in {None, entry.kind}
        ]

    def hold(self, kind: str, after: int) -> None:
        """Answer ``after`` more questions of a kind, and let all others of it wait."""
        self._control({"hold": kind, "after": after})

    def refuse(self, word: str) -> None:
        """Refuse (HTTP 400) each question that holds ``word``."""
        self._control({"refuse": word})

    def reset(self) -> None:
        """Release every request that waits, and refuse nothing."""
        self._control({})

    def _control(self, orders: dict[str, Any]) -> None:
        url = self.base_url.replace("/v1", "/control")
        httpx.post(url, json=orders, trust_env=False).raise_for_status()


@contextmanager
def serving(
    log: Path, *, upstream: str = "", model: str = MODEL, port: int = 0
) -> Iterator[FakeLlm]:
    """A server process while the block lasts; ``upstream`` is a real server's URL to record."""
    options = ["--log", str(log), "--upstream", upstream, "--port", str(port), "--model", model]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.chaos_llm", *options],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield FakeLlm(int(process.stdout.readline()), log, model)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _State:
    """The orders that the server has received, and its log."""

    def __init__(self, log: Path, upstream: str, model: str) -> None:
        self.upstream = upstream
        self.model = model
        self.lock = threading.Lock()
        self.held: dict[str, int] = {}
        self.released = threading.Event()
        self.refused: str | None = None
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def obey(self, orders: dict[str, Any]) -> None:
        with self.lock:
            if "hold" in orders:
                self.held = {orders["hold"]: orders["after"]}
                self.released = threading.Event()
            elif "refuse" in orders:
                self.refused = orders["refuse"]
            else:
                self.held, self.refused = {}, None
                self.released.set()

    def note(self, event: str, kind: str, asked: str) -> None:
        line = {"at": time.time(), "event": event, "kind": kind, "content_hash": asked}
        os.write(self._log, json.dumps(line).encode() + b"\n")

    def wait_if_held(self, kind: str) -> None:
        with self.lock:
            left = self.held.get(kind)
            if left is None:
                return
            self.held[kind] = left - 1
            released = self.released
        if left <= 0:
            released.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.state.upstream:
            self._forward("GET", None)
            return
        models = {"data": [{"id": self.state.model, "max_model_len": 2048}]}
        self._send(200, models if self.path.endswith("/models") else {"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/control":
            self.state.obey(body)
            self._send(200, {})
            return
        kind, question = kind_of(body), body["messages"][-1]["content"]
        asked = _hash_of(body)
        self.state.note("asked", kind, asked)
        if self.state.refused is not None and self.state.refused in question:
            self._send(400, {"error": {"message": "not this one", "code": 400}})
            return
        if self.state.upstream:
            self._forward("POST", body)
            self.state.note("answered", kind, asked)
            return
        self.state.wait_if_held(kind)
        choice = {"message": {"content": answer_to(body)}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 20}
        self._send(200, {"model": self.state.model, "choices": [choice], "usage": usage})
        self.state.note("answered", kind, asked)

    def _forward(self, method: str, body: dict[str, Any] | None) -> None:
        url = f"{self.state.upstream}{self.path}"
        answer = httpx.request(method, url, json=body, timeout=600, trust_env=False)
        self._send(answer.status_code, answer.json())

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _hash_of(body: dict[str, Any]) -> str:
    """The hash under which the client keeps the answer to this request."""
    system = body["messages"][0]["content"] if len(body["messages"]) > 1 else ""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    text = json.dumps(schema, separators=(",", ":")) if schema else ""
    prompt = Prompt(system, body["messages"][-1]["content"], text)
    parameters = Parameters(max_tokens=body["max_tokens"], seed=body["seed"])
    return content_hash(prompt, model=body["model"], parameters=parameters)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Nothing to say: a client that is killed amid its question is why this server exists."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--upstream", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--until-killed", action="store_true")
    parser.add_argument("--model", default=MODEL)
    options = parser.parse_args()
    state = _State(options.log, options.upstream, options.model)
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server((options.host, options.port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    if options.until_killed:
        threading.Event().wait()
    # The test's end closes this input, however it ends.
    sys.stdin.read()


if __name__ == "__main__":
    main()
