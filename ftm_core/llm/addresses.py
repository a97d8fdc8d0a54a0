"""Where the LLM server is: its URL taken apart, its password kept out of every message."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from ftm_core.contracts.errors import InputError

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PROXY_VARIABLES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_ENDPOINT = "/chat/completions"
# Errors of getaddrinfo that no waiting changes; EAI_AGAIN passes.
_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


@dataclass(frozen=True)
class Address:
    """An API's URL without user and password, and the header that carries those."""

    api: str
    authorization: str

    @property
    def server(self) -> str:
        """The server's own URL: the API's less its final ``/v1``."""
        return self.api.removesuffix("/v1").rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, where no proxy can reach it."""
        return httpx.URL(self.api).host in _LOOPBACK

    def alternatives(self) -> Iterator[str]:
        """The API's URL as given, then as it was perhaps meant."""
        yield self.api
        base = self.api.removesuffix(_ENDPOINT).removesuffix("/completions")
        if base != self.api:
            yield base
        if not base.endswith("/v1"):
            yield f"{base}/v1"
            origin = str(httpx.URL(base).copy_with(raw_path=b"/")).rstrip("/")
            if origin != base:
                yield f"{origin}/v1"


def parse_address(base_url: str, api_key: str) -> Address:
    """The address that ``base_url`` names; raises InputError when it is not an http(s) URL.

    A user and password in the URL become Basic authorization, unless there is an API key.
    """
    text = base_url.strip().rstrip("/")
    try:
        url = httpx.URL(text)
        usable = url.scheme in {"http", "https"} and bool(url.host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise InputError(
            f"The LLM base URL {without_password(base_url)!r}",
            "is not an http or https URL",
            "Set LLM_BASE_URL, for example to http://127.0.0.1:8000/v1.",
        )
    authorization = ""
    if api_key:
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise InputError(
                "The key in LLM_API_KEY",
                "holds a character that no HTTP header may hold",
                "Set the variable to the key alone, without quotes or spaces.",
            )
        authorization = f"Bearer {api_key}"
    elif url.userinfo:
        pair = f"{url.username}:{url.password}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode('ascii')}"
    return Address(without_password(text), authorization)


def without_password(url: str) -> str:
    """The URL less the user and password in front of its host; any other text as it is."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", r"\1", url.strip(), flags=re.IGNORECASE)


def proxy_fault(error: Exception) -> InputError:
    """What to say when httpx cannot be set up with the environment's proxies and certificates."""
    certificates = [
        name
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")
        if os.environ.get(name) and not Path(os.environ[name]).exists()
    ]
    if certificates or isinstance(error, OSError):
        names = certificates or ["SSL_CERT_FILE"]
        return InputError(
            f"The environment variable {names[0]}",
            f"names {os.environ.get(names[0], '')!r}, which cannot be read ({error})",
            "Set it to a file that can be read, or unset it.",
        )
    named = [
        variable
        for name in _PROXY_VARIABLES
        for variable in (name, name.lower())
        if os.environ.get(variable)
    ]
    return InputError(
        f"The environment variable {' or '.join(named) or 'of a proxy'}",
        f"cannot be used for the LLM server ({error})",
        "Correct it, or unset it; socks proxies need the package httpx[socks].",
    )


def lasting_fault(error: BaseException) -> str | None:
    """Why no waiting can make this address work, or None: a bad certificate, an unknown name."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({seen.verify_message})"
        if isinstance(seen, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(seen):
            return "it does not speak TLS: use http:// in place of https://"
        if isinstance(seen, socket.gaierror) and seen.errno in _UNKNOWN_NAME:
            return "its name is not known"
        seen = seen.__cause__ or seen.__context__
    return None
