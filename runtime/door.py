"""The door of a shard: bounded, any thread may enter, and what is admitted gets its stamp."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, final

from ..config import CAPACITY
from ..core.ports import Clock
from ..messages.calls import TrackStats, TrackStatsBatch
from ..messages.control import Input, RestartDue, Stamped
from ..messages.deliveries import Buried, Kept, KeysLoaded, Loaded, NotKept, Requeued
from ..messages.outputs import AttemptEnded, LaneDue, RetryDue, SweepDue
from ..messages.stats import FlushTick
from .waker import Waker

T = TypeVar("T")
OnDrop: TypeAlias = Callable[[str, Input], None]

# At least one turn is given for so many inputs: at full load a turn of a flush (64 workers, 1.5 ms
# in the benchmark) then takes a third of the time, and none of both waits for the other's end.
INPUTS_PER_TURN: Final = 256

# The system's own: there is at most one for each timer, attempt or question to the store, and
# losing it would lose work.
NEVER_REFUSED = (
    *(AttemptEnded, RetryDue, LaneDue, SweepDue, FlushTick, RestartDue),
    *(Kept, NotKept, Loaded, KeysLoaded, Buried, Requeued),
)


@dataclass(frozen=True, slots=True)
class DoorStatistics:
    """What went through a door.

    Args:
        entered: Inputs that were let in.
        admitted: Those that have been stamped: the last position given.
        waiting: Those that still queue.
        dropped: Inputs that were refused, or thrown out at the end.
    """

    entered: int
    admitted: int
    waiting: int
    dropped: int


class Mark:
    """A place in the door's queue: reached when all that was before it is done."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def reach(self) -> None:
        """Let the one who waits go on."""
        self._event.set()

    def abandon(self) -> None:
        """What was before it is thrown out; whoever waits, waits for nothing."""
        self._event.set()

    def wait(self, timeout_seconds: float | None) -> bool:
        """Whether it was reached within this time (None: it is waited for as long as needed)."""
        return self._event.wait(timeout_seconds)


@final
class Notice(Mark):
    """A mark that nobody waits for: when it is reached, `then` is called.

    Args:
        then: Quick and never raising; on the dispatch thread. Not called if what was before the
            mark is thrown out.
    """

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def reach(self) -> None:
        """Call it."""
        super().reach()
        self._then()


class Door:
    """The queue where inputs wait until their shard has digested the one before.

    Statistics are refused first, so that at a hard limit there is still room for what happens
    rarely and matters more.

    Args:
        clock: Stamps what is admitted.
        stats_capacity: TrackStats are refused while this many inputs wait.
        hard_capacity: Every other call is refused while this many wait.
        inputs_per_turn: So many inputs are admitted before a turn that waits is given.
        on_drop: Told the reason ("door_full", "closed", "broken") and the input of each loss: on
            the thread that brought it, or at the end on the one that throws out the rest.
    """

    __slots__ = (
        "_closed",
        "_dropped",
        "_finished",
        "_hard_capacity",
        "_inputs_per_turn",
        "_inputs_until_turn",
        "_last_ns",
        "_leads_to",
        "_lock",
        "_marks_reached",
        "_marks_set",
        "_now_ns",
        "_on_drop",
        "_position",
        "_stats_capacity",
        "_thrown_out",
        "_turns",
        "_turns_marks",
        "_unchecked",
        "_waiting",
        "_waker",
    )

    def __init__(
        self,
        clock: Clock,
        *,
        stats_capacity: int = CAPACITY,
        hard_capacity: int = 2 * CAPACITY,
        inputs_per_turn: int = INPUTS_PER_TURN,
        on_drop: OnDrop,
    ) -> None:
        self._now_ns = clock.now_ns
        self._stats_capacity = stats_capacity
        self._hard_capacity = hard_capacity
        self._on_drop = on_drop
        self._waker = Waker()  # nobody's, until a base has this door
        # An input for the actor that the door leads to waits without a tuple: half as many objects
        # for the garbage collector to count and to go over.
        self._waiting: deque[Input | Mark | tuple[object, Input]] = deque()
        self._leads_to: object = None
        self._unchecked = min(stats_capacity, hard_capacity)  # below this, anything may enter
        self._closed = ""  # the reason, once it is
        self._finished = False
        self._turns: deque[tuple[object, object]] = deque()
        self._turns_marks: list[Mark] = []  # reached when no turn is left
        self._inputs_per_turn = self._inputs_until_turn = inputs_per_turn
        self._position = 0
        self._last_ns = 0
        self._lock = threading.Lock()  # for the counts that several threads write
        self._dropped = 0
        self._thrown_out = 0
        self._marks_set = 0
        self._marks_reached = 0

    def __repr__(self) -> str:
        seen = self.statistics()
        return (
            f"<Door {seen.waiting} waiting, {seen.admitted} admitted, {seen.dropped} dropped"
            f"{', ' + self._closed if self._closed else ''}>"
        )

    @property
    def is_empty(self) -> bool:
        """Neither an input nor a mark nor a turn waits."""
        return not (self._waiting or self._turns or self._turns_marks)

    def enter(self, target: object, body: Input) -> bool:
        """Queue `body` for the actor at address `target`; any thread, never blocks.

        Returns:
            False when it was dropped, because the door is full or closed.
        """
        waiting = self._waiting
        if len(waiting) >= self._unchecked and not self._may_enter(body):
            return False
        waiting.append(body if target is self._leads_to else (target, body))
        if self._waker.asleep:  # as _ring, without the price of a call
            self._waker.wake()
        if self._finished:  # closed for good while this one came in: nobody will admit it
            self._throw_out("closed")
        return True

    def take_turn(self, target: object, message: object) -> None:
        """Have `message` told to `target` between inputs: at once, if none waits.

        For work that an actor does in parts, so that no input waits for all of it. On the
        dispatch thread only.
        """
        self._turns.append((target, message))

    def admit(self) -> tuple[object, object] | None:
        """Take out the next input, stamped, with its target; None: nothing waits.

        Now and then, and when no input waits, it is a turn: a message without a stamp.

        On the dispatch thread only, and only when what was admitted before is done: the marks
        that it passes are reached.
        """
        waiting = self._waiting
        if self._turns:
            self._inputs_until_turn -= 1
            if self._inputs_until_turn < 0 or not waiting:
                self._inputs_until_turn = self._inputs_per_turn
                return self._turns.popleft()
        elif self._turns_marks:
            self._reach_turns_marks()
        while waiting:
            waits = waiting.popleft()
            if isinstance(waits, Mark):
                if self._turns:
                    self._turns_marks.append(waits)  # what it waits for is done in turns
                    return self.admit()
                self._marks_reached += 1
                waits.reach()
                continue
            target, body = waits if isinstance(waits, tuple) else (self._leads_to, waits)
            if self._turns and isinstance(body, TrackStatsBatch):
                self._inputs_until_turn -= len(body.calls) - 1  # it takes as long as so many
            self._position = position = self._position + 1
            at_ns = self._now_ns()
            if at_ns < self._last_ns:
                at_ns = self._last_ns  # the machine's clock was set back
            else:
                self._last_ns = at_ns
            return target, Stamped(position, at_ns, body)
        return None

    def mark(self, mark: Mark) -> None:
        """Queue a mark behind all that has entered."""
        with self._lock:
            self._marks_set += 1
            self._waiting.append(mark)
        self._ring()

    def lead_to(self, target: object) -> None:
        """Nearly all inputs will be for this actor: those take less. Once, before the first."""
        self._leads_to = target

    def connect(self, waker: Waker) -> None:
        """From now on, whatever enters wakes this one."""
        self._waker = waker

    def close(self, reason: str = "closed") -> None:
        """Let nothing in any more; what waits is still admitted."""
        self._closed = self._closed or reason
        self._unchecked = 0

    def finish(self, reason: str = "closed") -> None:
        """Close, and throw out what still waits: nobody will admit it."""
        self.close(reason)
        self._finished = True
        self._throw_out(reason)

    def _throw_out(self, reason: str) -> None:
        """Drop all that waits, telling `on_drop`; marks are reached."""
        self._turns.clear()
        while self._turns_marks:
            self._marks_reached += 1
            self._turns_marks.pop().abandon()
        for waits in taken_out(self._waiting):
            self._throw_away(waits, reason)

    def _throw_away(self, waits: Input | Mark | tuple[object, Input], reason: str) -> None:
        """Drop one of those that wait."""
        if isinstance(waits, Mark):
            self._marks_reached += 1
            waits.abandon()
        else:
            with self._lock:
                self._thrown_out += 1
            self._drop(reason, waits[1] if isinstance(waits, tuple) else waits)

    def _ring(self) -> None:
        """Wake who admits."""
        if self._waker.asleep:
            self._waker.wake()

    def _reach_turns_marks(self) -> None:
        while self._turns_marks:
            self._marks_reached += 1
            self._turns_marks.pop().reach()

    def statistics(self) -> DoorStatistics:
        """The counts so far."""
        marks = self._marks_set - self._marks_reached - len(self._turns_marks)
        waiting = max(0, len(self._waiting) - marks)
        return DoorStatistics(
            entered=self._position + waiting + self._thrown_out,
            admitted=self._position,
            waiting=waiting,
            dropped=self._dropped,
        )

    def _may_enter(self, body: Input) -> bool:
        if self._closed:
            self._drop(self._closed, body)
            return False
        limit = (
            self._stats_capacity
            if isinstance(body, TrackStats | TrackStatsBatch)
            else self._hard_capacity
        )
        if len(self._waiting) < limit or isinstance(body, NEVER_REFUSED):
            return True
        self._drop("door_full", body)
        return False

    def _drop(self, reason: str, body: Input) -> None:
        with self._lock:
            self._dropped += 1
        self._on_drop(reason, body)


def taken_out(queue: deque[T]) -> Iterator[T]:
    """What is in it, one after the other; another thread may take some of it."""
    while queue:
        try:
            yield queue.popleft()
        except IndexError:
            return
