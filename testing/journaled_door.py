"""A journaled door on a bench: a journal that writes when a test says so, and odd clocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ..core.journal import Group
from ..core.ports import Clock
from ..messages.control import Input, Stamped
from ..messages.stats import FlushTick
from ..runtime.clock import VirtualClock
from ..runtime.journaled_door import JournaledDoor
from ..runtime.waker import Waker


class FaultyClock:
    """A clock that is set back, as machines' clocks are."""

    def __init__(self, *times: int) -> None:
        self._times = iter(times)

    def now_ns(self) -> int:
        """The next of the times."""
        return next(self._times)

    def monotonic_ns(self) -> int:
        """It stands still."""
        return 0


class NosyClock:
    """Somebody does something each time that it is looked at: in the midst of a step."""

    def __init__(self) -> None:
        self.then: Callable[[], None] = lambda: None

    def now_ns(self) -> int:
        """Always the same, but `then` is called."""
        self.then()
        return 100

    def monotonic_ns(self) -> int:
        """It stands still."""
        return 0


class FakeJournal:
    """Counts how often it is woken; writes when it is told."""

    door: JournaledDoor

    def __init__(self) -> None:
        self.woken = self.hurried = 0
        self.written: list[Group] = []

    def wake(self) -> None:
        """Count it."""
        self.woken += 1

    def hurry(self) -> None:
        """Count it."""
        self.hurried += 1

    def write(self) -> Group | None:
        """One group, if there is one to be written."""
        group = self.door.take()
        if group is not None:
            self.written.append(group)
        self.door.let_in()
        return group


class DoorBench:
    """A door that leads to "supervisor", its journal, and what it dropped."""

    def __init__(
        self,
        clock: Clock | None = None,
        stats_capacity: int = 1_000_000,
    ) -> None:
        self.clock = clock or VirtualClock(100)
        self.dropped: list[tuple[str, Input]] = []
        self.journal = FakeJournal()
        self.door = JournaledDoor(
            self.clock,
            self.journal,
            stats_capacity=stats_capacity,
            hard_capacity=2 * stats_capacity,
            on_drop=lambda reason, body: self.dropped.append((reason, body)),
        )
        self.journal.door = self.door
        self.door.lead_to("supervisor")

    def enter(self, *bodies: Input) -> None:
        """Let them enter, for whom the door leads to."""
        for body in bodies:
            assert self.door.enter("supervisor", body)

    def admitted(self) -> list[tuple[object, object]]:
        """All that can be admitted now, after what waits was written."""
        found: list[tuple[object, object]] = []
        while True:
            wrote = self.journal.write()
            admitted = self.door.admit()
            if admitted is not None:
                found.append(admitted)
            elif wrote is None:
                return found


def stamps(admitted: Iterable[tuple[object, object]]) -> list[tuple[int, int]]:
    """The positions and times (Unix ns) of what was admitted."""
    found = []
    for _, message in admitted:
        assert isinstance(message, Stamped)
        found.append((message.position, message.at_ns))
    return found


def ticks(admitted: Iterable[tuple[object, object]]) -> list[int]:
    """The numbers of the ticks among what was admitted."""
    return [
        message.body.number
        for _, message in admitted
        if isinstance(message, Stamped) and isinstance(message.body, FlushTick)
    ]


class StressJournal:
    """A thread writes what it is woken for, and a thread admits; neither looks without a reason.

    Args:
        count: So many inputs will be admitted.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._calls = threading.Semaphore(0)
        self._waker = Waker()
        self.is_over = False
        self.admitted: list[tuple[object, object]] = []
        self.door = JournaledDoor(
            VirtualClock(), self, stats_capacity=10**6, hard_capacity=10**6, on_drop=print
        )
        self.door.connect(self._waker)
        self.door.lead_to("supervisor")

    def wake(self) -> None:
        """Let the thread that writes look once more."""
        self._calls.release()

    def hurry(self) -> None:
        """Likewise."""
        self.wake()

    def write(self) -> None:
        """Write what there is whenever somebody calls; until the end."""
        while self._calls.acquire() and not self.is_over:
            while self.door.take() is not None:
                self.door.let_in()

    def admit(self) -> None:
        """Admit whatever there is, until that was all."""
        while len(self.admitted) < self._count:
            one = self.door.admit()
            if one is not None:
                self.admitted.append(one)
                continue
            self._waker.prepare()
            if self.door.is_empty:
                self._waker.sleep(None)
            else:
                self._waker.cancel()

    def end(self) -> None:
        """Let the thread that writes end."""
        self.is_over = True
        self.wake()
