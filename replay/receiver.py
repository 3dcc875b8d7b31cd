"""A webhook receiver on this machine: verifies what arrives and keeps a short record of it."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Final, TypeAlias

import jwt
from aiohttp import web
from google.protobuf.json_format import Parse, ParseError
from jwt.types import Options
from livekit.protocol.webhook import WebhookEvent

from ..core.ports import Clock
from ..core.times import NS_PER_SECOND
from ..errors import ConfigError

HOST: Final = "127.0.0.1"
PATH: Final = "/webhook"
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
LEEWAY_SECONDS: Final = 60  # as livekit-api's TokenVerifier
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
        clock: Tokens must be valid at its time: a recorded call's tokens carry the call's own.
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
        self._keys = dict(keys)
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
        event, problem = self._judged(body, request.headers.get("Authorization", ""))
        received = Received(self._count, self._clock.now_ns(), request.path, event, problem, body)
        self._on_received(received)
        return web.Response(status=self._answer(received), text=problem)

    def _judged(self, body: bytes, token: str) -> tuple[WebhookEvent, str]:
        try:
            event = Parse(body, WebhookEvent())
        except (ParseError, UnicodeDecodeError) as error:
            return WebhookEvent(), f"not a webhook event: {error}"
        return event, self._token_problem(body, token)

    def _token_problem(self, body: bytes, token: str) -> str:
        """As livekit-api's WebhookReceiver, but at the clock's time."""
        if not token:
            return "no Authorization header"
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
            secret = self._keys[unverified["iss"]]
            claims = jwt.decode(token, secret, algorithms=["HS256"], options=TIME_UNCHECKED)
            valid_from, valid_to = int(claims["nbf"]), int(claims["exp"])
            digest = str(claims["sha256"])
        except jwt.PyJWTError as error:
            return f"bad token: {error}"
        except (KeyError, TypeError, ValueError) as error:
            return f"bad token: missing, unknown or malformed {error}"
        now = self._clock.now_ns() / NS_PER_SECOND
        if not valid_from - LEEWAY_SECONDS <= now <= valid_to + LEEWAY_SECONDS:
            return "the token is not valid at this time"
        if not compare_digest(digest.encode(), b64encode(sha256(body).digest())):
            return "the token was made for another body"
        return ""


# the times are checked against the receiver's own clock
TIME_UNCHECKED: Final[Options] = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
