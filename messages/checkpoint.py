"""What a shard's state is after a flush: with the inputs after it, all that a restart needs."""

from __future__ import annotations

from ._message import message
from .ids import GuardID, Incarnation, RoomName, WorkerKey


@message
class WorkerRecord:
    """A worker that is kept, as its supervisor knows it; what it collected was handed over."""

    key: WorkerKey
    incarnation: Incarnation
    room_name: RoomName
    connected: bool
    is_current: bool  # samples and calls of its participant are for it
    closed: bool
    closed_at_ns: int  # Unix ns
    count: int  # of guards that hold it open
    guards: tuple[GuardID, ...]
    released: tuple[GuardID, ...]  # those of them that are


@message
class Checkpoint:
    """The state after the flush at `position`: what changed since the one before.

    `metrics` are those of then, as `core.metrics_state` packs them.
    """

    position: int
    at_ns: int  # of that input (Unix ns)
    flush: int  # its number
    last_incarnation: int
    next_delivery: int  # the id of the first webhook delivery after it
    metrics: bytes
    changed: tuple[WorkerRecord, ...]
    gone: tuple[Incarnation, ...]  # workers that are retired
