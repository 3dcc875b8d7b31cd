"""A webhook on its way to one URL, and what an outbox decides about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from livekit.protocol.webhook import WebhookEvent

from .webhook import Target

QUEUE_FULL: Final = "queue is full"
TOO_OLD: Final = "age"


class Outcome(StrEnum):
    """How a delivery ended; the values are the `status` label of LiveKit's metric."""

    SUCCESS = "success"
    FAILURE = "failure"
    DROP = "drop"


class QueueKey(NamedTuple):
    """What is delivered one after the other."""

    url: str
    event_key: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one URL.

    Args:
        id: 1, 2, 3 … in its outbox.
        target: Where to, and how it is signed.
        event: For the record of its fate; never modified.
        body: The bytes of every attempt.
        queued_at_ns: When it was offered (Unix ns).
    """

    id: int
    target: Target
    event: WebhookEvent = field(repr=False)
    body: bytes = field(repr=False)
    queued_at_ns: int


@dataclass(frozen=True, slots=True)
class Queued:
    """Its queue took the event; `length` counts it and those that wait, not the head before it."""

    length: int


@dataclass(frozen=True, slots=True)
class Send:
    """Make this attempt now."""

    delivery: Delivery
    attempt: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Report `RetryDue(delivery_id, attempt)` after so many seconds."""

    delivery_id: int
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The delivery is over.

    Args:
        delivery: Which one.
        outcome: How it ended.
        reason: Of a drop, from a fixed set; otherwise empty.
        send_error: Of a failure; otherwise empty.
        started_at_ns: When its first attempt was decided (Unix ns); None: there was none.
        ended_at_ns: Now (Unix ns).
    """

    delivery: Delivery
    outcome: Outcome
    reason: str
    send_error: str
    started_at_ns: int | None
    ended_at_ns: int


Decision: TypeAlias = Queued | Send | Wait | Done
