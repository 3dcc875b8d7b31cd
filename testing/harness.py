"""`ActorHarness`: one actor without a system. Given messages in, exact messages out.

    worker = ActorHarness(StatsWorker)
    worker.tell(ConfigureWorker(spec, recorder=worker.address_of("recorder"), close_wait_ns=0))
    worker.tell(TrackStat(…))
    assert worker.tell(Flush(1, at_ns)) == [Sent(worker.address_of("recorder"), RecordStats(…))]

Time stands still unless `advance` moves it. A wake-up that is due goes to the actor, through the
door and back to it as in a real system, so that one call shows all that comes of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import timedelta
from typing import Generic, NamedTuple, TypeVar

from ..actors._base import ActorAddress, ActorExitRequest, GreenroomActor, WakeupMessage
from ..core.metrics import Metrics
from ..core.ports import Ports
from ..core.series import flatten
from ..core.times import to_ns
from ..messages.control import Input, Stamped
from .fakes import (
    FakeDoor,
    FakePoster,
    Outcome,
    RecordingAnalytics,
    RecordingDeadLetters,
    RecordingHost,
    RecordingReporter,
)

A = TypeVar("A", bound=GreenroomActor)


class FakeAddress(ActorAddress):
    """An address that is only a name, equal to itself alone."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__


class Sent(NamedTuple):
    """One message that the actor sent, and to whom."""

    target: ActorAddress
    message: object


class Child(NamedTuple):
    """One actor that the actor created."""

    actor_class: type[GreenroomActor]
    address: FakeAddress


class ActorHarness(Generic[A]):
    """Holds one actor and everything that it can touch.

    Args:
        actor_class: Its class; the actor still has to be told its first message.
        at_ns: Unix time to begin at.
        outcomes: The script of the poster, see `FakePoster`.

    Attributes:
        actor: The actor itself, for a look at its public state.
        address: Its address.
        parent: The address that `tell` sends from unless another is named.
        ports: For the first message; made of the fakes that follow by their names.
        metrics: What it counts into.
        children: What it created, in order.
        has_exited: Whether it asked to exit.
    """

    def __init__(
        self, actor_class: type[A], *, at_ns: int = 0, outcomes: Iterable[Outcome] = ()
    ) -> None:
        self.at_ns = at_ns
        self.door = FakeDoor()
        self.metrics = Metrics()
        self.analytics = RecordingAnalytics()
        self.poster = FakePoster(self.door, outcomes)
        self.reporter = RecordingReporter()
        self.dead_letters = RecordingDeadLetters()
        self.host = RecordingHost()
        self.ports = Ports(
            self.door,
            self.metrics,
            self.analytics,
            self.poster,
            self.reporter,
            self.dead_letters,
            self.host,
        )
        self.address = FakeAddress(actor_class.__name__)
        self.parent = FakeAddress("parent")
        self.children: list[Child] = []
        self.has_exited = False
        self._position = 0
        self._sent: list[Sent] = []
        self._wakeups: list[tuple[int, int, WakeupMessage]] = []
        self._wakeups_set = 0
        self._named: dict[str, FakeAddress] = {}
        self.actor = actor_class()
        self.actor._myRef = _Reference(self)  # what Thespian's Actor sends through

    def address_of(self, name: str) -> FakeAddress:
        """An address to stand for another actor: the same one for the same name."""
        return self._named.setdefault(name, FakeAddress(name))

    def child(self, actor_class: type[GreenroomActor], index: int = 0) -> FakeAddress:
        """The address of the `index`-th child of this class.

        Raises:
            IndexError: There are fewer.
        """
        mine = [child for child in self.children if child.actor_class is actor_class]
        return mine[index].address

    def tell(self, message: object, sender: ActorAddress | None = None) -> list[Sent]:
        """Give the actor a message; what it sent because of it."""
        self.actor.receiveMessage(message, sender or self.parent)
        return self.take()

    def enter(self, body: Input) -> list[Sent]:
        """Give the actor an input, stamped with the next position and the time of now."""
        self._position += 1
        return self.tell(Stamped(self._position, self.at_ns, body))

    def pass_door(self) -> list[Sent]:
        """Give the actor what waits at the door for it, until nothing more does."""
        sent: list[Sent] = []
        while any(target is self.address for target, _ in self.door.entered):
            mine = [body for target, body in self.door.entered if target is self.address]
            self.door.entered = [e for e in self.door.entered if e[0] is not self.address]
            for body in mine:
                sent.extend(self.enter(body))
        return sent

    def advance(self, seconds: float, *, late_seconds: float = 0.0) -> list[Sent]:
        """Let time pass; what the actor sent because of the wake-ups that became due.

        Args:
            seconds: How long.
            late_seconds: Each wake-up comes this much after it was due, as on a busy machine.
        """
        until_ns = self.at_ns + to_ns(seconds)
        late_ns = to_ns(late_seconds)
        sent: list[Sent] = []
        while self._wakeups and self._wakeups[0][0] + late_ns <= until_ns:
            due_ns, _, wakeup = heapq.heappop(self._wakeups)
            self.at_ns = max(self.at_ns, due_ns + late_ns)
            sent.extend(self.tell(wakeup, self.address))
            sent.extend(self.pass_door())
        self.at_ns = until_ns
        return sent

    def take(self) -> list[Sent]:
        """What the actor sent since the last look."""
        sent, self._sent = self._sent, []
        return sent

    def counted(self) -> dict[str, float]:
        """Every series that is not 0, as `name{labels}`."""
        series = flatten(self.metrics.snapshot(), {})
        return {name: value for name, value in series.items() if value}

    def record(self, target: ActorAddress, message: object) -> None:
        """Take down what the actor sends; asking itself to exit only sets `has_exited`."""
        if target is self.address and isinstance(message, ActorExitRequest):
            self.has_exited = True
        else:
            self._sent.append(Sent(target, message))

    def add_child(self, actor_class: type[GreenroomActor]) -> FakeAddress:
        """Take down what the actor creates."""
        name = actor_class.__name__
        count = sum(child.actor_class is actor_class for child in self.children)
        address = FakeAddress(f"{name} {count + 1}")
        self.children.append(Child(actor_class, address))
        return address

    def handle_dead_letters(self, address: ActorAddress, enable: bool) -> None:  # noqa: FBT001
        """There are none: tell the actor a DeadEnvelope."""

    def add_wakeup(self, period: timedelta | float, payload: object) -> None:
        """Take down when the actor wants to be woken."""
        seconds = period.total_seconds() if isinstance(period, timedelta) else period
        self._wakeups_set += 1
        entry = (self.at_ns + to_ns(seconds), self._wakeups_set, WakeupMessage(period, payload))
        heapq.heappush(self._wakeups, entry)


class _Reference:
    """What `thespian.actors.Actor` calls on its `_myRef`, as far as greenroom's actors do."""

    globalName = None  # noqa: N815  # Thespian's name

    def __init__(self, harness: ActorHarness[A]) -> None:
        self.address = harness.address
        self.actor_send = harness.record
        self.wakeupAfter = harness.add_wakeup
        self.handleDeadLetters = harness.handle_dead_letters
        self._add_child = harness.add_child

    def createActor(  # noqa: N802  # Thespian's name
        self,
        actor_class: type[GreenroomActor],
        requirements: object = None,
        global_name: object = None,
        source_hash: object = None,
    ) -> FakeAddress:
        """Only note the class."""
        return self._add_child(actor_class)
