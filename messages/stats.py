"""Between the supervisor, its StatsWorkers and the timer."""

from __future__ import annotations

from typing import TypeAlias

from ._message import message
from .ids import Incarnation, RoomName, TrackID, WorkerKey
from .sample import Sample


@message
class WorkerSpec:
    """What a StatsWorker is told at birth; an incarnation is one life under a key."""

    key: WorkerKey
    incarnation: Incarnation
    room_name: RoomName


@message
class TrackStat:
    """One sample of one track, for the worker to keep until the flush."""

    track_id: TrackID
    stream_type: int  # number of livekit.StreamType
    sample: Sample


@message
class SampleReplayed:
    """A sample that its worker could not digest is to be given to it once more.

    It enters the door for the supervisor, and is not counted again as a call.
    """

    key: WorkerKey
    incarnation: Incarnation  # if this one is gone, the sample is for the current one
    sample: TrackStat


@message
class Close:
    """The last guard was released at this time (Unix ns): the worker ends when idle for long."""

    at_ns: int


@message
class Flush:
    """Hand over what was collected before this tick (time in Unix ns)."""

    number: int
    at_ns: int


@message
class Retire:
    """Hand over the rest and exit."""

    at_ns: int


@message
class SampleSkipped:
    """A worker was given a sample that is not valid, and left it out."""


@message
class WorkerClosed:
    """A worker was closed for longer than the wait: it may be retired."""

    incarnation: Incarnation
    at_ns: int  # of the tick that found it


@message
class FlushTick:
    """The timer's tick, 1, 2, 3 …: every worker is to flush what came before it.

    It enters the door for the supervisor itself: so its place among the calls is exact.
    """

    number: int  # a repeated wake-up is told from the next by it


@message
class TickTaken:
    """The supervisor has begun the flush of this tick, which had this stamp (Unix ns)."""

    number: int
    at_ns: int


@message
class SaveSlice:
    """The supervisor's turn to record the next workers of a checkpoint."""


@message
class FlushSlice:
    """The supervisor's turn to tell the next workers of a flush, between two inputs."""


WorkerCommand: TypeAlias = TrackStat | Close | Flush | Retire
