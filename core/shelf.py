"""Shelf: the part of an outbox that keeps deliveries in a store, and gets them back.

An event is written (Keep) before anything else happens to it. Of each queue a *window* is in
memory; what comes after it, its *tail*, is only counted, and loaded when the window runs out
(Load). Of each endpoint so many queues are in memory; other keys are *cold* (`cold_keys`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from .delivery import NOT_KEPT, Decision, Delivery, Done, Keep, LoadKeys, Outcome, Queued
from .lane import Lane, Limits, Queue, State
from .turns import Turns


class Shelf:
    """Of one outbox; moves its queues on with the same `Turns`."""

    def __init__(self, turns: Turns, limits: Limits) -> None:
        self._turns = turns
        self._limits = limits
        self._unkept: dict[int, tuple[Queue, Delivery]] = {}  # in memory, and being written

    def offer(self, lane: Lane, delivery: Delivery) -> list[Decision]:
        """Write it, whether it stays in memory or not."""
        if delivery.key not in lane.queues and not self._has_room(lane):
            lane.cold.add(delivery.key)
            return [Keep(delivery), *self.warm(lane)]
        queue = lane.queue_of(delivery.key)
        queue.used_at_ns = delivery.queued_at_ns
        if queue.tail or len(queue.waiting) + queue.unkept >= lane.window(self._limits):
            queue.add_to_tail()
        else:
            queue.unkept += 1
            self._unkept[delivery.id] = queue, delivery
        return [Queued(queue.length), Keep(delivery)]

    def kept(self, rows: Iterable[tuple[int, int]], now_ns: int) -> list[Decision]:
        """See `Outbox.kept`."""
        decisions: list[Decision] = []
        for delivery_id, sequence in rows:
            if (found := self._unkept.pop(delivery_id, None)) is None:
                continue  # of a tail, or of a cold key
            queue, delivery = found
            queue.unkept -= 1
            queue.newest = delivery.sequence = sequence
            queue.waiting.append(delivery)
            decisions += self._turns.next(queue, now_ns)
        return decisions

    def not_kept(self, deliveries: Iterable[Delivery], now_ns: int) -> list[Decision]:
        """See `Outbox.not_kept`. Tails and cold keys are counted anew when they are loaded."""
        decisions: list[Decision] = []
        for delivery in deliveries:
            self._turns.ended[Outcome.DROP] += 1
            decisions.append(Done(delivery, Outcome.DROP, NOT_KEPT, "", 0, None, now_ns))
            if (found := self._unkept.pop(delivery.id, None)) is not None:
                queue, _ = found
                queue.unkept -= 1
                decisions += self._turns.next(queue, now_ns)
        return decisions

    def forget(self, lane: Lane) -> None:
        """Its endpoint was removed: what is kept of it from now on is not sent."""
        self._unkept = {
            one: found for one, found in self._unkept.items() if found[0].lane is not lane
        }

    def loaded(self, queue: Queue, rows: Sequence[Delivery], now_ns: int) -> list[Decision]:
        """See `Outbox.loaded`."""
        is_all = len(rows) < queue.asked  # if rows were deleted, there are fewer than counted
        queue.asked = 0
        queue.tail = queue.tail_since if is_all else max(queue.tail - len(rows), 1)
        for delivery in rows:
            queue.newest = delivery.sequence
            queue.waiting.append(delivery)
        return self._turns.next(queue, now_ns)

    def keys_loaded(
        self, lane: Lane, rows: Iterable[tuple[str, int]], limit: int, now_ns: int
    ) -> list[Decision]:
        """See `Outbox.keys_loaded`."""
        decisions: list[Decision] = []
        for key, count in lane.cold.take(rows, limit, lane.queues):
            queue = lane.queue_of(key)
            queue.tail, queue.used_at_ns = count, now_ns
            decisions += self._turns.next(queue, now_ns)
        if lane.cold.count:  # those that became empty while the page was on its way
            lane.forget_idle()
        return decisions + self.warm(lane)

    def requeued(self, lane: Lane, delivery: Delivery, now_ns: int) -> list[Decision]:
        """See `Outbox.requeued`."""
        if delivery.key not in lane.queues and not self._has_room(lane):
            lane.cold.add(delivery.key)
            return self.warm(lane)
        queue = lane.queue_of(delivery.key)
        queue.used_at_ns = now_ns
        if queue.head is not None and queue.head.id == delivery.id:
            is_waiting = queue.state is State.BACKING_OFF
            return self._turns.try_send(queue, now_ns) if is_waiting else []
        if queue.tail and delivery.sequence > queue.newest:
            queue.add_to_tail()
            return []
        if all(waiting.id != delivery.id for waiting in queue.waiting):
            queue.newest = max(queue.newest, delivery.sequence)
            in_order = sorted((*queue.waiting, delivery), key=lambda one: one.sequence)
            queue.waiting = deque(in_order)
            if not queue.unkept and not queue.is_loading:
                queue.trim(lane.window(self._limits))
        return self._turns.next(queue, now_ns)

    def _has_room(self, lane: Lane) -> bool:
        """Whether another key may be in memory; none may overtake those that are cold."""
        if lane.cold.count:
            return False
        if len(lane.queues) >= self._limits.queues:
            lane.forget_idle()
        return len(lane.queues) < self._limits.queues

    def tidy(self) -> list[Decision]:
        """Make room for cold keys at once, not at the next sweep."""
        emptied, self._turns.emptied = self._turns.emptied, []
        decisions: list[Decision] = []
        for queue in emptied:
            lane = queue.lane
            if lane.cold.count and not lane.cold.is_loading and queue.is_empty:
                lane.forget(queue)
                decisions += self.warm(lane)
        return decisions

    def warm(self, lane: Lane) -> list[Decision]:
        """Ask for cold keys if there is room for them."""
        limits = self._limits
        room = limits.queues - len(lane.queues)
        if not lane.is_enabled or room * 10 < limits.queues:
            return []
        if (after := lane.cold.ask()) is None:
            return []
        return [LoadKeys(lane.endpoint_id, after, min(room, limits.page))]
