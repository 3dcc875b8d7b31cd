"""Calls of a process on their way to the node: waiting, packed, unacknowledged."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import GreenroomError, SystemClosedError
from ..messages.calls import Call, TrackStats
from .batches import Packer
from .frames import BATCH_CALLS_MAX, Batch, to_bytes

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
        dropped: Calls that are lost, by reason: "buffer_full", "hard_limit",
            "unsendable" (longer than 16 MB, say), "closed".
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
        self._sent_here = 0  # of the unacknowledged, over the present connection
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

    def _drop(self, reason: str, call: Call) -> None:
        with self._lock:
            self._dropped[reason] += 1
            number = self._dropped[reason]
        if number & (number - 1) == 0:  # the 1st, 2nd, 4th, 8th …: a long outage fills no disk
            _log.error("a %s was dropped: %s, %d so far", type(call).__name__, reason, number)

    # ── the courier ──────────────────────────────────────────────────────────────────────────

    def sleep_until(self, waiting: int | None) -> None:
        """Have the courier roused once so many wait; None: not before the capacity is reached."""
        self.attention = self._stats_capacity if waiting is None else waiting
        if self._closed:  # looked at last: `close` may have come in between
            self.attention = 0

    @property
    def unacked_batches(self) -> int:
        """How many batches are on their way."""
        return len(self._unacked)

    def pack(self) -> bytes | None:
        """The frame of the next batch; None: nothing waits."""
        with self._lock:  # a call is waiting or taken at any time, to whoever counts
            flat, count = self._take()
            if not count:
                self._progress.notify_all()
                return None
            self._sequence += 1
            self._unacked_calls += count
            frame = to_bytes(Batch(self._sequence, count, self._packer.payload(flat)))
            self._unacked.append(_Sent(self._sequence, count, frame))
            self._sent_here += 1
        return frame

    def _take(self) -> tuple[list[bytes | str], int]:
        """The values of the calls that come next, and how many calls they are."""
        waiting = self.waiting
        flat: list[bytes | str] = []
        size = count = 0
        while waiting and size < self.batch_bytes and count < BATCH_CALLS_MAX:
            try:
                first, second = self._packer.item(waiting[0])
            except (ValueError, TypeError, OverflowError, GreenroomError) as error:
                if not self._dropped["unsendable"]:
                    _log.error("a call cannot be sent: %s; later ones are counted", error)
                self._dropped["unsendable"] += 1
                self._done += 1
            else:
                more = len(first) + len(second) + 10
                if count and size + more > self.batch_bytes and more > self.batch_bytes // 2:
                    break  # a large one goes alone
                flat += (first, second)
                size += more
                count += 1
            waiting.popleft()
            self._taken += 1
        return flat, count

    def begin_anew(self) -> None:
        """There is a new connection: nothing was sent over it yet."""
        self._sent_here = 0

    def again(self, window: int) -> bytes | None:
        """The next frame that an earlier connection carried in vain; None: not now, or none."""
        with self._lock:
            if self._sent_here >= min(window, len(self._unacked)):
                return None
            self.resent += 1
            self._sent_here += 1
            return self._unacked[self._sent_here - 1].frame

    def acked(self, sequence: int) -> None:
        """This batch and those before it took effect."""
        with self._progress:
            while self._unacked and self._unacked[0].sequence <= sequence:
                count = self._unacked.popleft().count
                self._sent_here = max(0, self._sent_here - 1)
                self._done += count
                self._unacked_calls -= count
            self._progress.notify_all()

    def is_acked(self, sequence: int) -> bool:
        """Whether this batch, and so all before it, took effect."""
        with self._lock:
            return not self._unacked or self._unacked[0].sequence > sequence

    # ── whoever waits ────────────────────────────────────────────────────────────────────────

    @property
    def is_idle(self) -> bool:
        """Whether all calls so far took effect, or are lost."""
        with self._lock:
            return not self.waiting and self._done == self._taken

    def wait(self, timeout_seconds: float | None) -> bool:
        """Wait until all calls added so far by this thread took effect; False: it was in vain."""
        with self._progress:
            goal = self._taken + len(self.waiting)
            self._progress.wait_for(lambda: self._done >= goal or self._closed, timeout_seconds)
            return self._done >= goal

    def close(self) -> int:
        """Take nothing more, and give up what has not been acknowledged: how many calls."""
        self._closed = True
        self.attention = 0
        with self._progress:
            self._taken += len(self.waiting)
            lost = len(self.waiting) + self._unacked_calls
            self._dropped["closed"] += lost
            self.waiting.clear()
            self._unacked.clear()
            self._unacked_calls = self._sent_here = 0
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
                acknowledged=self._done - self._dropped["unsendable"],
                dropped={reason: number for reason, number in self._dropped.items() if number},
                batches=self._sequence,
                resent=self.resent,
                connects=self.connects,
                connected=self.connected,
            )
