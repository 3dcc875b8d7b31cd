"""Timer: tells the supervisor every flush interval that it is time.

Told only wake-ups. Lives as long as the supervisor.
"""

from __future__ import annotations

from ..core.times import NS_PER_SECOND, to_ns
from ..messages.control import Stamped
from ..messages.stats import FlushDue, FlushTick
from ._base import Configure, GreenroomActor, stamped


class Timer(GreenroomActor):
    """Ticks, numbered from 1, that do not drift."""

    def on_configure(self, configure: Configure) -> None:
        """Start the first interval, unless only explicit flushes are wanted."""
        self.door = configure.ports.door
        self._number = 0
        self._due_ns = 0
        seconds = configure.settings.flush_interval_seconds
        self._interval_ns = 0 if seconds is None else to_ns(seconds)
        if self._interval_ns:
            self._wait_for_next(self._interval_ns)

    @stamped(FlushDue)
    def on_flush_due(self, due: FlushDue, stamp: Stamped) -> None:
        """Tick, and make the next wait shorter by what this wake-up was late."""
        if due.number != self._number:
            return
        self.send(self.parent, FlushTick(due.number, stamp.at_ns))
        late_ns = stamp.at_ns - self._due_ns if self._due_ns else 0
        if late_ns >= self._interval_ns:
            late_ns = 0  # the machine slept: one tick makes up for all that were missed
        wait_ns = self._interval_ns - late_ns
        self._due_ns = stamp.at_ns + wait_ns
        self._wait_for_next(wait_ns)

    def _wait_for_next(self, wait_ns: int) -> None:
        self._number += 1
        self.wake_after(wait_ns / NS_PER_SECOND, FlushDue(self._number))
