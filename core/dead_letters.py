"""Which dead letters can be replayed: one table for every message, and what enters the door then.

Data is given once more to the actor that could not digest it. What only steers is refused: it was
about a moment that is over, and whoever said it says it again, or has no need to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from ..errors import DecodeError, NotReplayableError
from ..messages import checkpoint, control, deliveries, endpoints, handoff, outputs, stats
from ..messages.calls import CALLS, TrackStatsBatch
from ..messages.codec import decode
from ..messages.control import DeadLetter, Input
from ..messages.ids import Incarnation, WorkerKey

Enters: TypeAlias = Callable[[DeadLetter, Any], Input]  # Any: the message of the table's row
Refusal: TypeAlias = str  # why it is not replayed, and what to do instead


def input_of(letter: DeadLetter) -> Input:
    """What enters the door for the supervisor when this letter is replayed.

    Raises:
        NotReplayableError: It cannot be; the text says why and what to do instead.
    """
    if not letter.body:
        raise _refused(letter, "it was kept without its content; if it was a call, make it again")
    try:
        message = decode(letter.body)
    except DecodeError as error:
        raise _refused(letter, f"it cannot be decoded: {error}; make the call again") from error
    rule = REPLAYS[type(message)]
    if isinstance(rule, str):
        raise _refused(letter, rule)
    return rule(letter, message)


def _refused(letter: DeadLetter, why: Refusal) -> NotReplayableError:
    return NotReplayableError(f"this {letter.message} cannot be replayed: {why}")


def _itself(_: DeadLetter, message: Input) -> Input:
    return message


def _to_its_worker(letter: DeadLetter, sample: stats.TrackStat) -> Input:
    try:
        key = WorkerKey.from_text(letter.key)
    except ValueError:
        raise _refused(letter, "it does not say whose sample it is; call track_stats()") from None
    return stats.SampleReplayed(key, Incarnation(letter.incarnation), sample)


NEXT_FLUSH: Final = "the next flush hands over all that is held; call flush_stats() to have it now"
ATTEMPT_OVER: Final = (
    "its attempt is over and its number means another one now; if the receiver did not get the "
    "webhook, make the call again"
)
STORED: Final = "what is in the store is sent in any case; if it is not, restart greenroom"
CHANGE_AGAIN: Final = "the endpoint may have changed since; make the change again"
RESTARTED: Final = "the actor was restarted or given up long ago; there is nothing to do"
ROOMS_MOVED: Final = (
    "the rooms live elsewhere since; call participant_resumed() for who is missing"
)
PART: Final = "it is never told to an actor by itself; make the call again"

REPLAYS: Final[Mapping[type, Enters | Refusal]] = {
    **dict.fromkeys(CALLS, _itself),
    TrackStatsBatch: _itself,
    stats.TrackStat: _to_its_worker,
    stats.SampleReplayed: _itself,
    outputs.RecordStats: _itself,
    outputs.RecordEvent: _itself,
    outputs.RecordNodeRooms: _itself,
    outputs.Notify: _itself,
    stats.Flush: NEXT_FLUSH,
    stats.FlushTick: NEXT_FLUSH,
    stats.FlushSlice: NEXT_FLUSH,
    stats.SaveSlice: "the next flush saves what this one did not; there is nothing to do",
    stats.TickTaken: NEXT_FLUSH,
    stats.Close: "the worker still hands over at every flush, so nothing is lost; let it be",
    stats.Retire: "the worker has retired when it was restarted; there is nothing to do",
    stats.WorkerClosed: "the worker says so again at its next flush; there is nothing to do",
    stats.SampleSkipped: "it only counts a sample that is not valid; there is nothing to do",
    outputs.AttemptEnded: ATTEMPT_OVER,
    outputs.RetryDue: ATTEMPT_OVER,
    outputs.LaneDue: "the endpoint is looked at again with its next event; there is nothing to do",
    **dict.fromkeys(
        (deliveries.Kept, deliveries.NotKept, deliveries.Loaded, deliveries.KeysLoaded), STORED
    ),
    **dict.fromkeys((deliveries.Buried, deliveries.Requeued), STORED),
    endpoints.EndpointChanged: CHANGE_AGAIN,
    endpoints.EndpointRemoved: CHANGE_AGAIN,
    endpoints.StopSending: "its process has ended since; there is nothing to do",
    **dict.fromkeys(
        (deliveries.KeptDelivery, deliveries.StoredDelivery, deliveries.EndedDelivery), PART
    ),
    outputs.SweepDue: "the notifier has planned its next sweep; there is nothing to do",
    control.ChildFailed: "it reports another actor's failure; `show` has that letter inside",
    control.Restart: RESTARTED,
    control.RestartDue: RESTARTED,
    control.Drain: "it said that its process ends; there is nothing to do",
    control.AskWorkers: "whoever asked waits no longer; ask again",
    control.Workers: "whoever asked waits no longer; ask again",
    control.WorkerStatus: PART,
    control.Started: "its process has ended since; there is nothing to do",
    control.Stamped: PART,
    checkpoint.WorkerRecord: PART,
    checkpoint.Checkpoint: PART,
    control.DeadLetter: PART,
    stats.WorkerSpec: PART,
    handoff.WorkerFacts: PART,
    **dict.fromkeys((handoff.ReleaseRooms, handoff.AskReleased, handoff.Released), ROOMS_MOVED),
    handoff.AdoptWorkers: ROOMS_MOVED,
}
