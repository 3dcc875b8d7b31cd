"""What the store keeps of a webhook on its way to one endpoint, and what it answers."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from ._message import message


class DeliveryState(StrEnum):
    """What became of a stored delivery."""

    PENDING = "pending"
    REPLAY = "replay"  # somebody outside asked for it; counts as pending
    DELIVERED = "delivered"
    DEAD = "dead"  # given up, or dropped


@message
class KeptDelivery:
    """One webhook on its way to one endpoint, as the store is asked to keep it.

    `key` is the event key, and `room` the room's name; `body` is sent in every attempt.
    """

    id: int
    endpoint: str
    key: str
    event_id: str
    event: str
    room: str
    body: bytes
    queued_at_ns: int


@message
class StoredDelivery(KeptDelivery):
    """A kept delivery as the store gives it back.

    `sequence` counts the deliveries of its (endpoint, key): 1, 2, 3 … without a gap. `attempts`
    were made so far; the next is due at `next_at_ns` (Unix ns; 0: at once). `started_at_ns` is
    when the first one was decided (0: there was none).
    """

    sequence: int
    attempts: int
    next_at_ns: int
    started_at_ns: int


@message
class EndedDelivery:
    """A delivery is over: `state` is `DELIVERED` or `DEAD`.

    `status` is the last answer's (None: there was none), `error` says why it is dead, and
    `started_at_ns` is when its first attempt was decided (0: there was none).
    """

    id: int
    state: DeliveryState
    attempts: int
    status: int | None
    error: str
    started_at_ns: int
    ended_at_ns: int


class Numbered(NamedTuple):
    """The sequence that a delivery was given."""

    id: int
    sequence: int


class KeyCount(NamedTuple):
    """How many deliveries of a queue are pending."""

    key: str
    pending: int


@message
class Kept:
    """These deliveries are on the disk, in the order of the calls."""

    rows: tuple[Numbered, ...]


@message
class NotKept:
    """These deliveries are not in the store, and never will be: they were counted as dropped."""

    rows: tuple[KeptDelivery, ...]
    reason: str  # from a fixed set, as in `greenroom_dropped_total`


@message
class Loaded:
    """The next pending deliveries of a queue, by sequence; fewer than asked for: that was all."""

    endpoint: str
    key: str
    rows: tuple[StoredDelivery, ...]


@message
class KeysLoaded:
    """The next queues of an endpoint with pending deliveries, by key; fewer than `limit`: all."""

    endpoint: str
    rows: tuple[KeyCount, ...]
    limit: int


@message
class Requeued:
    """Somebody outside asked for these to be sent, by (endpoint, key, sequence): now pending.

    Those that were pending before come too, and are due at once.
    """

    rows: tuple[StoredDelivery, ...]


@message
class Buried:
    """So many pending deliveries of this endpoint are dead now, because it was removed."""

    endpoint: str
    count: int


StoreAnswer: TypeAlias = Kept | NotKept | Loaded | KeysLoaded | Buried | Requeued
