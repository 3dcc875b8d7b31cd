"""A webhook receiver on this machine: verifies what arrives and keeps a short record of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web
from google.protobuf.json_format import Parse, ParseError
from livekit.protocol.webhook import WebhookEvent

from ..core.ports import Clock
from ..core.signatures import SigningKey
from ..core.times import NS_PER_SECOND
from ..errors import ConfigError, SignatureError
from ..receiver.receiver import BODY_BYTES_MAX, TOLERANCE_SECONDS
from ..receiver.verification import verify

HOST: Final = "127.0.0.1"
PATH: Final = "/webhook"
START_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request.

    Args:
        number: 1, 2, 3 … in the order of arrival.
        at_ns: When it arrived (Unix ns of the receiver's clock).
        path: Of the request.
        event: What it says; empty when it was not understood.
        problem: Why it was refused; empty when everything is right.
        body: The exact bytes.
    """

    number: int
    at_ns: int
    path: str
    event: WebhookEvent
    problem: str
    body: bytes


Answer: TypeAlias = Callable[[Received], int]


def accept(received: Received) -> int:
    """HTTP status for a request: 200, or 401 when it is not signed as it should be."""
    return 401 if received.problem else 200


class Receiver:
    """Listens on a free port of 127.0.0.1, on a thread of its own, until `close()`.

    Args:
        keys: API key -> secret, of all who may sign.
        clock: Signatures must be valid at its time: a recorded call's carry the call's own.
        on_received: Told every request, on the receiver's thread, before it is answered.
        answer: Decides the HTTP status.

    Raises:
        ConfigError: No port can be listened on.
    """

    def __init__(
        self,
        keys: dict[str, str],
        clock: Clock,
        *,
        on_received: Callable[[Received], None],
        answer: Answer = accept,
    ) -> None:
        self._keys = [SigningKey(*pair) for pair in keys.items()]
        self._clock = clock
        self._on_received = on_received
        self._answer = answer
        self._count = 0
        self._port = 0
        self._failure: OSError | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="greenroom-receiver", daemon=True
        )
        self._thread.start()
        if not started.wait(START_SECONDS) or self._failure is not None:
            raise ConfigError(f"receiver: cannot listen on {HOST}: {self._failure}")

    @property
    def url(self) -> str:
        """Where webhooks can be sent."""
        return f"http://{HOST}:{self._port}{PATH}"

    def close(self) -> None:
        """Stop listening; a second call does nothing more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self, started: threading.Event) -> None:
        try:
            self._loop.run_until_complete(self._serve(started))
        except OSError as error:
            self._failure = error
        finally:
            self._loop.close()
            started.set()

    async def _serve(self, started: threading.Event) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/{path:.*}", self._on_post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            self._port = runner.addresses[0][1]
            started.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    async def _on_post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._count += 1
        event, problem = self._judged(body, request.headers)
        received = Received(self._count, self._clock.now_ns(), request.path, event, problem, body)
        self._on_received(received)
        return web.Response(status=self._answer(received), text=problem)

    def _judged(self, body: bytes, headers: Mapping[str, str]) -> tuple[WebhookEvent, str]:
        try:
            event = Parse(body, WebhookEvent())
        except (ParseError, UnicodeDecodeError) as error:
            return WebhookEvent(), f"not a webhook event: {error}"
        now_s = self._clock.now_ns() / NS_PER_SECOND
        try:
            verify(headers, body, self._keys, now_s=now_s, tolerance_seconds=TOLERANCE_SECONDS)
        except SignatureError as error:
            return event, str(error)
        return event, ""
