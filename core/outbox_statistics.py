"""OutboxStatistics: what an outbox holds, counted up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .delivery import Outcome
from .lane import Lane, State


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """What an outbox holds, and what it has done since it was made.

    `held` = `waiting` + `in_flight` + `backing_off` + `blocked`, and, of these, `stored` are in
    the store only. Without a store `offered` = `held` + all that ended.
    """

    endpoints: int
    queues: int
    held: int
    waiting: int
    in_flight: int
    backing_off: int
    blocked: int
    stored: int
    offered: int
    succeeded: int
    failed: int
    dropped_full: int
    dropped_age: int
    stale: int


def count_up(
    lanes: Iterable[Lane],
    *,
    unopened: int,
    ended: Mapping[Outcome, int],
    offered: int,
    dropped_full: int,
    stale: int,
) -> OutboxStatistics:
    """Add up what the lanes hold; `unopened` are in the store, of endpoints without a lane."""
    all_lanes = list(lanes)
    queues = [queue for lane in all_lanes for queue in lane.queues.values()]
    states = Counter(queue.state for queue in queues)
    cold = sum(lane.cold.count for lane in all_lanes) + unopened
    waiting = sum(queue.length for queue in queues) + cold
    return OutboxStatistics(
        endpoints=len(all_lanes),
        queues=len(queues),
        held=waiting + len(queues) - states[State.IDLE],
        waiting=waiting,
        in_flight=states[State.IN_FLIGHT],
        backing_off=states[State.BACKING_OFF],
        blocked=states[State.BLOCKED],
        stored=sum(queue.tail for queue in queues) + cold,
        offered=offered,
        succeeded=ended[Outcome.SUCCESS],
        failed=ended[Outcome.FAILURE],
        dropped_full=dropped_full,
        dropped_age=ended[Outcome.DROP],
        stale=stale,
    )
