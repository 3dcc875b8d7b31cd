"""Wake-ups that are not due yet."""

from __future__ import annotations

import heapq
import itertools
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from thespian.actors import WakeupMessage

if TYPE_CHECKING:
    from .cell import Cell

Period: TypeAlias = "timedelta | int | float"

# Fewer forgotten timers than this are not worth a clean-up.
COMPACT_FROM = 64
MAX_SECONDS = timedelta.max.total_seconds()


def period_ns(period: Period) -> int:
    """A period as Thespian takes it, a timedelta or seconds, in ns.

    Raises:
        TypeError: It is neither.
        OverflowError: It is longer than a timedelta can be.
        ValueError: It is no number.
    """
    if isinstance(period, timedelta):
        seconds = period.days * 86_400 + period.seconds
        return seconds * 1_000_000_000 + period.microseconds * 1_000
    if isinstance(period, int | float):
        if abs(period) > MAX_SECONDS:
            raise OverflowError("longer than a timedelta can be")
        return round(period * 1_000_000_000)
    raise TypeError(f"expected a timedelta or seconds, got {type(period).__name__}")


class Timers:
    """A heap of timers, first due first, equals in the order in which they were set.

    Forgetting a dead actor's timers costs nothing by itself: they are counted, skipped when their
    time comes, and swept out as soon as they are more than half of all.
    """

    __slots__ = ("_forgotten", "_heap", "_lock", "_numbers")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Cell, Period, object]] = []
        self._numbers = itertools.count()
        self._forgotten = 0
        self._lock = threading.Lock()  # an actor may set timers from a thread of its own

    def __len__(self) -> int:
        return len(self._heap) - self._forgotten

    def __repr__(self) -> str:
        return f"<Timers {len(self)} set, {self._forgotten} forgotten>"

    def add(self, cell: Cell, due_ns: int, period: Period, payload: object) -> None:
        """Set a timer for the actor at `cell`; `due_ns` is monotonic time."""
        with self._lock:
            heapq.heappush(self._heap, (due_ns, next(self._numbers), cell, period, payload))
            cell.pending_timers += 1

    def forget(self, cell: Cell) -> None:
        """Drop all timers of an actor that is dead."""
        with self._lock:
            self._forgotten += cell.pending_timers
            cell.pending_timers = 0
            if self._forgotten >= COMPACT_FROM and self._forgotten * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[2].pending_timers]
                heapq.heapify(self._heap)
                self._forgotten = 0

    def clear(self) -> None:
        """Drop all timers of all actors."""
        with self._lock:
            for entry in self._heap:
                entry[2].pending_timers = 0
            self._heap.clear()
            self._forgotten = 0

    def next_due_ns(self) -> int | None:
        """When the next timer is due, in monotonic ns; None: there is none."""
        if not self._heap:
            return None
        with self._lock:
            while self._heap and not self._heap[0][2].pending_timers:
                heapq.heappop(self._heap)
                self._forgotten -= 1
            return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> list[tuple[Cell, WakeupMessage]]:
        """Take out what is due, in order, each with the message that its actor gets."""
        due: list[tuple[Cell, WakeupMessage]] = []
        with self._lock:
            heap = self._heap
            while heap and heap[0][0] <= now_ns:
                _, _, cell, period, payload = heapq.heappop(heap)
                if cell.pending_timers:
                    cell.pending_timers -= 1
                    due.append((cell, WakeupMessage(period, payload)))
                else:
                    self._forgotten -= 1
        return due

    def of(self, cell: Cell) -> list[int]:
        """When the timers of one actor are due. O(all timers): for status only."""
        with self._lock:
            return sorted(entry[0] for entry in self._heap if entry[2] is cell)
