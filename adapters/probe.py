"""A test webhook: one attempt to one endpoint, at once, outside of every queue."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from livekit.protocol.webhook import WebhookEvent

from ..core.attempt import Attempt
from ..core.ids import spell
from ..core.retry import Verdict, classify
from ..core.signatures import SigningKey, build_standard_headers
from ..core.times import NS_PER_SECOND
from ..core.webhook import encode_body
from ..errors import TransportError
from ..messages.endpoints import Endpoint
from .exchange import Answer, Exchange
from .http import default_user_agent

TEST_EVENT: Final = "greenroom_test"


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What became of a test webhook.

    Args:
        endpoint: The endpoint's id.
        event_id: The test webhook's.
        is_delivered: Whether a webhook with this answer would count as delivered.
        status: The answer; None: there was none.
        error: Why there was no answer; empty: there was one.
        seconds: How long it took.
    """

    __test__ = False  # not one of pytest's

    endpoint: str
    event_id: str
    is_delivered: bool
    status: int | None
    error: str
    seconds: float


def send_test(
    endpoint: Endpoint, keys: tuple[SigningKey, ...], timeout_seconds: float | None = None
) -> TestOutcome:
    """Send a `greenroom_test` event now, whether or not the endpoint is enabled; waits for it.

    It is signed as every webhook is, and has no sequence: receivers miss nothing by it.

    Args:
        endpoint: Where to.
        keys: Sign it, the primary one first.
        timeout_seconds: For all of it; None: as the endpoint's policy says.

    Raises:
        UnsendableError: It cannot be signed.
    """
    now_s = time.time_ns() // NS_PER_SECOND
    event_id = "EV_" + spell(secrets.token_bytes(16))
    body = encode_body(WebhookEvent(event=TEST_EVENT, id=event_id, created_at=now_s))
    policy = endpoint.delivery_policy
    attempt = Attempt(
        delivery_id=0,
        number=1,
        url=endpoint.url,
        headers=build_standard_headers(body, event_id, keys, now_s),
        body=body,
        connect_timeout_seconds=policy.connect_timeout_seconds,
        total_timeout_seconds=timeout_seconds or policy.total_timeout_seconds,
        allow_private=endpoint.allow_private,
    )
    started_ns = time.monotonic_ns()
    status, error = None, ""
    try:
        status = _ask(attempt).status
    except TransportError as failure:
        error = str(failure)
    return TestOutcome(
        endpoint=endpoint.id,
        event_id=event_id,
        is_delivered=classify(policy, status, retryable=False) is Verdict.DELIVERED,
        status=status,
        error=error,
        seconds=(time.monotonic_ns() - started_ns) / NS_PER_SECOND,
    )


def _ask(attempt: Attempt) -> Answer:
    """On a thread of its own: the caller may run a loop, and a look-up that hangs ends late."""
    answered: Future[Answer] = Future()
    threading.Thread(
        target=_run, args=(attempt, answered), name="greenroom-test", daemon=True
    ).start()
    return answered.result()


def _run(attempt: Attempt, answered: Future[Answer]) -> None:
    try:
        asyncio.run(_answer(attempt, answered))
    except Exception as error:  # noqa: BLE001  # the top of a thread: whoever waits is told
        if not answered.done():
            answered.set_exception(error)


async def _answer(attempt: Attempt, answered: Future[Answer]) -> None:
    async with Exchange(default_user_agent()) as exchange:
        answered.set_result(await exchange.answer(attempt))
