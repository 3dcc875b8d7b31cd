"""A webhook receiver on this machine that answers as it is told, in virtual time.

Its answers come some virtual time after the request, so that durations are not all 0. It may move
the clock, because virtual time stands still while an attempt is in flight.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Final, Self, TypeAlias

from aiohttp import web

from ..runtime.clock import VirtualClock
from ..runtime.schedule import SeededSchedule

HOST: Final = "127.0.0.1"
ANSWER_NS: Final = 1_000_000  # of virtual time
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived: `headers` as sent, times in virtual ns."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    arrived_ns: int

    def header(self, name: str) -> str:
        """Its one value; empty when there is none.

        Raises:
            ValueError: It was sent more than once.
        """
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        (value,) = values or [""]
        return value


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Behaviour(Enum):
    """What a receiver does instead of answering at once."""

    CLOSE = "close the connection"
    HOLD = "answer with 200 when released"


Answer: TypeAlias = Status | Behaviour
# the request, and how many had come before it
Script: TypeAlias = Callable[[Request, int], Answer]
Schedules: TypeAlias = Callable[[], SeededSchedule | None]


def in_turn(*answers: Answer) -> Script:
    """Each request gets the next of these answers; the last one repeats."""
    return lambda request, earlier: answers[min(earlier, len(answers) - 1)]


class Receiver:
    """The server, on a thread of its own; one vector at a time uses it, between `begin` and `end`.

    Args:
        schedules: Makes the order of delivery for each notifier that posts here; None: the usual.

    Attributes:
        port: Where it listens.
        refusing_port: Its own too, but there it does not.
    """

    def __init__(self, schedules: Schedules = lambda: None) -> None:
        self.schedules = schedules
        self._refusing = socket.socket()
        self._refusing.bind((HOST, 0))
        self.refusing_port: int = self._refusing.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._changed = threading.Condition()  # guards the list of requests
        self._requests: list[Request] = []
        self._clock = VirtualClock()
        self._script: Script = in_turn(Status())
        self._gate = asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="greenroom-conformance", daemon=True
        )
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._serve(), self._loop)
        self._runner, self.port = started.result(START_SECONDS)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.end()
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._refusing.close()

    def begin(self, clock: VirtualClock, script: Script) -> None:
        """Forget what was before."""
        with self._changed:
            self._requests = []
        self._clock, self._script, self._gate = clock, script, asyncio.Event()

    def release(self) -> None:
        """Answer all that are held, and hold none from now on."""
        self._loop.call_soon_threadsafe(self._gate.set)

    end = release

    @property
    def requests(self) -> list[Request]:
        """Those that have arrived, in order."""
        with self._changed:
            return self._requests.copy()

    def wait_for(self, count: int, timeout_seconds: float) -> bool:
        """Whether that many requests arrived within this (real) time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._requests) >= count, timeout_seconds)

    async def _serve(self) -> tuple[web.ServerRunner, int]:
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        return runner, runner.addresses[0][1]

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        body = await incoming.read()
        gate, clock = self._gate, self._clock
        headers = tuple((name.decode(), text.decode()) for name, text in incoming.raw_headers)
        request = Request(incoming.method, incoming.raw_path, headers, body, clock.now_ns())
        with self._changed:
            earlier = len(self._requests)
            self._requests.append(request)
            self._changed.notify_all()
        answer = self._script(request, earlier)
        if answer is Behaviour.HOLD:
            await gate.wait()
        if gate is self._gate:  # else the vector that wanted it is over
            clock.set_ns(clock.now_ns() + ANSWER_NS)
        if answer is Behaviour.CLOSE and incoming.transport is not None:
            incoming.transport.abort()
        status = answer if isinstance(answer, Status) else Status()
        return web.Response(status=status.status, headers=dict(status.headers))
