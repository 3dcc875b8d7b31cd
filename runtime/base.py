"""`InProcessBase`: Thespian's actor system on one thread of this process."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from thespian.actors import ActorAddress
from thespian.system import isInternalActorSystemMessage

from ..core.ports import Clock
from ..errors import LifecycleError, SystemBrokenError
from .cell import ActorClass, Cell, Requirements
from .clock import VirtualClock
from .dispatch import Dispatcher
from .door import Door, Mark
from .endpoint import Endpoint, Inbox
from .population import Population
from .timers import Period

THREAD_NAME: Final = "greenroom-dispatch"
# How often a thread looks whether another one, which pumps just now, has left.
TURN_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class BaseStatistics:
    """What a base holds at one moment.

    Args:
        actors: Actors that live.
        queued: Messages in the mailbox; what waits at the door is not among them.
        delivered: Messages that were delivered so far.
        timers: Wake-ups that are not due yet.
        dead_letters: Messages so far that nobody took.
    """

    actors: int
    queued: int
    delivered: int
    timers: int
    dead_letters: int


class InProcessBase:
    """A Thespian system base: `ActorSystem(base, transientUnique=True)`.

    *Threaded*: after `start()` a thread of its own runs the actors, and any thread may tell, ask
    and listen. *Pumped*: never started; ask, listen and `run_until_idle` run the actors on the
    thread that calls them.

    Args:
        clock: Timers run on its monotonic time. A VirtualClock only with a pumped base.
        capabilities: Of the system; ActorSystem does not pass on its own when it is given a base.

    Source: thespian actors.py, ActorSystem, for what a base has to offer.
    """

    def __init__(self, clock: Clock, capabilities: Mapping[str, object] | None = None) -> None:
        self.clock = clock
        name = f"inprocess-{uuid.uuid4().hex[:8]}"
        self._population = Population(name, clock, dict(capabilities or {}))
        self._dispatcher = Dispatcher(self._population)
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()  # whoever has it dispatches
        self._runner: int | None = None  # the ident of that thread
        self._lock = threading.Lock()
        self._held = 0
        self._holds = 0  # ever begun
        self._all_released = threading.Condition(self._lock)
        self._stopping = False
        self._closed = False
        self._broken: BaseException | None = None
        self._endpoints: weakref.WeakSet[Endpoint] = weakref.WeakSet()
        self._marks: set[Mark] = set()
        self._external = self.external_clone()
        self._population.when_closing = self._close_door

    def __repr__(self) -> str:
        seen = self.statistics()
        way = "pumped" if self._thread is None else "threaded"
        state = "broken" if self._broken else "closed" if self._closed else way
        return f"<InProcessBase {state}: {seen.actors} actors, {seen.queued} queued>"

    # What greenroom calls

    @property
    def door(self) -> Door | None:
        """Where inputs come from, one at a time; set it before the first one enters."""
        return self._dispatcher.door

    @door.setter
    def door(self, door: Door) -> None:
        self._dispatcher.door = door
        door.connect(self._population.waker)

    @property
    def capabilities(self) -> dict[str, object]:
        """Of the system, as actors see them."""
        return self._population.capabilities

    def statistics(self) -> BaseStatistics:
        """The counts of this moment."""
        return BaseStatistics(
            actors=len(self._population),
            queued=len(self._population.mailbox),
            delivered=self._dispatcher.delivered,
            timers=len(self._population.timers),
            dead_letters=self._population.dead_letters,
        )

    def start(self) -> None:
        """Let a daemon thread run the actors from now on. Again: nothing happens.

        Raises:
            LifecycleError: The clock is virtual, or the base is closed.
        """
        if isinstance(self.clock, VirtualClock):
            raise LifecycleError("a base with a virtual clock is pumped: call advance_to()")
        with self._lock:
            if self._closed:
                raise LifecycleError("this base is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=THREAD_NAME, daemon=True)
                self._thread.start()

    def run_until_idle(self, timeout_seconds: float | None = None) -> bool:
        """Pumped: run everything that can be done now, waiting for work that is held.

        Returns:
            False when the time was over first.

        Raises:
            LifecycleError: The base has a thread, or an actor calls this.
        """
        if self._thread is not None:
            raise LifecycleError("this base has a thread: call barrier()")
        limit = Limit(timeout_seconds)
        with self._taking_turn(limit) as mine:
            while mine:
                if not self._dispatcher.run(limit.is_over):
                    return False
                self._population.waker.prepare()
                held = self._held  # read before the work: what a holder left is seen, or it holds
                if self._dispatcher.has_work:
                    self._population.waker.cancel()
                elif held:
                    if limit.is_over():
                        self._population.waker.cancel()
                        return False
                    self._population.waker.sleep(self._nap_seconds(limit))
                else:
                    self._population.waker.cancel()
                    return True
        return False

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
            clock.set_ns(max(due_ns, clock.now_ns()))
            self.run_until_idle()
        clock.set_ns(at_ns)

    def barrier(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all that entered before, by the door or a mailbox, is done.

        Returns:
            False when the time was over first.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
            LifecycleError: An actor calls this: it would wait for itself.
        """
        self._refuse_actors()
        self._check()
        if self._closed:
            return True  # what had not been done was thrown out, and counted
        if self._thread is None:
            return self.run_until_idle(timeout_seconds)
        mark = Mark()
        with self._lock:
            self._marks.add(mark)
        if self.door is not None:
            self.door.mark(mark)
        else:
            self._dispatcher.marks.append(mark)
            self._population.waker.wake()
        reached = not self._ended and mark.wait(timeout_seconds)
        with self._lock:
            self._marks.discard(mark)
        self._check()
        return reached or self._ended

    @property
    def _ended(self) -> bool:
        return self._closed or self._broken is not None

    def hold(self) -> None:
        """Work has begun outside that will come back as a message; any thread."""
        with self._lock:
            self._held += 1
            self._holds += 1

    def release(self) -> None:
        """That work is done, and what came of it has been sent; any thread.

        Raises:
            LifecycleError: Nothing is held.
        """
        with self._lock:
            if not self._held:
                raise LifecycleError("release() without hold()")
            self._held -= 1
            if not self._held:
                self._all_released.notify_all()
        self._population.waker.wake()

    def quiesce(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all is done, held work and what came of it included; timers may be left.

        Returns:
            False when the time was over first.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
            LifecycleError: An actor calls this: it would wait for itself.
        """
        limit = Limit(timeout_seconds)
        while True:
            with self._all_released:
                if not self._all_released.wait_for(lambda: not self._held, limit.left()):
                    return False
                holds = self._holds
            if not self.barrier(limit.left()):
                return False
            with self._lock:
                if not self._held and self._holds == holds:
                    return True

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Send all actors away, then end the thread. Again: nothing happens.

        An actor may call this: then it only begins.

        Args:
            timeout: In seconds, to wait for the actors; what is left then is abandoned.

        Returns:
            True when all actors have gone.
        """
        if self._closed:
            return True
        limit = Limit(timeout)
        self._population.begin_shutdown()
        if self._runner == threading.get_ident():
            return False
        if self._thread is not None:
            self._thread.join(max(0.0, timeout))
        elif self._broken is None:
            with self._taking_turn(limit) as mine:
                while mine and self._population.primaries and not limit.is_over():
                    self._dispatcher.run(limit.is_over)
                    if self._population.primaries and self._dispatcher.run(limit.is_over):
                        self._sleep(limit)
        gone = not self._population.primaries
        self._finish()
        return gone

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
        """
        self._check()
        return self._population.create_primary(
            actor_class, requirements, global_name, source_hash
        )

    def tell(self, address: ActorAddress, message: object) -> None:
        """Send from outside."""
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
        """Send from outside; to a closed base it is a dead letter.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
        """
        if self._closed or self._broken is not None:
            self._check()
            self._population.dead_letters += 1
            return
        sender.actor_send(target, message)

    def listen_to(self, inbox: Inbox, timeout_ns: int | None) -> object | None:
        """The next message in `inbox`; without a thread, this one runs the actors meanwhile.

        Raises:
            SystemBrokenError: The dispatch thread is dead.
            LifecycleError: An actor calls this: it would wait for itself.
        """
        self._refuse_actors()
        limit = Limit(None if timeout_ns is None else timeout_ns / 1e9)
        while True:
            self._check()
            if self._thread is None and not self._closed:
                message = self._pump_for(inbox, limit)
            else:
                message = None if self._closed and not len(inbox) else inbox.take(limit.left())
            if message is _LOOK:
                continue  # the base has closed or broken
            if message is None or not isInternalActorSystemMessage(message):
                return message

    # How it runs

    def _loop(self) -> None:
        self._dispatcher.raises = False
        try:
            with self._taking_turn(Limit(None)):
                while not self._is_over():
                    if self._dispatcher.run(self._is_over):
                        self._sleep(Limit(None))
        except BaseException as error:
            self._broken = error
        self._finish()

    def _is_over(self) -> bool:
        return self._stopping or (self._population.closing and not self._population.primaries)

    def _sleep(self, limit: Limit) -> None:
        """Sleep until there is work, the next timer is due, or the time is over."""
        waker = self._population.waker
        waker.prepare()
        if self._dispatcher.has_work or self._is_over():
            waker.cancel()
        else:
            waker.sleep(self._nap_seconds(limit))

    def _nap_seconds(self, limit: Limit) -> float | None:
        due_ns = self._population.timers.next_due_ns()
        if due_ns is None or isinstance(self.clock, VirtualClock):
            return limit.left()
        seconds = max(0.0, (due_ns - self.clock.monotonic_ns()) / 1e9)
        left = limit.left()
        return seconds if left is None else min(seconds, left)

    def _pump_for(self, inbox: Inbox, limit: Limit) -> object | None:
        """Run the actors until something is in `inbox`, or nothing more can come."""
        while not len(inbox):
            if not self._turn.acquire(blocking=False):
                left = limit.left()  # another thread pumps, perhaps for us too
                found = inbox.take(TURN_SECONDS if left is None else min(left, TURN_SECONDS))
                if found is not None or limit.is_over():
                    return found
                continue
            self._runner = threading.get_ident()
            try:
                idle = self._dispatcher.run(lambda: bool(len(inbox)) or limit.is_over())
                if len(inbox):
                    break
                hopeless = idle and not self._held and not self._can_wait_for_timers()
                if hopeless or limit.is_over():
                    return None
                self._sleep(limit)
            finally:
                self._runner = None
                self._turn.release()
        return inbox.take(0)

    def _can_wait_for_timers(self) -> bool:
        return bool(self._population.timers) and not isinstance(self.clock, VirtualClock)

    @contextmanager
    def _taking_turn(self, limit: Limit) -> Iterator[bool]:
        """Be the thread that dispatches; gives False when the time was over first."""
        self._refuse_actors()
        left = limit.left()
        if not self._turn.acquire(timeout=-1 if left is None else left):
            yield False
            return
        self._runner = threading.get_ident()
        try:
            yield True
        finally:
            self._runner = None
            self._turn.release()

    def _refuse_actors(self) -> None:
        if self._runner == threading.get_ident():
            raise LifecycleError("an actor cannot wait for the system that runs it")

    def _check(self) -> None:
        if self._broken is not None:
            raise SystemBrokenError("the dispatch thread is dead") from self._broken

    def _close_door(self) -> None:
        if self.door is not None:
            self.door.finish("closed")
        self._population.waker.wake()

    def _finish(self) -> None:
        """Let go of everything and wake all who wait."""
        self._stopping = True
        self._closed = True
        if self.door is not None:
            self.door.finish("broken" if self._broken else "closed")
        self._population.waker.wake()
        self._population.let_go()
        with self._lock:
            marks, endpoints = list(self._marks), list(self._endpoints)
        for mark in marks:
            mark.reach()
        for endpoint in endpoints:
            endpoint.inbox.receiveMessage(_LOOK, endpoint.cell)


class Limit:
    """A point in real time until which something may take; virtual clocks do not count here.

    Args:
        seconds: From now; None: there is no limit.
    """

    __slots__ = ("_at",)

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds that are left, not below 0; None: no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._at is not None and time.monotonic() >= self._at


_LOOK: Final = object()  # in an inbox: look again at the state of the base
