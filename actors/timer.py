"""Timer: has a tick enter the door for the supervisor every flush interval.

Told wake-ups, and by the supervisor which tick it took. Lives as long as the supervisor.
"""

from __future__ import annotations

from ..core.times import NS_PER_SECOND, to_ns
from ..messages.stats import FlushTick, TickTaken
from ._base import ActorAddress, Configure, GreenroomActor, WakeupMessage, told


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

    @told(WakeupMessage)
    def on_wakeup(self, wakeup: WakeupMessage, sender: ActorAddress) -> None:
        """Through the door to the supervisor, so that its place among the calls is exact."""
        self.door.enter(self.parent, wakeup.payload)

    @told(TickTaken)
    def on_tick_taken(self, taken: TickTaken, sender: ActorAddress) -> None:
        """Make the next wait shorter by what this tick was late."""
        if taken.number != self._number:
            return
        late_ns = taken.at_ns - self._due_ns if self._due_ns else 0
        if late_ns >= self._interval_ns:
            late_ns = 0  # the machine slept: one tick makes up for all that were missed
        wait_ns = self._interval_ns - late_ns
        self._due_ns = taken.at_ns + wait_ns
        self._wait_for_next(wait_ns)

    def _wait_for_next(self, wait_ns: int) -> None:
        self._number += 1
        self.wake_after(wait_ns / NS_PER_SECOND, FlushTick(self._number))
