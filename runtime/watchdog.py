"""Names the handler that holds the dispatch thread, and ends one that holds it for too long.

A daemon thread looks at the dispatcher every 10 ms. It takes no part in the delivery: which
message it is, and of whom, it reads from the stack of the dispatch thread, so delivery costs
nothing more. While the dispatcher sleeps, the watchdog soon sleeps as well.

A handler that reaches the time limit is interrupted. One that does not mind (it is blocked in a
call into C, or keeps the exception) for as long again has to be given up, and the base with it.

It cannot see a handler that never lets go of the interpreter (a long call into C): nothing runs
then, this thread neither. Such a time is not counted as a stall of the handler; what the
dispatcher times by itself may still name it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from types import FrameType
from typing import Final

from ..config import check_handler_limit
from ..core.times import to_ns
from ..errors import HandlerTimeoutError
from .cell import Cell
from .dispatch import Dispatcher
from .guarded_log import guarded_log
from .interrupt import RUNTIME_FILES, find_handler, interrupt
from .meter import name_actor, name_message
from .population import Population
from .stacks import LocalsReader, format_frames, frames_of
from .waker import Waker

log = guarded_log(__name__)

THREAD_NAME: Final = "greenroom-watchdog"
STALL_NS: Final = 50_000_000
LOOK_SECONDS: Final = 0.01
# When two looks are this far apart, the machine was busy or asleep: not the handler's fault. They
# count as one look, or on a machine that stays busy no handler would ever reach its limit.
OVERSLEPT_NS: Final = 40_000_000
# A dispatcher that sleeps for this long lets the watchdog sleep: one that is asked now and then
# is not worth a wake-up each time.
REST_AFTER_NS: Final = 500_000_000
# A handler that does not come back is named again after this time, then after twice as long …
REPEAT_NS: Final = 5_000_000_000
REPEAT_MAX_NS: Final = 300_000_000_000
# What is interrupted has this long to end, or as long as the limit is, if that is longer.
GRACE_NS: Final = 100_000_000

DELIVERING: Final = frozenset(
    {
        Dispatcher._run_slice.__code__,
        Dispatcher._deliver.__code__,
        Dispatcher._deliver_special.__code__,
        Dispatcher._handle.__code__,
        Dispatcher._fail.__code__,
    }
)
SLICES: Final = frozenset({Dispatcher._run_slice.__code__, Dispatcher._run_timed_slice.__code__})


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the dispatch thread was at, when someone looked.

    Args:
        count: Which message of its slice it was.
        target: Who was handling it; None: the dispatcher was busy with itself.
        message: What it was handling.
    """

    count: int
    target: Cell | None
    message: object


def read_delivery(frames: list[FrameType], reader: LocalsReader) -> Delivery | None:
    """Find in a stack, innermost first, what is being delivered; None: nothing is."""
    delivering = next((frame for frame in frames if frame.f_code in DELIVERING), None)
    slice_ = next((frame for frame in frames if frame.f_code in SLICES), None)
    if slice_ is None:
        return None
    of_slice, found = reader.read(slice_, delivering or slice_)
    count, target = of_slice.get("count"), found.get("target")
    if not isinstance(count, int):
        return None  # it has only just begun
    message = None if delivering is None else found.get("message")
    return Delivery(count, target if isinstance(target, Cell) else None, message)


class Watchdog:
    """Watches a dispatcher on the thread that runs it.

    Args:
        population: Its mailbox is watched too; its waker tells whether the dispatcher sleeps.
        dispatcher: Who is watched.
        handler_limit_seconds: A handler that takes longer is interrupted; None: never.
        give_up: Told of a handler that does not end after twice that time, with the stack.

    Raises:
        ConfigError: The limit is neither None nor a number above 0.
    """

    def __init__(
        self,
        population: Population,
        dispatcher: Dispatcher,
        handler_limit_seconds: float | None = None,
        give_up: Callable[[HandlerTimeoutError, str], None] = lambda error, stack: None,
    ) -> None:
        self._population = population
        self._dispatcher = dispatcher
        self._meter = dispatcher.meter
        check_handler_limit(handler_limit_seconds)
        self._limit_ns = None if handler_limit_seconds is None else to_ns(handler_limit_seconds)
        self._give_up = give_up
        self._spared: frozenset[str] = RUNTIME_FILES  # whose code is not interrupted
        self.when_stuck: Callable[[str, str], None] = log_stuck  # told why and where, on a give-up
        self.waker = Waker()  # its own bed; the dispatch thread rings when it gets up
        self._watched = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=THREAD_NAME, daemon=True)
        self._reader = LocalsReader()
        self._delivered = 0  # by the dispatcher, at the last look
        self._number: int | None = None  # of the message that was being delivered, …
        self._delivery: Delivery | None = None
        self._since_ns = 0  # … since when, as far as is known, …
        self._names: tuple[str, str] | None = None  # … who and what it was, once reported, …
        self._report_at_ns = STALL_NS  # … and after how long it will be reported next, …
        self._is_interrupted = False  # … and how far that went, …
        self._give_up_at_ns: int | None = None  # … once it was tried

    def __repr__(self) -> str:
        return f"<Watchdog {'resting' if self.waker.asleep else 'watching'}>"

    def shorten(self, seconds: float, left: float | None) -> float:
        """How long to wait for what is quickly done: up to `left` while a handler is stuck."""
        return seconds if left is None or self._names is None else min(seconds, left)

    def spare(self, *called: object) -> None:
        """Never interrupt a handler in the modules of these objects' classes; None has none."""
        modules = [sys.modules.get(type(each).__module__) for each in called]
        self._spared |= {str(getattr(module, "__file__", "")) for module in modules}

    def start(self, watched: int) -> None:
        """Watch the thread with this ident."""
        self._watched = watched
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it a little; never started: nothing happens."""
        self._ended.set()
        self.waker.wake()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _watch(self) -> None:
        looked_ns = active_ns = monotonic_ns()
        while not self._ended.wait(LOOK_SECONDS):
            now_ns = monotonic_ns()
            if now_ns - looked_ns > OVERSLEPT_NS:
                self._since_ns += now_ns - looked_ns - to_ns(LOOK_SECONDS)
            looked_ns = now_ns
            self._look(now_ns)
            if not self._population.waker.asleep:
                active_ns = now_ns
            elif now_ns - active_ns > REST_AFTER_NS:
                self._rest()
                looked_ns = active_ns = monotonic_ns()

    def _rest(self) -> None:
        """Sleep until the dispatcher gets up."""
        self.waker.prepare()
        if self._population.waker.asleep and not self._ended.is_set():
            self.waker.sleep(None)
        else:
            self.waker.cancel()

    def _look(self, now_ns: int) -> None:
        delivery = number = None
        delivered, self._delivered = self._delivered, self._dispatcher.delivered
        # a whole slice since the last look is no stall, and its stack need not be read
        if not self._population.waker.asleep and delivered == self._delivered:
            delivery = read_delivery(frames_of(self._watched), self._reader)
            if delivery is not None:
                number = self._dispatcher.delivered + delivery.count
        if number is None or number != self._number:
            self._note_end(now_ns)
            self._number, self._delivery = number, delivery
            self._since_ns, self._report_at_ns = now_ns, STALL_NS
            self._is_interrupted, self._give_up_at_ns = False, None
        else:
            held_ns = now_ns - self._since_ns
            if held_ns >= self._report_at_ns:
                self._report(held_ns)
            if self._limit_ns is not None and held_ns >= self._limit_ns:
                self._end_handler(held_ns, self._limit_ns)
        mailbox = self._population.mailbox
        if len(mailbox) > self._meter.high_water:
            self._meter.rise(mailbox)

    def _note_end(self, now_ns: int) -> None:
        """That message is done; if it was a stall, note how long it took."""
        if self._names is not None:
            self._meter.note_slow(*self._names, now_ns - self._since_ns)
            self._names = None

    def _report(self, held_ns: int) -> None:
        if self._report_at_ns == STALL_NS:
            self._meter.stalls += 1
            self._report_at_ns = REPEAT_NS
        else:
            self._report_at_ns += min(self._report_at_ns, REPEAT_MAX_NS)
        stack = format_frames(frames_of(self._watched))
        delivery = self._delivery
        if delivery is None or delivery.target is None:
            log.warning("the dispatcher is stuck since %.0f ms, at\n%s", held_ns / 1e6, stack)
            return
        self._names = name_actor(delivery.target.instance), name_message(delivery.message)
        log.warning(
            "%s has held the dispatch thread for %.0f ms with a %s, at\n%s",
            self._names[0],
            held_ns / 1e6,
            self._names[1],
            stack,
        )

    def _end_handler(self, held_ns: int, limit_ns: int) -> None:
        """Interrupt the handler once; if that did not help, give it up."""
        frames = frames_of(self._watched)
        handler, delivery = find_handler(frames), read_delivery(frames, self._reader)
        if delivery is None or self._dispatcher.delivered + delivery.count != self._number:
            return  # it has ended meanwhile; read after the handler, so this is its own number
        instance = None if delivery.target is None else delivery.target.instance
        who, what = name_actor(instance), name_message(delivery.message)
        error = HandlerTimeoutError(who, what, held_ns / 1e9)
        if self._give_up_at_ns is None:
            self._give_up_at_ns = held_ns + max(limit_ns, GRACE_NS)
        if held_ns >= self._give_up_at_ns:
            self._ended.set()
            self._give_up(error, format_frames(frames))
        elif handler is not None and not self._is_interrupted:
            self._is_interrupted = interrupt(self._watched, handler, error, self._spared)
            if self._is_interrupted:
                log.error("interrupted: %s", error)


def log_stuck(reason: str, stack: str) -> None:
    """What is done about a stuck thread unless somebody else sees to it."""
    log.critical("%s, at\n%s", reason, stack)
