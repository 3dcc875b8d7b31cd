"""Calls of a process on their way to the node: waiting, packed, unacknowledged."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import SystemClosedError
from ..messages.calls import Call, TrackStats
from .batches import Packer
from .frames import Batch, to_bytes

CAPACITY: Final = 65_536  # statistics that may wait: some 20 MB
BATCH_BYTES: Final = 65_536  # measured best with 2 to 4 of them on their way
WINDOW: Final = 4
ENOUGH: Final = 256  # statistics that about fill a batch: worth to be sent at once
_log = logging.getLogger("greenroom.link")


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """What became of the calls of this process.

    Args:
        entered: Calls that were taken.
        waiting: Those that are not packed yet.
        unacknowledged: Those in batches that the node has not acknowledged.
        acknowledged: Those that took effect.
        dropped: Calls that are lost, by reason: "buffer_full", "hard_limit", "too_large",
            "closed".
        batches: Batches sent, those sent again not counted.
        resent: Batches sent again after a reconnect.
        connects: Connections made.
        connected: Whether there is one now.
    """

    entered: int
    waiting: int
    unacknowledged: int
    acknowledged: int
    dropped: dict[str, int]
    batches: int
    resent: int
    connects: int
    connected: bool


@dataclass(slots=True)
class _Sent:
    sequence: int
    count: int
    frame: bytes


class Outbound:
    """The calls of one client id, in order; numbers its batches and keeps them until acked.

    Any thread may add and wait; one thread, the courier, packs and is told the acks.

    Args:
        capacity: Statistics are refused while this many calls wait; other calls while twice as
            many do.
        rouse: Wakes the courier.
    """

    def __init__(self, capacity: int, rouse: Callable[[], None]) -> None:
        self._rouse = rouse
        self._stats_capacity = capacity
        self._hard_capacity = 2 * capacity
        self.waiting: deque[Call] = deque()
        self.attention = 0  # with so many waiting, `add` asks `_attend`: the courier sleeps
        self._packer = Packer()
        self._unacked: deque[_Sent] = deque()
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self._taken = self._done = self._unacked_calls = 0
        self._sequence = 0
        self._dropped: Counter[str] = Counter()
        self._closed = False
        self.batch_bytes = BATCH_BYTES
        self.resent = self.connects = 0
        self.connected = False

    def add(self, call: Call) -> None:
        """Take a call; never blocks. When too many wait it is dropped and counted.

        Raises:
            SystemClosedError: It was closed before.
        """
        waiting = self.waiting
        if len(waiting) >= self.attention:
            self._attend(call)
        else:
            waiting.append(call)

    def _attend(self, call: Call) -> None:
        number = len(self.waiting)
        if self._closed:
            raise SystemClosedError("the telemetry is closed; connect another one")
        if number >= self._hard_capacity:
            self._drop("hard_limit", call)
        elif number >= self._stats_capacity and type(call) is TrackStats:
            self._drop("buffer_full", call)
        else:
            self.waiting.append(call)
            if number < self._stats_capacity:
                self._rouse()

    def _drop(self, reason: str, call: Call, count: int = 1) -> None:
        with self._lock:
            first = not self._dropped[reason]
            self._dropped[reason] += count
        if first or reason == "hard_limit":
            _log.error("a %s was dropped: %s; later ones are counted", type(call).__name__, reason)

    # ── the courier ──────────────────────────────────────────────────────────────────────────

    def sleep_until(self, waiting: int | None) -> None:
        """Have the courier roused once so many wait; None: not before the capacity is reached."""
        self.attention = self._stats_capacity if waiting is None else waiting

    @property
    def unacked_batches(self) -> int:
        """How many batches are on their way."""
        return len(self._unacked)

    def pack(self) -> bytes | None:
        """The frame of the next batch; None: nothing waits."""
        waiting = self.waiting
        flat: list[bytes | str] = []
        size = count = taken = 0
        while waiting and size < self.batch_bytes:
            call = waiting[0]
            try:
                first, second = self._packer.item(call)
            except ValueError as error:
                _log.error("a call cannot be sent: %s", error)
                self._drop("too_large", call)
            else:
                more = len(first) + len(second) + 10
                if count and size + more > self.batch_bytes and more > self.batch_bytes // 2:
                    break  # a large one goes alone
                flat += (first, second)
                size += more
                count += 1
            waiting.popleft()
            taken += 1
        with self._lock:
            self._taken += taken
            self._done += taken - count
            if not count:
                self._progress.notify_all()
                return None
            self._sequence += 1
            self._unacked_calls += count
        frame = to_bytes(Batch(self._sequence, count, self._packer.payload(flat)))
        self._unacked.append(_Sent(self._sequence, count, frame))
        return frame

    def again(self) -> list[bytes]:
        """The frames of all unacknowledged batches, in order: for a new connection."""
        self.resent += len(self._unacked)
        return [sent.frame for sent in self._unacked]

    def acked(self, sequence: int) -> None:
        """This batch and those before it took effect."""
        count = 0
        while self._unacked and self._unacked[0].sequence <= sequence:
            count += self._unacked.popleft().count
        if count:
            with self._progress:
                self._done += count
                self._unacked_calls -= count
                self._progress.notify_all()

    # ── whoever waits ────────────────────────────────────────────────────────────────────────

    def wait(self, timeout_seconds: float | None) -> bool:
        """Wait until all calls added so far by this thread took effect, or are lost."""
        with self._progress:
            goal = self._taken + len(self.waiting)
        self._rouse()
        with self._progress:
            return self._progress.wait_for(lambda: self._done >= goal, timeout_seconds)

    def close(self) -> int:
        """Take nothing more, and give up what has not been acknowledged: how many calls."""
        self._closed = True
        self.attention = 0
        with self._progress:
            lost = len(self.waiting) + self._unacked_calls
            self._dropped["closed"] += lost
            self.waiting.clear()
            self._unacked.clear()
            self._unacked_calls = 0
            self._progress.notify_all()
        return lost

    def statistics(self) -> LinkStatistics:
        """The counts so far."""
        with self._lock:
            waiting = len(self.waiting)
            return LinkStatistics(
                entered=self._taken + waiting,
                waiting=waiting,
                unacknowledged=self._unacked_calls,
                acknowledged=self._done - self._dropped["too_large"],
                dropped={reason: number for reason, number in self._dropped.items() if number},
                batches=self._sequence,
                resent=self.resent,
                connects=self.connects,
                connected=self.connected,
            )
