"""Real servers on the loopback interface, for tests of what makes HTTP requests.

Each test brings its own: a `LoopThread`, then servers on it, and closes them in reverse order.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from ..core.attempt import Attempt
from ..core.ports import Poster
from ..core.webhook import build_headers
from ..messages.control import Input
from ..messages.outputs import AttemptEnded

WAIT_SECONDS: Final = 10.0  # the limit for what should happen at once
BODY: Final = b'{"event":"room_started"}'
NOTIFIER: Final = object()  # stands for the address that attempts report to

R = TypeVar("R")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def attempt_to(
    url: str,
    delivery_id: int = 1,
    number: int = 1,
    *,
    body: bytes = BODY,
    token: str = "a-token",
    total_timeout_seconds: float = WAIT_SECONDS,
    allow_private: bool = True,
) -> Attempt:
    """An attempt that may take `WAIT_SECONDS`, and go to this machine, unless told otherwise."""
    return Attempt(
        delivery_id=delivery_id,
        number=number,
        url=url,
        headers=build_headers(token),
        body=body,
        connect_timeout_seconds=WAIT_SECONDS,
        total_timeout_seconds=total_timeout_seconds,
        allow_private=allow_private,
    )


def unused_port() -> int:
    """A port of 127.0.0.1 where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class WaitingDoor:
    """A `Door` whose visitors can be waited for.

    Args:
        refusals: How many are turned away first.

    Attributes:
        log: "enter" for each visitor; a test may add what else happens.
    """

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.log: list[str] = []
        self._entered: queue.SimpleQueue[tuple[object, Input]] = queue.SimpleQueue()

    def enter(self, target: object, body: Input) -> bool:
        """Let it in, or turn it away."""
        self.log.append("enter")
        if self.refusals:
            self.refusals -= 1
            return False
        self._entered.put((target, body))
        return True

    def next(self) -> AttemptEnded:
        """The next outcome for `NOTIFIER`, waited for.

        Raises:
            queue.Empty: None came within `WAIT_SECONDS`.
            AssertionError: Something else came.
        """
        target, body = self._entered.get(timeout=WAIT_SECONDS)
        assert target is NOTIFIER
        assert isinstance(body, AttemptEnded)
        return body

    def outcome(self, poster: Poster, attempt: Attempt) -> AttemptEnded:
        """Post the attempt, and wait for the next outcome."""
        poster.post(attempt, NOTIFIER)
        return self.next()

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits inside."""
        return self._entered.empty()


class LoopThread:
    """An asyncio loop on a thread of its own, for servers."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Awaitable[R]) -> R:
        """Have it done there, and wait for it."""

        async def awaited() -> R:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(WAIT_SECONDS)

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn


def respond(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Handler:
    """A handler that always answers the same."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return handler


@dataclass(frozen=True)
class Received:
    """One request, as it came in."""

    request: web.Request
    body: bytes


class HttpReceiver:
    """An HTTP server that records what it is sent and answers as `handler` says.

    Args:
        thread: Where it runs.
        tls: Serve https with this.

    Attributes:
        handler: May be changed at any time.
        received: Every request, in order.
        peers: Address and port of every connection that brought a request.
    """

    def __init__(self, thread: LoopThread, tls: ssl.SSLContext | None = None) -> None:
        self.handler: Handler = respond(200)
        self.received: list[Received] = []
        self.peers: set[tuple[str, int]] = set()
        self.released = asyncio.Event()
        self._thread = thread
        self._scheme = "https" if tls else "http"
        self._arrived = threading.Semaphore(0)
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        thread.run(self._start(tls))

    def url(self, path: str = "/hook", *, credentials: str = "", scheme: str = "") -> str:
        """A URL of it; `credentials` with its "@"."""
        return f"{scheme or self._scheme}://{credentials}127.0.0.1:{self.port}{path}"

    async def hang(self, request: web.Request) -> web.StreamResponse:
        """A handler that answers only after `release`."""
        await self.released.wait()
        return web.Response()

    def release(self) -> None:
        """Let every handler that hangs go on."""
        self._thread.loop.call_soon_threadsafe(self.released.set)

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many more have come.

        Raises:
            AssertionError: They did not within `WAIT_SECONDS`.
        """
        for _ in range(count):
            assert self._arrived.acquire(timeout=WAIT_SECONDS)

    def close(self) -> None:
        """Release what hangs, and stop."""
        self.release()
        self._thread.run(self._runner.cleanup())

    async def _start(self, tls: ssl.SSLContext | None) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.port: int = self._runner.addresses[0][1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.received.append(Received(request, await request.read()))
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        self._arrived.release()
        return await self.handler(request)


class RawServer:
    """A TCP server that answers the n-th request of all with `answers[n]`, None: by closing.

    Attributes:
        heads: Request line and headers of every request.
        connections: How many were made.
    """

    def __init__(self, thread: LoopThread, *answers: bytes | None) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self._answers = list(answers)
        self._thread = thread
        self._server = thread.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        """Accept no more; the thread's end closes the connections."""
        self._thread.loop.call_soon_threadsafe(self._server.close)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            answer: bytes | None = b""
            while answer is not None:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                await reader.readexactly(len(BODY) if head.startswith("POST") else 0)
                answer = self._answers.pop(0)
                writer.write(answer or b"")
        except asyncio.IncompleteReadError:
            return  # the client has closed the connection
        finally:
            writer.close()
