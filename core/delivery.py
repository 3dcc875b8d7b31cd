"""Deliveries, and what an outbox decides about them: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from livekit.protocol.webhook import WebhookEvent

QUEUE_FULL: Final = "queue is full"
TOO_OLD: Final = "age"
NOT_KEPT: Final = "not kept"
REMOVED: Final = "endpoint removed"
EXHAUSTED: Final = "exhausted"  # all attempts failed, or it became too old for more
REJECTED: Final = "rejected"  # an answer ended it
UNSENDABLE: Final = "unsendable"  # no attempt can help: a certificate, a private address, no key


class Outcome(StrEnum):
    """How a delivery ended; the values are the `status` label of LiveKit's metric."""

    SUCCESS = "success"
    FAILURE = "failure"
    DROP = "drop"


@dataclass(slots=True)
class Delivery:
    """One event on its way to one endpoint.

    Args:
        id: Its number in its outbox: 1, 2, 3 …, going on where the store ends.
        endpoint_id: Where to; who signs is looked up when it is sent.
        key: What is delivered one after the other: a room's name or another resource's id.
        event: For the record of its fate; never modified.
        body: The bytes of every attempt.
        queued_at_ns: When it was offered, or asked for again (Unix ns).
        sequence: 1, 2, 3 … of its endpoint and key; 0 until it is kept.
        attempts: Made so far, as of when it was loaded.
        next_at_ns: Not to be tried before (Unix ns), as of when it was loaded.
        started_at_ns: When its first attempt was decided (Unix ns); None: there was none.
    """

    id: int
    endpoint_id: str
    key: str
    event: WebhookEvent = field(repr=False)
    body: bytes = field(repr=False)
    queued_at_ns: int
    sequence: int = 0
    attempts: int = 0
    next_at_ns: int = 0
    started_at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """Its queue took the event; `length` counts it and those that wait, not the head before it."""

    length: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Write it into the store, then say so with `Outbox.kept`."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Load:
    """Read the first pending deliveries of this queue whose sequence is greater than `after`."""

    endpoint_id: str
    key: str
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class LoadKeys:
    """Read which other keys of this endpoint have pending deliveries: up to `limit` of them."""

    endpoint_id: str
    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class Bury:
    """Have the pending deliveries of this endpoint dead, which was removed.

    Args:
        last_id: Later ones are of an endpoint that came back with the same id.
        spared: These are in flight, and may end as they will.
    """

    endpoint_id: str
    last_id: int
    spared: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Make this attempt now."""

    delivery: Delivery
    attempt: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Report `RetryDue(delivery_id, attempt)` after so many seconds.

    Args:
        status: Of the attempt that failed; None: it had no answer, or none failed just now.
        error: Why it failed; None: none failed just now, there is nothing to write down.
        started_at_ns: When the first attempt was decided (Unix ns).
    """

    delivery_id: int
    attempt: int
    seconds: float
    status: int | None = None
    error: str | None = None
    started_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class WakeLane:
    """Report `LaneDue(endpoint_id, number)` after so many seconds."""

    endpoint_id: str
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Disable:
    """The endpoint does not want any more; it is disabled already."""

    endpoint_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The delivery is over.

    Args:
        delivery: Which one.
        outcome: How it ended.
        reason: Of a drop, from a fixed set; otherwise empty.
        send_error: Of a failure; otherwise empty.
        attempts: How many were made.
        status: The last answer's, if there was one.
        ended_at_ns: Now (Unix ns).
        cause: Of a failure: `EXHAUSTED`, `REJECTED` or `UNSENDABLE`; otherwise empty.
    """

    delivery: Delivery
    outcome: Outcome
    reason: str
    send_error: str
    attempts: int
    status: int | None
    ended_at_ns: int
    cause: str = ""


Decision: TypeAlias = (
    Queued | Keep | Load | LoadKeys | Bury | Send | Wait | WakeLane | Disable | Done
)
