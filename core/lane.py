"""Lane: all queues of one endpoint, and what holds them back together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from ..config import DeliveryPolicy
from .cold_keys import ColdKeys
from .delivery import Delivery
from .gate import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what is in the store is in memory as well.

    Args:
        window: Deliveries of one queue, the head apart, while there are few queues.
        window_min: The same while there are many.
        deliveries: Of one endpoint, as long as no window is at its minimum; some 3 KB each.
        queues: Queues of one endpoint.
        page: Keys that are asked for at a time.
    """

    window: int = 256
    window_min: int = 4
    deliveries: int = 25_600
    queues: int = 10_000
    page: int = 1_000


class State(Enum):
    """What a queue waits for."""

    IDLE = "idle"
    IN_FLIGHT = "in flight"
    BACKING_OFF = "backing off"
    BLOCKED = "blocked"


@dataclass(slots=True, eq=False)
class Queue:
    """The deliveries of one key to one endpoint, in order: head, waiting, unkept, tail."""

    key: str
    lane: Lane
    state: State = State.IDLE
    head: Delivery | None = None
    attempt: int = 0  # of the head: in flight, or due next
    waiting: deque[Delivery] = field(default_factory=deque)
    unkept: int = 0  # being written
    tail: int = 0  # in the store only
    tail_since: int = 0  # of these, added since more were asked for
    asked: int = 0  # so many are to be loaded, and are on their way
    newest: int = 0  # the highest sequence that has been in memory
    used_at_ns: int = 0
    waits_since_ns: int = 0  # when it backed off the last time
    due_at_ns: int = 0

    @property
    def is_loading(self) -> bool:
        """A part of its tail is on its way."""
        return self.asked > 0

    @property
    def length(self) -> int:
        """How many wait, the head apart."""
        return len(self.waiting) + self.unkept + self.tail

    @property
    def is_empty(self) -> bool:
        """Nothing would be lost if it were forgotten."""
        return self.state is State.IDLE and not self.length and not self.is_loading

    def add_to_tail(self) -> None:
        """One more in the store."""
        self.tail += 1
        if self.is_loading:
            self.tail_since += 1

    def trim(self, window: int) -> None:
        """Back to the oldest ones; the others are loaded again later."""
        while len(self.waiting) > window:
            self.waiting.pop()
            self.tail += 1
        if self.waiting:
            self.newest = self.waiting[-1].sequence


@dataclass(slots=True, eq=False)
class Lane:
    """One endpoint's."""

    endpoint_id: str
    url: str
    policy: DeliveryPolicy
    gate: Gate
    cold: ColdKeys
    is_enabled: bool = True
    is_removed: bool = False  # only what is in flight is left of it
    queues: dict[str, Queue] = field(default_factory=dict)
    blocked: deque[Queue] = field(default_factory=deque)  # their heads could not pass the gate
    backing_off: dict[Queue, None] = field(default_factory=dict)
    wake_number: int = 0
    wake_at_ns: int | None = None

    def queue_of(self, key: str) -> Queue:
        """The key's queue, made if need be."""
        if key not in self.queues:
            self.queues[key] = Queue(key, self)
        return self.queues[key]

    def backlog(self) -> tuple[int, int | None]:
        """How many it holds, and when the oldest was accepted (Unix ns); O(queues).

        The second is None when it holds nothing, and when it cannot be told: some queue has
        nothing in memory.
        """
        count, oldest_ns, is_known = self.cold.count, None, not self.cold.count
        for queue in self.queues.values():
            first = queue.head or next(iter(queue.waiting), None)
            held = queue.length + (queue.head is not None)
            count += held
            if first is None:
                is_known &= not held
            elif oldest_ns is None or first.queued_at_ns < oldest_ns:
                oldest_ns = first.queued_at_ns
        return count, oldest_ns if is_known else None

    def window(self, limits: Limits) -> int:
        """How many deliveries of each queue are to be in memory now."""
        share = limits.deliveries // max(len(self.queues), 1)
        return max(min(share, limits.window), limits.window_min)

    def forget(self, queue: Queue) -> None:
        """Have no queue any more for its key."""
        if self.queues.get(queue.key) is queue:
            del self.queues[queue.key]

    def forget_idle(self, since_ns: int | None = None) -> None:
        """Forget the queues that are empty and had no event since then (Unix ns; None: ever).

        Not while a page of keys is on its way.
        """
        if not self.cold.is_loading:
            for queue in list(self.queues.values()):
                if queue.is_empty and (since_ns is None or queue.used_at_ns < since_ns):
                    del self.queues[queue.key]
