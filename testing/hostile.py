"""Receivers of webhooks that misbehave, over real connections of the loopback interface."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from ..adapters.exchange import Answer, Exchange
from ..errors import TransportError
from .loopback import WAIT_SECONDS, attempt_to

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEBIBYTE: Final = 1024 * 1024

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Outcome = Answer | TransportError


class HostileReceiver:
    """Does to every connection what `behaviour` says, again and again. On one running loop.

    Args:
        behaviour: May be changed while it runs.
        reads: Wait for a request each time, and read it (its body only below 1 MiB).

    Attributes:
        accepted: Connections so far.
    """

    def __init__(self, behaviour: Behaviour, *, reads: bool = True) -> None:
        self.behaviour = behaviour
        self.reads = reads
        self.accepted = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0: any free one."""
        listener = socket.create_server(("127.0.0.1", port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that senders notice
        self._server = await asyncio.start_server(self._serve, sock=listener, ssl=tls)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection off, and listen no more."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            if task is not None:
                task.cancel()
        await asyncio.sleep(0)

    def url(self, scheme: str = "http") -> str:
        """A URL of it."""
        return f"{scheme}://127.0.0.1:{self.port}/hook"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        self._tasks.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not self.reads:
                await self.behaviour(reader, writer)
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                if length < MEBIBYTE:
                    await reader.readexactly(length)
                await self.behaviour(reader, writer)
        writer.close()


@asynccontextmanager
async def receiving(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, *, reads: bool = True
) -> AsyncIterator[HostileReceiver]:
    """Such a receiver, for as long as the block lasts."""
    receiver = HostileReceiver(behaviour, reads=reads)
    await receiver.start(tls=tls)
    try:
        yield receiver
    finally:
        await receiver.stop()


def send(*parts: bytes) -> Behaviour:
    """Answer with these bytes, and go on listening."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return behave


def send_and_close(*parts: bytes) -> Behaviour:
    """Answer with these bytes, and close the connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(*parts)(reader, writer)
        raise ConnectionAbortedError

    return behave


def send_for_ever(start: bytes, part: bytes, pause_seconds: float = 0.0) -> Behaviour:
    """Answer with `start`, and then with `part` without an end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return behave


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do nothing more, ever."""
    await asyncio.Event().wait()


async def close_its_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End what it sends, and do nothing more."""
    writer.write_eof()
    await asyncio.Event().wait()


def reset_after(part: bytes) -> Behaviour:
    """Answer with these bytes, and reset the connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        await asyncio.sleep(0.05 if part else 0)  # else the reset overtakes it
        link: socket.socket = writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        raise ConnectionResetError

    return behave


async def attempted(
    exchange: Exchange, url: str, seconds: float = WAIT_SECONDS, body: bytes = b"{}"
) -> Outcome:
    """What an attempt came to; it must not last much longer than it may."""
    attempt = attempt_to(url, total_timeout_seconds=seconds, body=body)
    async with asyncio.timeout(2 * WAIT_SECONDS):
        try:
            return await exchange.answer(attempt)
        except TransportError as error:
            return error
