"""Timer: has a tick enter the door for the supervisor every flush interval.

Told wake-ups, and by the supervisor which tick it took. Lives as long as the supervisor.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.times import NS_PER_SECOND, to_ns
from ..messages.stats import FlushTick, TickTaken
from ._base import ActorAddress, Configure, GreenroomActor, WakeupMessage, told
from .estate import Inherit


class Timer(GreenroomActor):
    """Ticks, numbered from 1, that do not drift."""

    inherited: ClassVar[tuple[str, ...]] = ("_number", "_due_ns", "_waits")
    _number: int  # of the tick that is awaited
    _due_ns: int
    _waits: bool  # for its wake-up

    def on_configure(self, configure: Configure) -> None:
        """Start the first interval, unless only explicit flushes are wanted."""
        self._take(configure)
        if self._interval_ns:
            self._wait_for_next(self._interval_ns)

    def on_inherit(self, inherit: Inherit) -> None:
        """Wait for the tick that is due next, unless it has entered the door."""
        assert isinstance(inherit.configure, Configure)
        if inherit.state is None:
            self.on_configure(inherit.configure)
            return
        self._take(inherit.configure)
        for name in self.inherited:
            setattr(self, name, inherit.state[name])
        if self._waits:
            wait_ns = self._interval_ns
            if inherit.at_ns and not self._due_ns:  # the first: nobody knows since when it waits
                self._due_ns = inherit.at_ns + wait_ns
            elif inherit.at_ns:
                wait_ns = min(max(self._due_ns - inherit.at_ns, 0), wait_ns)
            self.wake_after(wait_ns / NS_PER_SECOND, FlushTick(self._number))

    def _take(self, configure: Configure) -> None:
        self.door = configure.ports.door
        self._number = 0
        self._due_ns = 0
        self._waits = False
        seconds = configure.settings.flush_interval_seconds
        self._interval_ns = 0 if seconds is None else to_ns(seconds)

    @told(WakeupMessage)
    def on_wakeup(self, wakeup: WakeupMessage, sender: ActorAddress) -> None:
        """Through the door to the supervisor, so that its place among the calls is exact."""
        if wakeup.payload == FlushTick(self._number):
            self._waits = False
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
        self._waits = True
        self.wake_after(wait_ns / NS_PER_SECOND, FlushTick(self._number))
