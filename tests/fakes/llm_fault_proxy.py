"""A proxy on 127.0.0.1 that does to a real server's answers what a bad network does."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx


@dataclass
class FaultProxy:
    """Forwards requests to ``upstream``, each with these chances (0 to 1) of a fault instead.

    ``server_error`` answers 502, ``reset`` breaks the connection, ``truncated`` sends half a body
    that claims to be whole, ``cut`` breaks the connection amid the body, ``slow`` sends the body
    byte by byte over ``slow_seconds``, and ``throttled`` answers 429 in bursts of five.
    """

    upstream: str
    seed: int = 1
    server_error: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    cut: float = 0.0
    slow: float = 0.0
    throttled: float = 0.0
    slow_seconds: float = 1.0
    done: Counter[str] = field(default_factory=Counter)
    url: str = ""
    _throttles_left: int = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[FaultProxy]:
        """Serve while the block lasts, at ``url``."""
        self._random = random.Random(self.seed)
        async with httpx.AsyncClient(trust_env=False, timeout=300) as self._http:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                yield self
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, httpx.HTTPError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        lengths = [
            line for line in head.lower().split("\r\n") if line.startswith("content-length:")
        ]
        length = int(lengths[0].partition(":")[2]) if lengths else 0
        body = await reader.readexactly(length)
        fault = self._choose()
        self.done[fault] += 1
        if fault == "reset":
            writer.transport.abort()
        elif fault == "server_error":
            await _send(writer, 502, b"<html>bad gateway</html>")
        elif fault == "throttled":
            await _send(writer, 429, b"{}", "retry-after: 1\r\n")
        else:
            answer = await self._http.request(method, f"{self.upstream}{path}", content=body)
            await self._send_with(fault, writer, answer)

    async def _send_with(
        self, fault: str, writer: asyncio.StreamWriter, answer: httpx.Response
    ) -> None:
        half = answer.content[: len(answer.content) // 2]
        if fault == "truncated":
            await _send(writer, answer.status_code, half)
        elif fault == "cut":
            writer.write(_head(answer.status_code, len(answer.content)) + half)
            await writer.drain()
        elif fault == "slow":
            writer.write(_head(answer.status_code, len(answer.content)))
            pieces = [answer.content[start : start + 64] for start in range(0, 64 * 20, 64)]
            for piece in [*pieces, answer.content[64 * 20 :]]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.slow_seconds / 20)
        else:
            await _send(writer, answer.status_code, answer.content)

    def _choose(self) -> str:
        if self._throttles_left > 0:
            self._throttles_left -= 1
            return "throttled"
        drawn = self._random.random()
        for name in ("server_error", "reset", "truncated", "cut", "slow", "throttled"):
            drawn -= getattr(self, name)
            if drawn < 0:
                self._throttles_left = 4 if name == "throttled" else 0
                return name
        return "none"


def _head(status: int, length: int, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n{more}connection: close\r\n\r\n"
    ).encode("ascii")


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "") -> None:
    writer.write(_head(status, len(body), more) + body)
    await writer.drain()
