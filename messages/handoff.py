"""Rooms that move from one shard to another: what there is to know about their workers."""

from __future__ import annotations

from ._message import message
from .ids import GuardID, RoomName, WorkerKey


@message
class WorkerFacts:
    """A current worker as its supervisor knows it; what it collected was handed over before.

    `guards` are those that are activated and not released.
    """

    key: WorkerKey
    room_name: RoomName
    connected: bool
    closed: bool
    guards: tuple[GuardID, ...]


@message
class ReleaseRooms:
    """Give up the workers of rooms that live elsewhere, now that these are the shards."""

    shards: tuple[str, ...]
    here: str  # the name of this one


@message
class AskReleased:
    """Which workers were given up since the last time? Answered with `Released`."""


@message
class Released:
    """Workers for others, to be told of by `AdoptWorkers`."""

    workers: tuple[WorkerFacts, ...]


@message
class AdoptWorkers:
    """Go on with workers that another shard has given up."""

    workers: tuple[WorkerFacts, ...]
