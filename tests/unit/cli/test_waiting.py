"""Stop signals: handled at any time, once, and never by what must be finished."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ftm_cli.operations.aws.waiting import Waits, ignore_signals, stopped_by_signals
from ftm_core.contracts.errors import InputError, InterruptedRunError


@pytest.fixture
def interrupting_server() -> Iterator[str]:
    """A server that sends this process SIGINT as soon as it has a request, and never answers."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            released.wait(60)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    released.set()
    server.shutdown()


def test_signal_during_a_request_is_no_lost_link_to_retry(
    interrupting_server: str,
) -> None:
    import boto3

    client = boto3.client(
        "sts",
        endpoint_url=interrupting_server,
        region_name="us-west-2",
        aws_access_key_id="emulated",
        aws_secret_access_key="emulated",
    )
    with pytest.raises(InterruptedRunError) as caught, stopped_by_signals():
        client.get_caller_identity()
    assert caught.value.where == "SIGINT"
    assert int(caught.value.exit_code) == 75


def test_a_second_signal_does_not_stop_the_cleaning_up() -> None:
    cleaned = []

    def work_until_stopped() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            cleaned.append("up")

    with pytest.raises(InterruptedRunError), stopped_by_signals():
        work_until_stopped()
    assert cleaned == ["up"]


def test_nothing_disturbs_what_must_be_finished() -> None:
    with stopped_by_signals(), ignore_signals():
        os.kill(os.getpid(), signal.SIGHUP)


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopped_by_signals(), ignore_signals():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_waits_come_from_the_environment_or_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTM_POLL_SECONDS", "2.5")
    assert Waits.from_environment().poll == 2.5
    monkeypatch.setenv("FTM_POLL_SECONDS", "soon")
    with pytest.raises(InputError, match="FTM_POLL_SECONDS"):
        Waits.from_environment()
