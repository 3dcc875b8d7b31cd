"""Around the actors: stamps, questions and their answers, failures."""

from __future__ import annotations

from typing import TypeAlias

from ._message import message
from .calls import Call, TrackStatsBatch
from .handoff import AdoptWorkers, ReleaseRooms
from .ids import Incarnation, WorkerKey
from .outputs import NotifierInput, Notify, RecorderCommand
from .stats import FlushTick, SampleReplayed


@message
class RestartDue:
    """An actor that stands still is to be restarted, now or after its back-off."""

    actor: str
    incarnation: int  # 0: the only one of its kind
    has_waited: bool


@message
class Started:
    """A life of the shard began, with a journal: what was before it was another process."""

    life: int  # when it began (Unix ns): no two lives have the same


# what a dead letter enters the door as, unless it was a call
Replayed: TypeAlias = SampleReplayed | RecorderCommand | Notify
Shared: TypeAlias = TrackStatsBatch | ReleaseRooms | AdoptWorkers  # of other processes
Input: TypeAlias = Call | Shared | FlushTick | NotifierInput | RestartDue | Replayed | Started


@message
class Stamped:
    """An input that has passed the door: which one it is (1, 2, 3 …) and when it came (Unix ns).

    Everything an actor does about time, ids or chance derives from this stamp, so that the same
    stamped inputs give the same outputs again.
    """

    position: int
    at_ns: int
    body: Input


@message
class AskWorkers:
    """Which workers are current? Answered with `Workers`."""


@message
class WorkerStatus:
    """One current worker, as its supervisor sees it."""

    key: WorkerKey
    incarnation: Incarnation
    connected: bool
    closed: bool


@message
class Workers:
    """Every current worker, ordered by key; `retained` counts those and the closed ones kept."""

    current: tuple[WorkerStatus, ...]
    retained: int


@message
class DeadLetter:
    """An input that an actor could not digest: kept for people to look at, and to replay.

    `body` is the input's wire form (`messages.codec`), empty if it has none. `key` says whose it
    was (`WorkerKey.text` for a StatsWorker), empty if the actor is the only one of its kind.
    """

    actor: str
    key: str
    message: str  # the type's name: a body may hold personal data
    position: int  # 0: it did not come through the door
    at_ns: int  # of that input (Unix ns)
    error: str
    traceback: str
    body: bytes
    incarnation: int = 0  # of a StatsWorker; 0: it is none


@message
class ChildFailed:
    """An actor could not digest a message, and stands still until it is told `Restart`.

    The message is poison: it is not handled again. With `stands_still` False the actor goes on:
    there was no handler for it.
    """

    letter: DeadLetter
    stands_still: bool


@message
class Restart:
    """Go on, with the state you have and what waits for you."""


@message
class Drain:
    """The end is near: whoever stands still is restarted now, and nobody waits any more."""
