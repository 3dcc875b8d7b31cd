"""The loop that hands one message after another to the actors, and what happens when one fails."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident
from time import perf_counter_ns
from typing import Final, TypeAlias

from thespian.actors import (
    ActorAddress,
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    PoisonMessage,
    Thespian_StatusReq,
)

from ..core.failure_text import traceback_text, type_name
from ..errors import HandlerTimeoutError
from .cell import Cell, Envelope
from .door import Door, Mark
from .endpoint import Inbox
from .guarded_log import guarded_log
from .mailbox import FlatMailbox
from .meter import Meter, name_actor, name_message
from .population import Population
from .status import actor_status

log = guarded_log(__name__)

# Between two looks at timers and limits. Measured: from 64 on, longer slices gain nothing.
SLICE: Final = 256
# A look at the clock after each message costs a tenth of a busy system's rate: so only one slice
# in this time is timed, which costs nothing that can be measured, and each one of an idle system.
TIMED_EVERY_NS: Final = 10_000_000
# A slice that takes this long has a slow handler in it; the next one is timed.
SLOW_SLICE_NS: Final = 5_000_000

# What is told of a failure: whose, on what, from whom, and what was raised.
OnFailure: TypeAlias = Callable[[Cell, object, Cell, BaseException], None]


class Dispatcher:
    """Delivers, one message at a time, on whichever thread calls `run`.

    One input is taken from the door only when every mailbox is empty: so an input and all that
    it causes is done before the next begins, and the door is where work piles up.

    Args:
        population: The actors and their mailbox.
    """

    def __init__(self, population: Population) -> None:
        self._population = population
        self.door: Door | None = None
        self._marks: deque[Mark] = deque()  # barriers of a base without a door
        self.delivered = 0
        self.meter = Meter()
        self._time_next_ns = 0
        self.raises = True  # what an actor dies of goes on to the caller of `run`

    def __repr__(self) -> str:
        return f"<Dispatcher {self.delivered} delivered>"

    @property
    def has_work(self) -> bool:
        """Whether `run` would find something, timers apart."""
        return bool(
            self._population.mailbox
            or self._marks
            or not (self.door is None or self.door.is_empty)
        )

    def place(self, mark: Mark) -> None:
        """Have this mark reached when all that entered before is done; any thread."""
        if self.door is not None:
            self.door.mark(mark)
        else:
            self._marks.append(mark)
            self._population.waker.wake()

    def run(self, is_enough: Callable[[], bool]) -> bool:
        """Deliver until nothing is left to do now, or until `is_enough()`, asked at each slice.

        Returns:
            True when nothing was left.
        """
        mailbox, meter = self._population.mailbox, self.meter
        mailbox.realign()
        while True:
            self._fire_timers()
            if len(mailbox) > meter.high_water:
                meter.rise(mailbox)
            if not self._run_some():
                due_ns = self._population.timers.next_due_ns()
                if due_ns is None or due_ns > self._population.clock.monotonic_ns():
                    return True
            elif is_enough():
                return False

    def _fire_timers(self) -> None:
        population = self._population
        if population.timers:
            for cell, message in population.timers.pop_due(population.clock.monotonic_ns()):
                population.mailbox.put((cell, message, cell))

    def _run_some(self) -> bool:
        """Deliver a slice, now and then a timed one; False: there was less to do than that."""
        started_ns = perf_counter_ns()
        if started_ns >= self._time_next_ns:
            self._time_next_ns = started_ns + TIMED_EVERY_NS
            return self._run_timed_slice()
        full = self._run_slice()
        if perf_counter_ns() - started_ns > SLOW_SLICE_NS:
            self._time_next_ns = 0  # look closer at what comes next: it is likely more of the same
        return full

    def _run_slice(self) -> bool:
        """`_next` and `_deliver` in one, for speed."""
        mailbox = self._population.mailbox
        if not isinstance(mailbox, FlatMailbox):
            return self._run_timed_slice()
        entries = mailbox.entries
        take = entries.popleft
        root = self._population.root
        admit = _nothing if self.door is None else self.door.admit
        count = 0
        try:
            for count in range(SLICE):
                if entries:
                    target: Cell = take()  # type: ignore[assignment]  # each third one is a cell
                    message = take()
                    sender: Cell = take()  # type: ignore[assignment]
                else:
                    admitted = admit()
                    if admitted is None:
                        self._reach_marks()
                        self.delivered += count
                        return False
                    address, message = admitted
                    sender = root
                    if not isinstance(address, Cell):
                        self._give_back(address, message)
                        continue
                    target = address
                actor = target.actor
                try:
                    if actor is not None and not isinstance(message, ActorSystemMessage):
                        actor.receiveMessage(message, sender)
                        continue
                except BaseException as error:  # noqa: BLE001 - it is the actor's end, not ours
                    try:  # noqa: SIM105 - `suppress` would be a call itself
                        get_ident()  # as in `_handle`
                    except HandlerTimeoutError:
                        pass
                    self._fail(target, message, sender, error)
                    continue
                try:
                    self._deliver_special(target, message, sender)
                except Exception:
                    log.exception("dropped a %s that cannot be handled", type_name(message))
        except HandlerTimeoutError:  # late: the handler that it was for had just ended
            self.delivered += count + 1
            return True
        self.delivered += SLICE
        return True

    def _run_timed_slice(self) -> bool:
        """As `_run_slice`, with a look at the clock after each message."""
        meter = self.meter
        before_ns = perf_counter_ns()
        count = 0
        try:
            for count in range(SLICE):
                envelope = self._next()
                if envelope is None:
                    self._reach_marks()
                    self.delivered += count
                    return False
                target, message, sender = envelope
                instance = target.instance
                self._deliver(target, message, sender)
                now_ns = perf_counter_ns()
                if now_ns - before_ns > meter.slowest_ns:
                    meter.note_slow(
                        name_actor(instance), name_message(message), now_ns - before_ns
                    )
                before_ns = now_ns
        except HandlerTimeoutError:  # late, as in `_run_slice`
            self.delivered += count + 1
            return True
        self.delivered += SLICE
        return True

    def _next(self) -> Envelope | None:
        """What to deliver now; None: nothing waits."""
        mailbox = self._population.mailbox
        while not len(mailbox):
            admitted = None if self.door is None else self.door.admit()
            if admitted is None:
                return None
            address, message = admitted
            if isinstance(address, Cell):
                return address, message, self._population.root
            self._give_back(address, message)
        return mailbox.popleft()

    def _give_back(self, address: object, message: object) -> None:
        """An input for nobody that lives here."""
        self._population.dead_letters.add(ActorAddress(address), message)

    def _reach_marks(self) -> None:
        while self._marks:
            self._marks.popleft().reach()

    def _deliver(self, target: Cell, message: object, sender: Cell) -> None:
        actor = target.actor
        try:
            if actor is not None and not isinstance(message, ActorSystemMessage):
                actor.receiveMessage(message, sender)
                return  # what is late for it comes out where this was called
        except BaseException as error:  # noqa: BLE001 - it is the actor's end, not ours
            try:  # noqa: SIM105 - `suppress` would be a call itself
                get_ident()  # as in `_handle`
            except HandlerTimeoutError:
                pass
            self._fail(target, message, sender, error)
            return
        try:
            self._deliver_special(target, message, sender)
        except Exception:
            log.exception("dropped a %s that cannot be handled", type_name(message))

    def _handle(self, target: Cell, message: object, sender: Cell, fail: OnFailure) -> None:
        """Let the actor handle it.

        The watchdog may have interrupted a handler that ended before it noticed. CPython raises
        that at the next call: so there is one here, where it does no harm.
        """
        if target.instance is None:
            return
        try:
            target.instance.receiveMessage(message, sender)
        except BaseException as error:  # noqa: BLE001 - it is the actor's end, not ours
            try:  # noqa: SIM105 - `suppress` would be a call itself
                get_ident()
            except HandlerTimeoutError:
                pass
            fail(target, message, sender, error)
            return
        try:  # noqa: SIM105 - `suppress` would be a call itself
            get_ident()
        except HandlerTimeoutError:
            pass

    def _deliver_special(self, target: Cell, message: object, sender: Cell) -> None:
        """Deliver to one who is not an ordinary actor, or what is not an ordinary message."""
        population = self._population
        kind = type(message)  # isinstance() believes what a message says of its __class__
        instance = target.instance
        if instance is None:
            population.dead_letters.add(target, message)
        elif instance.__class__ is Inbox or instance is population:
            instance.receiveMessage(message, sender)
        elif issubclass(kind, Thespian_StatusReq):
            population.post(sender, actor_status(population, target), target)
        elif target.actor is None and not issubclass(kind, ActorExitRequest | ChildActorExited):
            population.dead_letters.add(target, message)  # it is exiting
        else:
            self._handle(target, message, sender, self._fail)
            if target.instance is None:
                return  # that was its death
            if isinstance(message, ActorExitRequest):
                population.exit(target, recursive=message.isRecursive)
            elif isinstance(message, ChildActorExited):
                population.child_gone(target, message.childAddress)

    def _fail(self, target: Cell, message: object, sender: Cell, error: BaseException) -> None:
        """An actor raised: let it try once more, on a copy; then the message is poison.

        One that was interrupted does not try again. Never is a message put into a log call: its
        own `__str__` may raise. Source: thespian system/actorManager.py, handleMessages.
        """
        kind, raised = type(message), type(error)  # no isinstance(): see `_deliver_special`
        if issubclass(raised, HandlerTimeoutError):
            self._poison(target, message, sender, error)
        elif not issubclass(raised, Exception):
            self._end(target, error)
        elif target.instance is not None and not issubclass(kind, ActorExitRequest):
            what = type_name(message)
            log.warning("%r raised on a %s, tries again", target, what, exc_info=error)
            fail_again = partial(self._fail_again, message)
            try:
                duplicate = copy.deepcopy(message)
            except BaseException as again:  # noqa: BLE001
                fail_again(target, message, sender, again)
            else:
                self._handle(target, duplicate, sender, fail_again)

    def _fail_again(
        self, message: object, target: Cell, _: object, sender: Cell, error: BaseException
    ) -> None:
        if issubclass(type(error), Exception | HandlerTimeoutError):
            self._poison(target, message, sender, error)
        else:
            self._end(target, error)

    def _poison(self, target: Cell, message: object, sender: Cell, error: BaseException) -> None:
        text = traceback_text(error)
        log.error("%r cannot digest a %s\n%s", target, type_name(message), text)
        if not issubclass(type(message), PoisonMessage | ActorExitRequest):
            self._population.post(sender, PoisonMessage(message, text), target)

    def _end(self, target: Cell, error: BaseException) -> None:
        """An actor raised what would end its process, if it had one: it is dead.

        Raises:
            BaseException: The same, when a caller pumps and this is not SystemExit: it may well
                be the caller's (control-C, a test's time-out).
        """
        if not issubclass(type(error), SystemExit):
            log.error("%r ended", target, exc_info=error)
        if target.instance is not None and target is not self._population.root:
            self._population.kill(target)
        if self.raises and not issubclass(type(error), SystemExit):
            raise error


def _nothing() -> None:
    """What is admitted where there is no door."""
