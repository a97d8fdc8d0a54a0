"""A real S3 server on 127.0.0.1 (moto's), with faults on demand and conditional writes atomic."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ftm_core.storage.s3 import S3Storage, client_config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Literal["us-west-2"] = "us-west-2"
_Respond = Callable[..., Any]

ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>made to fail</Message></Error>"""


@dataclass
class Fault:
    """What the server does to the next requests of one method instead of answering."""

    method: str
    times: int = 1
    code: str = "SlowDown"
    status: str = "503 Slow Down"
    # Keep the headers of the true answer, and send this share of its body only.
    cut_body_to: float | None = None
    # Flip a byte of the true body.
    damage: bool = False
    # Do what is asked, but let the answer be lost.
    lose_answer: bool = False


@dataclass
class S3Emulator:
    """A running server: its URL, the faults it still has to play, the requests it has seen."""

    url: str
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bytes_sent: int = 0

    def client(self, total_max_attempts: int | None = None) -> S3Client:
        """A client as production makes it, apart from endpoint, login and perhaps timeouts."""
        import boto3
        from botocore.config import Config

        config = client_config()
        if total_max_attempts is not None:
            config = config.merge(
                Config(retries={"mode": "standard", "total_max_attempts": total_max_attempts})
            )

        return boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=config,
        )

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        self.client().create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return name

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """Make many empty objects, past HTTP (thousands of requests would take their time)."""
        from moto.s3.models import s3_backends

        backend = s3_backends["123456789012"]["aws"]
        for key in keys:
            backend.put_object(bucket, key, b"")

    def storage(self, bucket: str, prefix: str = "") -> S3Storage:
        """Storage in a bucket of this server, which never waits between its own attempts."""
        return S3Storage(self.client(), bucket, prefix, pause=lambda _: None)


def serve() -> Iterator[S3Emulator]:
    """Run the server in a thread, on a free port, until the generator is closed."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    emulator = S3Emulator("")
    application = _Faulty(DomainDispatcherApplication(create_backend_app), emulator)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    # Clients keep connections open: waiting for them to close would wait for ever.
    vars(server)["block_on_close"] = False
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    emulator.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield emulator
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Faulty:
    """WSGI application in front of moto that plays the faults."""

    def __init__(self, application: Any, emulator: S3Emulator) -> None:
        self._application = application
        self._emulator = emulator
        # S3 decides conditional writes one at a time; moto looks first and writes later.
        self._writing = threading.Lock()
        self._choosing = threading.Lock()

    def __call__(self, environ: dict[str, Any], respond: _Respond) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        with self._choosing:
            self._emulator.requests.append((method, environ["PATH_INFO"]))
            fault = self._due(method)
        if fault is None:
            return self._answer(environ, respond)
        if fault.lose_answer:
            list(self._answer(environ, lambda *_: None))
            return _error("InternalError", "500 Internal Server Error", respond)
        if fault.cut_body_to is None and not fault.damage:
            return _error(fault.code, fault.status, respond)
        body = b"".join(self._answer(environ, respond))
        if fault.damage:
            return [bytes([body[0] ^ 1]) + body[1:]]
        return [body[: int(len(body) * (fault.cut_body_to or 0))]]

    def _due(self, method: str) -> Fault | None:
        for fault in self._emulator.faults:
            if fault.method == method and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _answer(self, environ: dict[str, Any], respond: _Respond) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            body = list(self._application(environ, respond))
            self._emulator.bytes_sent += sum(map(len, body))
            return body
        with self._writing:
            return list(self._application(environ, respond))


def _error(code: str, status: str, respond: _Respond) -> Iterable[bytes]:
    body = ERROR.format(code=code).encode()
    respond(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
