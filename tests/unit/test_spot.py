"""Spot's notice: read from a real metadata server, and turned into an orderly stop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ftm_core import worker
from ftm_core.contracts.errors import ExitCode
from ftm_core.contracts.events import Event, Note
from ftm_core.spot import METADATA_VARIABLE, SpotMetadata, SpotNotice

NOTICE = {"action": "terminate", "time": "2026-01-01T00:02:00Z"}
_TIMEOUT = 30.0


@dataclass
class Instance:
    """What the metadata of an instance answers, and what it was asked."""

    url: str = ""
    notice: bytes | None = None
    refuses_token: int = 0
    asked: list[str] = field(default_factory=list)
    tokens: int = 0


@contextmanager
def metadata_of(instance: Instance) -> Iterator[Instance]:
    """Serve version 2 of the metadata service for ``instance`` on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.path == "/latest/api/token"
            assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
            instance.tokens += 1
            self._answer(200, f"token-{instance.tokens}".encode())

        def do_GET(self) -> None:
            instance.asked.append(self.path)
            if self.headers["X-aws-ec2-metadata-token"] != f"token-{instance.tokens}":
                self._answer(401, b"")
            elif instance.refuses_token:
                instance.refuses_token -= 1
                self._answer(401, b"")
            elif instance.notice is None:
                self._answer(404, b"")
            else:
                self._answer(200, instance.notice)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    instance.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield instance
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def instance() -> Iterator[Instance]:
    with metadata_of(Instance()) as served:
        yield served


def test_metadata_without_notice_is_none(instance: Instance) -> None:
    metadata = SpotMetadata(instance.url)
    assert metadata.interruption() is None
    assert metadata.interruption() is None
    assert instance.tokens == 1
    assert instance.asked == ["/latest/meta-data/spot/instance-action"] * 2


def test_metadata_with_notice_gives_its_time(instance: Instance) -> None:
    instance.notice = json.dumps(NOTICE).encode()
    assert SpotMetadata(instance.url).interruption() == NOTICE["time"]


@pytest.mark.parametrize("body", [b"", b"{}", b"no json", b"[1]"])
def test_metadata_with_odd_notice_is_a_notice(instance: Instance, body: bytes) -> None:
    instance.notice = body
    assert SpotMetadata(instance.url).interruption() == "within two minutes"


def test_metadata_with_expired_token_asks_again(instance: Instance) -> None:
    metadata = SpotMetadata(instance.url)
    instance.notice, instance.refuses_token = json.dumps(NOTICE).encode(), 1
    assert metadata.interruption() is None
    assert metadata.interruption() == NOTICE["time"]
    assert instance.tokens == 2


def test_notice_is_passed_on_once(instance: Instance) -> None:
    """The third poll finds the notice: the job is notified, and polling ends."""
    reported, events, polls = threading.Event(), [], 0

    def wait(ended: threading.Event, seconds: float) -> bool:
        nonlocal polls
        polls += 1
        assert seconds == 5.0
        if polls == 2:
            instance.notice = json.dumps(NOTICE).encode()
        return ended.is_set()

    notice = SpotNotice(instance.url, events.append, on_notice=reported.set, wait=wait)
    with notice:
        assert reported.wait(_TIMEOUT)
    assert polls == 2
    assert [event.text for event in events] == [
        f"Spot takes this instance back at {NOTICE['time']}"
    ]


def test_silent_metadata_is_reported_once_and_polled_further() -> None:
    events: list[Event] = []
    polled = threading.Semaphore(0)

    def wait(ended: threading.Event, _: float) -> bool:
        polled.release()
        return ended.wait(0.01)

    # Port 9 of this machine: nothing listens.
    with SpotNotice("http://127.0.0.1:9", events.append, wait=wait):
        for _ in range(3):
            assert polled.acquire(timeout=_TIMEOUT)
    assert len([event for event in events if isinstance(event, Note)]) == 1


def test_without_the_variable_nothing_is_polled() -> None:
    before = threading.active_count()
    with SpotNotice.from_environment({}, lambda event: None):
        assert threading.active_count() == before
    assert METADATA_VARIABLE == "SPOT_METADATA_URL"


def test_worker_ends_with_75_at_the_notice(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job at work when the notice comes: the worker's own signal handling, and its exit code."""
    instance.notice = json.dumps(NOTICE).encode()
    began = time.monotonic()
    monkeypatch.setattr(worker, "_step", lambda *_: time.sleep(_TIMEOUT))
    assert worker.main(["map"], {METADATA_VARIABLE: instance.url}) == ExitCode.RETRYABLE
    assert time.monotonic() - began < _TIMEOUT
