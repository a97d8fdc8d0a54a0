"""Addresses: passwords kept out of messages, likely mistakes corrected, lasting faults named."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ftm_core.contracts import events
from ftm_core.contracts.errors import InputError, LlmUnavailableError
from ftm_core.contracts.settings import LlmSettings
from ftm_core.llm.addresses import parse_address, without_password
from ftm_core.llm.client import LlmClient
from ftm_core.llm.messages import Prompt
from tests.fakes.llm_server import MODEL, completion

QUESTION = Prompt("", "u")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:s3cret@host:8000/v1", "http://host:8000/v1"),
        ("https://s3cret@host/v1/", "https://host/v1/"),
        ("http://me:s3c@ret@host/v1", "http://host/v1"),
        ("http://host/v1?x=a@b", "http://host/v1?x=a@b"),
        ("", ""),
    ],
)
def test_fault_b22_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


async def test_fault_b22_password_is_sent_as_authorization_never_shown() -> None:
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers.get("authorization")))
        return httpx.Response(403, json={"error": {"message": "no"}})

    settings = LlmSettings(base_url="http://me:s3cret@llm.test/v1")
    async with LlmClient(settings, transport=httpx.MockTransport(handle)) as client:
        with pytest.raises(InputError) as caught:
            await client.context_length()
    assert seen == [("http://llm.test/v1/models", "Basic bWU6czNjcmV0")]
    assert "s3cret" not in str(caught.value)
    assert parse_address("http://me:s3cret@h/v1", "key").authorization == "Bearer key"


@pytest.mark.parametrize(
    "given", ["http://llm.test", "http://llm.test/v1/chat/completions", "http://llm.test/api"]
)
async def test_fault_b8_a_base_url_without_v1_is_corrected(given: str) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": MODEL, "max_model_len": 2048}]})
        if request.url.path == "/v1/chat/completions":
            return completion("Fine.")
        return httpx.Response(404, text="<html>not here</html>")

    notes: list[events.Event] = []
    async with LlmClient(
        LlmSettings(base_url=given),
        transport=httpx.MockTransport(handle),
        listener=notes.append,
    ) as client:
        assert (await client.complete(QUESTION, max_tokens=8)).text == "Fine."
    assert [str(note) for note in notes if "http://llm.test/v1 is used" in str(note)]


async def test_fault_b8_a_redirect_is_named() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [{"id": MODEL}]})
        return httpx.Response(301, headers={"location": "https://llm.test/v1/chat/completions"})

    settings = LlmSettings(base_url="http://llm.test/v1")
    async with LlmClient(settings, transport=httpx.MockTransport(handle)) as client:
        with pytest.raises(InputError, match=r"redirects .* to https://llm\.test"):
            await client.complete(QUESTION, max_tokens=8)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NO_PROXY", "localhost,[::1]"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("HTTP_PROXY", "gopher://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
    ],
)
def test_fault_b9_a_variable_that_httpx_cannot_use_is_named(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=variable):
        LlmClient(LlmSettings(base_url="http://llm.test/v1"))


def _self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS context with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@asynccontextmanager
async def _listening(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _fault_of(url: str, **waits: float) -> Exception:
    settings = LlmSettings(base_url=url, **{"health_wait": 600.0, "health_poll": 30.0, **waits})
    async with LlmClient(settings) as client:
        with pytest.raises((InputError, LlmUnavailableError)) as caught:
            async with asyncio.timeout(20):
                await client.context_length()
    return caught.value


async def test_fault_b7_a_certificate_not_trusted_ends_at_once(tmp_path: Path) -> None:
    async with _listening(_self_signed(tmp_path)) as port:
        fault = await _fault_of(f"https://127.0.0.1:{port}/v1")
    assert isinstance(fault, InputError)
    assert "certificate is not trusted" in str(fault)


async def test_fault_b7_https_to_a_plain_port_ends_at_once() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        fault = await _fault_of(f"https://127.0.0.1:{port}/v1")
    assert isinstance(fault, InputError)
    assert "http://" in str(fault)


async def test_fault_b7_a_name_that_is_not_known_ends_at_once() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no") from socket.gaierror(
            socket.EAI_NONAME, "Name or service not known"
        )

    settings = LlmSettings(base_url="http://no-such-host.invalid:8000/v1")
    async with LlmClient(settings, transport=httpx.MockTransport(handle)) as client:
        with pytest.raises(InputError, match="its name is not known"):
            await client.context_length()


async def test_fault_b7_an_outage_ends_with_the_last_probe() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    fault = await _fault_of(f"http://127.0.0.1:{port}/v1", health_wait=0.3, health_poll=0.1)
    assert isinstance(fault, LlmUnavailableError)
    assert "last probe" in str(fault)
    assert "ConnectError" in str(fault)
