"""On which thread the actors run, and how other threads wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import HandlerTimeoutError, LifecycleError, SystemBrokenError
from .clock import VirtualClock
from .dispatch import Dispatcher
from .door import Mark
from .endpoint import Inbox
from .forks import watch_forks
from .guarded_log import guarded_log
from .limit import NO_LIMIT, Limit
from .population import Population, do_nothing
from .watchdog import Watchdog

log = guarded_log(__name__)

THREAD_NAME: Final = "greenroom-dispatch"
# How often a thread that waits for its turn to pump looks into its inbox.
TURN_SECONDS: Final = 0.01
# How often one who waits for room looks again: the dispatcher makes room for a thousand meanwhile.
POLL_SECONDS: Final = 0.001


class Driver:
    """Runs a dispatcher: on a thread of its own once started, else on whoever waits.

    Args:
        population: The actors; their clock is the one of the timers.
        dispatcher: What to run.
        handler_limit_seconds: On its own thread, a handler that takes so long is interrupted.
    """

    def __init__(
        self, population: Population, dispatcher: Dispatcher, handler_limit_seconds: float | None
    ) -> None:
        self._population = population
        self._dispatcher = dispatcher
        self._clock = population.clock
        self._waker = population.waker
        self.watchdog = Watchdog(population, dispatcher, handler_limit_seconds, self._give_up)
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()  # whoever has it dispatches
        self._runner: int | None = None  # the ident of that thread
        self._lock = threading.Lock()
        self._held = 0
        self._holds = 0  # how many ever began
        self._all_released = threading.Condition(self._lock)
        self._marks: set[Mark] = set()
        self.is_closed = False
        self.broken: BaseException | None = None
        self.when_finished: Callable[[], None] = do_nothing

    def __repr__(self) -> str:
        return f"<Driver {self.state}, {self._held} held>"

    @property
    def state(self) -> str:
        """In one word."""
        if self.broken is not None:
            return "broken"
        if self.is_closed:
            return "closed"
        return "pumped" if self._thread is None else "threaded"

    @property
    def is_threaded(self) -> bool:
        """Whether it has (or had) a thread of its own."""
        return self._thread is not None

    def start(self) -> None:
        """Run on a thread from now on; see `InProcessBase.start`."""
        if isinstance(self._clock, VirtualClock):
            raise LifecycleError("a base with a virtual clock is pumped: call advance_to()")
        with self._lock:
            if self.is_closed:
                raise LifecycleError("this base is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=THREAD_NAME, daemon=True)
                self._thread.start()
                watch_forks(self)

    def hold(self) -> None:
        """Work has begun outside."""
        with self._lock:
            self._held += 1
            self._holds += 1

    def release(self) -> None:
        """Work outside is done."""
        with self._lock:
            if not self._held:
                raise LifecycleError("release() without hold()")
            self._held -= 1
            if not self._held:
                self._all_released.notify_all()
        if self._waker.asleep:
            self._waker.wake()

    # Waiting

    def run_until_idle(self, timeout_seconds: float | None) -> bool:
        """Run here until nothing is left and nothing is held; False: time over first."""
        if self.is_threaded:
            raise LifecycleError("this base has a thread: call barrier()")
        limit = Limit(timeout_seconds)
        with self._taking_turn(limit) as mine:
            while mine and self._dispatcher.run(limit.is_over):
                held = self._held  # before looking for work: what a holder left will be seen
                if not self._dispatcher.has_work:
                    if not held or limit.is_over():
                        return not held
                    self._nap(limit, held)
        return False

    def run_for(self, inbox: Inbox, limit: Limit) -> object | None:
        """Run here until something is in `inbox` (returns it), or nothing more can come (None)."""
        while not len(inbox):
            if not self._turn.acquire(blocking=False):
                left = limit.left()  # another thread pumps, perhaps for us too
                found = inbox.take(TURN_SECONDS if left is None else min(left, TURN_SECONDS))
                if found is not None or limit.is_over():
                    return found
                continue
            with self._running():
                self._dispatcher.run(lambda: bool(len(inbox)) or limit.is_over())
                held = self._held
                if len(inbox):
                    break
                if limit.is_over() or self._is_hopeless(held):
                    return None
                self._nap(limit, held)
        return inbox.take(0)

    def barrier(self, timeout_seconds: float | None) -> bool:
        """Wait until all that entered before is done; False: time over first."""
        self.refuse_actors()
        self.check()
        if self.is_closed:
            return True  # what had not been done was thrown out, and counted
        if not self.is_threaded:
            return self.run_until_idle(timeout_seconds)
        mark = Mark()
        with self._lock:
            self._marks.add(mark)
        self._dispatcher.place(mark)
        reached = self.is_closed or mark.wait(Limit(timeout_seconds).left())
        with self._lock:
            self._marks.discard(mark)
        self.check()
        return reached

    def quiesce(self, timeout_seconds: float | None) -> bool:
        """Wait until nothing is left and nothing is held; False: time over first."""
        self.refuse_actors()
        self.check()
        limit = Limit(timeout_seconds)
        while True:
            with self._all_released:
                if not self._all_released.wait_for(lambda: not self._held, limit.left()):
                    return False
                holds = self._holds
            if not self.barrier(limit.left()):
                return False
            with self._lock:  # what came of the last work may have begun more
                if not self._held and self._holds == holds:
                    return True

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until that is so, or the end; on the thread that dispatches: not at all."""
        while not (condition() or self.is_closed or self.is_current_thread()):
            if self.is_threaded:
                time.sleep(POLL_SECONDS)
            else:
                with self._taking_turn(Limit(TURN_SECONDS)) as mine:
                    if mine:
                        self._dispatcher.run(condition)

    # The end

    def leave(self, timeout_seconds: float) -> bool:
        """Run until all actors have gone, after they were asked to; False: time over first.

        Called by an actor it returns at once: the thread that runs it will see to it.
        """
        if self.is_current_thread():
            return False
        if self._thread is not None:
            if not isinstance(self.broken, HandlerTimeoutError):  # that one is not waited for
                self._thread.join(max(0.0, timeout_seconds))
        elif not self.is_closed:
            limit = Limit(timeout_seconds)
            with self._taking_turn(limit) as mine:
                while mine and not self._is_over() and not limit.is_over():
                    self._dispatcher.run(limit.is_over)
                    held = self._held
                    if self._is_hopeless(held):
                        break
                    self._nap(limit, held)
        gone = not self._population.primaries
        self.finish()
        return gone

    def finish(self) -> None:
        """Let go of everything, and of all who wait; again: nothing happens."""
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            marks = list(self._marks)
        self._waker.wake()
        self.watchdog.stop()
        self._population.let_go()
        for mark in marks:
            mark.reach()
        self.when_finished()
        if self._dispatcher.door is not None:
            self._dispatcher.door.finish("closed" if self.broken is None else "broken")

    def check(self) -> None:
        """Raise SystemBrokenError if the dispatch thread is dead or stuck."""
        if self.broken is not None:
            is_stuck = isinstance(self.broken, HandlerTimeoutError)
            how = f"stuck: {self.broken}" if is_stuck else "dead"
            raise SystemBrokenError(f"the dispatch thread is {how}") from self.broken

    def is_current_thread(self) -> bool:
        """Whether this is the thread that dispatches."""
        return self._runner == threading.get_ident()

    def refuse_actors(self) -> None:
        """Raise LifecycleError on the thread that dispatches: it would wait for itself."""
        if self.is_current_thread():
            raise LifecycleError("an actor cannot wait for the system that runs it")

    def disown(self) -> None:
        """Be broken in a forked child: who waits there would wait for ever."""
        self._lock = threading.Lock()  # another thread of the parent may have had it
        self._all_released = threading.Condition(self._lock)
        self.broken = self.broken or LifecycleError("the parent has it: start after fork()")
        if self._dispatcher.door is not None:
            self._dispatcher.door.close("broken")

    # How it runs

    def _loop(self) -> None:
        self._dispatcher.raises = False
        self.watchdog.start(threading.get_ident())
        try:
            with self._taking_turn(NO_LIMIT):
                while not self._is_over():
                    try:
                        if self._dispatcher.run(self._is_over):
                            self._nap(NO_LIMIT, self._held)
                    except HandlerTimeoutError:  # the dispatcher keeps them: see `interrupt`
                        log.exception("an interrupt went astray; the message in hand may be lost")
        except BaseException as error:
            self.broken = self.broken or error
            log.critical("the dispatch thread is dead", exc_info=error)
        self.finish()

    def _give_up(self, error: HandlerTimeoutError, stack: str) -> None:
        """The thread is stuck in a handler: be broken without it, should it ever come back."""
        if self.is_closed:
            return
        self.broken = error
        try:
            self.watchdog.when_stuck(f"the dispatch thread is stuck: {error}", stack)
        finally:
            self.finish()

    def _is_over(self) -> bool:
        return self.is_closed or (self._population.closing and not self._population.primaries)

    def _is_hopeless(self, held: int) -> bool:
        """Whether a pumped base, with so many holds, is idle and will stay so."""
        timers = self._population.timers and not isinstance(self._clock, VirtualClock)
        return not (held or timers or self._dispatcher.has_work)

    def _nap(self, limit: Limit, held: int) -> None:
        """Sleep until there is work, a timer is due, or the time is over.

        Also until there are no longer `held` holds: their number when work was last looked for.
        """
        self._waker.prepare()
        if self._dispatcher.has_work or self._is_over() or self._held != held:
            self._waker.cancel()
        else:
            self._waker.sleep(self._nap_seconds(limit))
            if self.watchdog.waker.asleep:
                self.watchdog.waker.wake()

    def _nap_seconds(self, limit: Limit) -> float | None:
        due_ns = self._population.timers.next_due_ns()
        left = limit.left()
        if due_ns is None or isinstance(self._clock, VirtualClock):
            return left
        seconds = max(0.0, (due_ns - self._clock.monotonic_ns()) / 1e9)
        return seconds if left is None else min(seconds, left)

    @contextmanager
    def _taking_turn(self, limit: Limit) -> Iterator[bool]:
        """Be the thread that dispatches; gives False when the time was over first."""
        self.refuse_actors()
        left = limit.left()
        if self._turn.acquire(timeout=-1 if left is None else left):
            with self._running():
                yield True
        else:
            yield False

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Having the turn, be known as the runner; give the turn back at the end."""
        self._runner = threading.get_ident()
        try:
            yield
        finally:
            self._runner = None
            self._turn.release()
