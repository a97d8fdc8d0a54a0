"""Answers that AWS did not write, such as a proxy's page, for each protocol of its clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ftm_cli.operations.aws.errors import AwsBusyError, translated
from ftm_core.contracts.errors import ExitCode, StorageRetryableError
from ftm_core.storage.s3 import S3Storage

PAGE = b"<!DOCTYPE html>\n<html><body>Service Unavailable<br></body></html>"
TEXT = b"upstream connect error or disconnect/reset before headers"
# One call for each protocol that ftm's clients speak: query, ec2, rest-json, json.
CALLS = {
    "sts": lambda client: client.get_caller_identity(),
    "autoscaling": lambda client: client.describe_auto_scaling_groups(),
    "ec2": lambda client: client.describe_subnets(),
    "batch": lambda client: client.describe_job_queues(),
    "ecs": lambda client: client.list_clusters(),
    "stepfunctions": lambda client: client.list_state_machines(),
}


class _Page(BaseHTTPRequestHandler):
    status: int
    page: bytes

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    do_GET = answer  # noqa: N815
    do_POST = answer  # noqa: N815
    do_PUT = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[(502, TEXT), (503, PAGE)], ids=["text", "page"])
def page_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers everything with the same words, under a status that says "later"."""
    status, page = request.param
    handler = type("Page", (_Page,), {"status": status, "page": page})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def client_of(service: str, url: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="us-west-2",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.mark.parametrize("service", CALLS)
def test_a_page_instead_of_aws_is_worth_a_retry(service: str, page_server: str) -> None:
    with pytest.raises(AwsBusyError) as caught, translated("some queue"):
        CALLS[service](client_of(service, page_server))
    assert caught.value.exit_code == ExitCode.RETRYABLE
    assert "some queue" in str(caught.value)


def test_a_page_instead_of_s3_is_worth_a_retry(page_server: str) -> None:
    storage = S3Storage(client_of("s3", page_server), "some-bucket", pause=lambda _: None)
    for call in (
        lambda: storage.read("some/key"),
        lambda: list(storage.list("some/")),
        lambda: storage.write("some/key", b"x"),
    ):
        with pytest.raises(StorageRetryableError):
            call()
