"""A proxy on 127.0.0.1, in a thread, that does to any HTTP server what a bad network does."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_BURST = 5


@dataclass
class ChaosProxy:
    """Forwards HTTP/1.1 requests to ``host:port``, each with these chances (0 to 1) of a fault.

    ``error`` answers ``error_status`` without asking, ``reset`` breaks the connection before and
    ``lost`` after the server has answered, ``cut`` breaks it amid the body, ``truncated`` sends
    half a body as if it were whole, ``slow`` takes ``slow_seconds`` over the body, and ``storm``
    answers ``storm_status`` to five requests in a row, with ``retry_after`` seconds to wait.
    """

    host: str
    port: int
    seed: int = 1
    error: float = 0.0
    error_status: int = 500
    reset: float = 0.0
    lost: float = 0.0
    cut: float = 0.0
    truncated: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.5
    storm: float = 0.0
    storm_status: int = 429
    retry_after: int = 0
    done: Counter[str] = field(default_factory=Counter)
    url: str = ""

    @contextlib.contextmanager
    def serving(self) -> Iterator[ChaosProxy]:
        """Serve at ``url`` while the block lasts."""
        self._random = random.Random(self.seed)
        self._storm_left = 0
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        # Started over there, so that a test may have a running loop of its own here.
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(starting, loop).result()
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._answer_one(reader, writer)
        writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, headers = await _read_head(reader)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
        body = await _read_body(reader, headers)
        fault = self._choose()
        self.done[fault] += 1
        if fault == "reset":
            writer.transport.abort()
        elif fault in {"error", "storm"}:
            status = self.error_status if fault == "error" else self.storm_status
            writer.write(_plain(status, self.retry_after))
            await writer.drain()
        else:
            answer = await self._ask(head, headers, body)
            await self._send(fault, answer, writer)

    async def _ask(
        self, head: str, headers: dict[str, str], body: bytes
    ) -> tuple[str, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            sent = {k: v for k, v in headers.items() if k not in {"expect", "connection"}}
            if "transfer-encoding" in sent:
                del sent["transfer-encoding"]
                sent["content-length"] = str(len(body))
            writer.write(_head(head, {**sent, "connection": "close"}) + body)
            await writer.drain()
            line, answered = await _read_head(reader)
            has_body = not head.startswith("HEAD ") and line.split(" ")[1] not in {"204", "304"}
            return line, answered, await _read_body(reader, answered) if has_body else b""
        finally:
            writer.close()

    async def _send(
        self,
        fault: str,
        answer: tuple[str, dict[str, str], bytes],
        writer: asyncio.StreamWriter,
    ) -> None:
        line, headers, body = answer
        if fault == "lost":
            writer.transport.abort()
            return
        kept = {k: v for k, v in headers.items() if k not in {"connection", "transfer-encoding"}}
        if body or "content-length" not in kept:
            kept["content-length"] = str(len(body))
        half = body[: len(body) // 2]
        if fault == "truncated":
            kept["content-length"], body = str(len(half)), half
        writer.write(_head(line, {**kept, "connection": "close"}))
        if fault == "cut" and body:
            writer.write(half)
            await writer.drain()
            writer.transport.abort()
        elif fault == "slow":
            for start in range(0, len(body), max(1, len(body) // 10)):
                await asyncio.sleep(self.slow_seconds / 10)
                writer.write(body[start : start + max(1, len(body) // 10)])
                await writer.drain()
        else:
            writer.write(body)
            await writer.drain()

    def _choose(self) -> str:
        if self._storm_left > 0:
            self._storm_left -= 1
            return "storm"
        drawn = self._random.random()
        for name in ("error", "reset", "lost", "cut", "truncated", "slow", "storm"):
            drawn -= getattr(self, name)
            if drawn < 0:
                self._storm_left = _BURST - 1 if name == "storm" else 0
                return name
        return "none"


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line, and the headers by their names in small letters."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    named = (line.partition(":") for line in lines[1:] if line)
    return lines[0], {name.strip().lower(): value.strip() for name, _, value in named}


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return body
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("connection", "").lower() == "close":
        return await reader.read()
    return b""


def _head(line: str, headers: dict[str, str]) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _plain(status: int, retry_after: int) -> bytes:
    return _head(
        f"HTTP/1.1 {status} Made to fail",
        {"content-length": "0", "connection": "close", "retry-after": str(retry_after)},
    )
