"""`InProcessBase`: Thespian's actor system on one thread of this process."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Mapping
from typing import BinaryIO, Final

from thespian.actors import Actor, ActorAddress
from thespian.system import isInternalActorSystemMessage

from ..config import HANDLER_LIMIT_SECONDS
from ..core.ports import Clock
from ..errors import LifecycleError
from .cell import ActorClass, Cell, Mailbox, Requirements
from .clock import VirtualClock
from .dispatch import Dispatcher
from .door import Door
from .driver import Driver
from .endpoint import Endpoint, Inbox
from .full import WhenFull
from .limit import Limit
from .mailbox import FlatMailbox
from .meter import BaseStatistics
from .population import Population
from .schedule import SeededDispatcher, SeededSchedule
from .timers import Period
from .watchdog import Watchdog

LOOK: Final = object()  # in an inbox: look again at the state of the base


class InProcessBase:
    """A Thespian system base: `ActorSystem(base, transientUnique=True)`.

    *Threaded*: after `start()` a thread of its own runs the actors, and any thread may tell, ask
    and listen. *Pumped*: never started; ask, listen and `run_until_idle` run the actors on the
    thread that calls them. Messages go by reference: nobody may change one that was sent.

    Args:
        clock: Timers run on its monotonic time. A VirtualClock only with a pumped base.
        capabilities: Of the system; ActorSystem does not pass on its own when it is given a base.
        capacity: Messages in the mailbox from which on a tell from outside finds it full. What
            actors send to each other is never held back: see docs/architecture.md, Bounds.
        when_full: What such a tell does then.
        handler_limit_seconds: A handler on its own thread that takes longer is interrupted, or
            else leaves the base broken. None: never.
        schedule: Another order of delivery, with faults, for tests; with a VirtualClock only.

    Raises:
        ConfigError: The limit is not a number above 0.
        LifecycleError: A schedule was given, and the clock is not virtual.

    Source: thespian actors.py, ActorSystem, for what a base has to offer.
    """

    def __init__(
        self,
        clock: Clock,
        capabilities: Mapping[str, object] | None = None,
        *,
        capacity: int = 1_000_000,
        when_full: WhenFull = WhenFull.BLOCK,
        handler_limit_seconds: float | None = HANDLER_LIMIT_SECONDS,
        schedule: SeededSchedule | None = None,
    ) -> None:
        if schedule is not None and not isinstance(clock, VirtualClock):
            raise LifecycleError("a schedule needs a virtual clock")
        self.clock = clock
        name = f"inprocess-{uuid.uuid4().hex[:8]}"
        self._mailbox: Mailbox = FlatMailbox() if schedule is None else schedule.mailbox
        self._limit = capacity * self._mailbox.width
        self._when_full = when_full
        self._refused = 0
        self._lock = threading.Lock()
        self._population = Population(name, clock, dict(capabilities or {}), self._mailbox)
        self._population.when_closing = self._close_door
        self._dispatcher = Dispatcher(self._population)
        if schedule is not None:
            self._dispatcher = SeededDispatcher(self._population, schedule)
        self._driver = Driver(self._population, self._dispatcher, handler_limit_seconds)
        self._driver.when_finished = self._wake_listeners
        self.is_current_thread = self._driver.is_current_thread  # that of the actors
        self._endpoints: weakref.WeakSet[Endpoint] = weakref.WeakSet()
        self._external = self.external_clone()

    def __repr__(self) -> str:
        seen = self.statistics()
        held = f"{seen.actors} actors, {seen.queued} queued, {seen.timers} timers"
        return f"<InProcessBase {self._driver.state}: {held}>"

    # What greenroom calls

    @property
    def door(self) -> Door | None:
        """Where inputs come from, one at a time; set it before the first one enters."""
        return self._dispatcher.door

    @door.setter
    def door(self, door: Door) -> None:
        door.connect(self._population.waker)
        self._dispatcher.door = door

    @property
    def capabilities(self) -> dict[str, object]:
        """Of the system, as actors see them."""
        return self._population.capabilities

    @property
    def watchdog(self) -> Watchdog:
        """Looks after the handlers on the base's own thread."""
        return self._driver.watchdog

    def statistics(self) -> BaseStatistics:
        """The counts of this moment."""
        meter = self._dispatcher.meter
        return BaseStatistics(
            actors=len(self._population),
            queued=len(self._mailbox),
            delivered=self._dispatcher.delivered,
            timers=len(self._population.timers),
            dead_letters=self._population.dead_letters.count,
            refused=self._refused,
            high_water=max(meter.high_water, len(self._mailbox)),
            runaway=meter.runaway,
            slowest=meter.slowest,
            stalls=meter.stalls,
        )

    def actors(self) -> list[Actor]:
        """Every actor that lives, level by level, for tests and debuggers: look, do not touch."""
        found = (cell.instance for cell in self._population.everyone())
        return [each for each in found if isinstance(each, Actor)]

    def start(self) -> None:
        """Let a daemon thread run the actors from now on. Again: nothing happens.

        Raises:
            LifecycleError: The clock is virtual, or the base is closed.
        """
        self._driver.start()

    def run_until_idle(self, timeout_seconds: float | None = None) -> bool:
        """Pumped: do here all that can be done now, due timers too, and wait for held work.

        Returns:
            False when the time was over first.

        Raises:
            LifecycleError: The base has a thread, or an actor calls this.
        """
        return self._driver.run_until_idle(timeout_seconds)

    def advance_to(self, at_ns: int) -> None:
        """Virtual time: go to `at_ns` (Unix ns), stopping at each timer on the way.

        Raises:
            LifecycleError: The clock is not virtual, or an actor calls this.
            ValueError: That would go back.
        """
        clock = self.clock
        if not isinstance(clock, VirtualClock):
            raise LifecycleError("only a virtual clock can be moved")
        if at_ns < clock.now_ns():
            raise ValueError(f"a clock only goes forward: it is {clock.now_ns()}, not {at_ns}")
        self.run_until_idle()
        while (due_ns := self._population.timers.next_due_ns()) is not None and due_ns <= at_ns:
            clock.set_ns(due_ns)
            self.run_until_idle()
        clock.set_ns(at_ns)

    @property
    def is_broken(self) -> bool:
        """Whether the dispatch thread is dead or stuck."""
        return self._driver.broken is not None

    def barrier(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all that entered before, and what it caused, is done. Closed: for nothing.

        Returns:
            False when the time was over first.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
            LifecycleError: An actor calls this: it would wait for itself.
        """
        return self._driver.barrier(timeout_seconds)

    def quiesce(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all is done, held work and what comes of it included; timers may be left.

        Returns and raises as `barrier` does.
        """
        return self._driver.quiesce(timeout_seconds)

    def hold(self) -> None:
        """Work has begun outside that will come back as a message or input; any thread."""
        self._driver.hold()

    def release(self) -> None:
        """That work is done, and what came of it has been sent; any thread.

        Raises:
            LifecycleError: Nothing is held.
        """
        self._driver.release()

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Close the door, send all actors away, end the thread; called by an actor: begin to.

        Args:
            timeout: In seconds, to wait for the actors; what is left then is abandoned.

        Returns:
            True when all actors have gone.
        """
        if not self._population.closing:
            self._population.begin_shutdown()
        return self._driver.leave(timeout)

    # What ActorSystem calls

    def newPrimaryActor(
        self,
        actor_class: ActorClass,
        requirements: Requirements = None,
        global_name: str | None = None,
        source_hash: str | None = None,
    ) -> Cell:
        """Create an actor under the system, on the thread that calls this.

        Raises:
            Exception: Whatever went wrong, except a failed assertion of the constructor.
            SystemBrokenError: The dispatch thread is dead.
        """
        self._driver.check()
        return self._population.create_primary(actor_class, requirements, global_name, source_hash)

    def tell(self, address: ActorAddress, message: object) -> None:
        """Send from outside; to a closed base it is a dead letter.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
        """
        if len(self._mailbox.entries) < self._limit and not self._driver.is_closed:
            self._external.cell.actor_send(address, message)  # as send_in, without the call
        else:
            self.send_in(address, message, self._external.cell)

    def ask(self, address: ActorAddress, message: object, timeout: Period | None) -> object | None:
        """Send from outside, then return the next message from any actor, or None."""
        return self._external.ask(address, message, timeout)

    def listen(self, timeout: Period | None) -> object | None:
        """The next message from any actor to the outside, or None."""
        return self._external.listen(timeout)

    def external_clone(self) -> Endpoint:
        """A further endpoint, for `private()`."""
        endpoint = Endpoint(self)
        with self._lock:
            self._endpoints.add(endpoint)
        return endpoint

    def updateCapability(self, name: str, value: object = None) -> None:
        """Set a capability or remove it with None; actors that no longer fit are sent away."""
        self._population.update_capability(name, value)

    def loadActorSource(self, file: str | BinaryIO) -> str:
        """Offer a source to the authority; its hash."""
        return self._population.load_source(file)

    def unloadActorSource(self, source_hash: str) -> None:
        """Forget a source."""
        self._population.unload_source(source_hash)

    def _handleDeadLetters(self, address: ActorAddress, enable: bool) -> None:  # noqa: FBT001
        self._population.handle_dead_letters(address, enable=enable)

    # What endpoints call

    def open_endpoint(self, inbox: Inbox) -> Cell:
        """A fresh address for an endpoint."""
        return self._population.new_cell(self._population.root, inbox)

    def send_in(self, target: ActorAddress, message: object, sender: Cell) -> None:
        """Send from outside, unless the mailbox is full; to a closed base it is a dead letter.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
        """
        if self._driver.is_closed:
            self._bury_letter()
        elif len(self._mailbox.entries) < self._limit or self._finds_room():
            sender.actor_send(target, message)

    def listen_to(self, inbox: Inbox, timeout_ns: int | None) -> object | None:
        """The next message in `inbox`; without a thread, this one runs the actors meanwhile.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
            LifecycleError: An actor calls this: it would wait for itself.
        """
        self._driver.refuse_actors()
        limit = Limit(None if timeout_ns is None else timeout_ns / 1e9)
        while True:
            self._driver.check()
            if self._driver.is_closed:
                message = inbox.take(0)
            elif self._driver.is_threaded:
                message = inbox.take(limit.left())
            else:
                message = self._driver.run_for(inbox, limit)
            if message is LOOK:
                inbox.put(LOOK)  # there may be more who listen here
                self._driver.check()
                return None
            if message is None or not isInternalActorSystemMessage(message):
                return message

    def _bury_letter(self) -> None:
        """The base is closed: nobody will take this."""
        self._driver.check()
        self._population.dead_letters.count += 1

    def _finds_room(self) -> bool:
        """The mailbox is full: whether to send all the same, after a while perhaps."""
        if self._when_full is WhenFull.BLOCK:
            self._driver.wait_until(lambda: len(self._mailbox.entries) < self._limit)
            if not self._driver.is_closed:
                return True
            self._bury_letter()
            return False
        with self._lock:
            self._refused += 1
        return False

    def _wake_listeners(self) -> None:
        with self._lock:
            endpoints = list(self._endpoints)
        for endpoint in endpoints:
            endpoint.inbox.put(LOOK)

    def _close_door(self) -> None:
        if self.door is not None:
            self.door.finish("closed")
        self._population.waker.wake()
