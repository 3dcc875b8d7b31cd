"""A door whose inputs are on the disk before they are let in.

    enter ──► waiting ──(the store's thread: stamp, write, commit)──► ready ──► admit

Whatever takes effect can so be told again after a crash. Answers and wake-ups of the system's own
go straight to `ready`: what they say is in tables of their own, or is asked for anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..core.journal import Group, Journal, Origin
from ..core.ports import Clock
from ..messages.calls import TrackStatsBatch
from ..messages.control import Input, Stamped
from ..messages.stats import FlushTick
from .door import NEVER_REFUSED, Door, Mark, Notice, OnDrop
from .waker import Waker

STRAIGHT: Final = frozenset(NEVER_REFUSED) - {FlushTick}
GROUP_MAX: Final = 4_096  # statistics in a group: 30 ms of the dispatch thread
GROUPS_READY_MAX: Final = 2  # one is being handled, and the next one is there


class Parcel:
    """Inputs that go into one group, and what is remembered with them."""

    __slots__ = ("bodies", "origin")

    def __init__(self, bodies: Sequence[Input], origin: Origin | None) -> None:
        self.bodies = bodies
        self.origin = origin


class _GroupEnd:
    """The place where another group may be taken."""


_END: Final = _GroupEnd()


class JournaledDoor(Door):
    """The queue where inputs wait until they are written, and until the one before is digested.

    Args:
        clock: Stamps what is written: all of a group at once.
        journal: Has it written; its `door` is this one.
        stats_capacity: As of a `Door`; here it counts those that are not written yet.
        hard_capacity: As of a `Door`, likewise.
        on_drop: As of a `Door`.
    """

    __slots__ = ("_dispatch_waker", "_group", "_groups_ready", "_journal", "_ready")

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        *,
        stats_capacity: int,
        hard_capacity: int,
        on_drop: OnDrop,
    ) -> None:
        super().__init__(
            clock, stats_capacity=stats_capacity, hard_capacity=hard_capacity, on_drop=on_drop
        )
        self._journal = journal
        self._dispatch_waker = Waker()  # nobody's, until a base has this door
        # of a journaled input with its stamp, of the system's own without
        self._ready: deque[object] = deque()
        self._group: Group | None = None  # taken, and not committed yet
        self._groups_ready = 0

    @property
    def is_empty(self) -> bool:
        """Nothing can be admitted now; more may be on its way through the journal."""
        return not (self._ready or self._turns or self._turns_marks)

    @property
    def is_full(self) -> bool:
        """Whether enough is written, and waits for the dispatch thread."""
        return self._groups_ready >= GROUPS_READY_MAX

    @property
    def has_unwritten(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._waiting) or self._group is not None

    def enter(self, target: object, body: Input) -> bool:
        """Queue `body` for the actor at address `target`; any thread, never blocks.

        Returns:
            False when it was dropped, because the door is full or closed.
        """
        if type(body) in STRAIGHT:
            if self._closed and not self._may_enter(body):
                return False
            self._ready.append((target, body))
            self._ring()
        else:
            waiting = self._waiting
            if len(waiting) >= self._unchecked and not self._may_enter(body):
                return False
            waiting.append(body if target is self._leads_to else (target, body))
            self._journal.wake()
        if self._finished:  # closed for good while this one came in: nobody will admit it
            self._throw_out("closed")
        return True

    def enter_together(self, bodies: Sequence[Input], origin: Origin | None) -> None:
        """Queue inputs for the actor that the door leads to: in one group, with their origin.

        Those that find the door full are dropped.
        """
        taken = bodies
        if len(self._waiting) >= self._unchecked:
            taken = [body for body in bodies if self._may_enter(body)]
        self._waiting.append(Parcel(taken, origin))  # type: ignore[arg-type]  # as a Mark
        self._journal.wake()
        if self._finished:
            self._throw_out("closed")

    def admit(self) -> tuple[object, object] | None:
        """As `Door.admit`, of what is written."""
        ready = self._ready
        if self._turns:
            self._inputs_until_turn -= 1
            if self._inputs_until_turn < 0 or not ready:
                self._inputs_until_turn = self._inputs_per_turn
                return self._turns.popleft()
        elif self._turns_marks:
            self._reach_turns_marks()
        while ready:
            entry: Any = ready.popleft()
            if type(entry) is tuple:
                target, body = entry
                if type(body) is Stamped:
                    if self._turns and type(body.body) is TrackStatsBatch:
                        self._inputs_until_turn -= len(body.body.calls) - 1
                    return target, body
                position, at_ns = self._stamps(1)
                return target, Stamped(position, at_ns, body)
            if entry is _END:
                self._groups_ready -= 1
                if self._waiting:
                    self._journal.wake()
                continue
            if self._turns:
                self._turns_marks.append(entry)  # what it waits for is done in turns
                return self.admit()
            self._marks_reached += 1
            entry.reach()
        return None

    def mark(self, mark: Mark) -> None:
        """Queue a mark behind all that has entered."""
        with self._lock:
            self._marks_set += 1
            is_behind = self.has_unwritten  # else the journal need not be woken for it
            (self._waiting if is_behind else self._ready).append(mark)
        if not is_behind:
            self._ring()
        elif isinstance(mark, Notice):
            self._journal.wake()
        else:
            self._journal.hurry()

    def connect(self, waker: Waker) -> None:
        """From now on, whatever is ready wakes this one."""
        self._dispatch_waker = waker

    # ── on the store's thread ───────────────────────────────────────────────────────────────

    def take(self) -> Group | None:
        """What is to be written next: stamped, and the same again until `let_in`; or nothing."""
        if self._group is None and self._waiting and not self.is_full:
            self._group = self._gather()
        return self._group

    def let_in(self) -> None:
        """The group that was taken is on the disk: it may take effect."""
        group, self._group = self._group, None
        if group is not None:
            self._groups_ready += 1
            self._ready.extend((*group.entries, _END))
            self._ring()
            if self._finished:
                self._throw_out("closed")

    def refuse(self) -> None:
        """The group could not be written: whoever waits for it shall not wait for the disk."""
        entries = () if self._group is None else self._group.entries
        for entry in (*entries, *self._waiting.copy()):
            if isinstance(entry, Mark):
                entry.abandon()

    def _gather(self) -> Group:
        waiting, leads_to = self._waiting, self._leads_to
        inputs: list[Input] = []
        entries: list[Any] = []
        origins: list[Origin] = []
        weight = 0
        while waiting and weight < GROUP_MAX:
            waits: Any = waiting.popleft()
            if isinstance(waits, Mark):
                entries.append(waits)
                continue
            if type(waits) is Parcel:
                if waits.origin is not None:
                    origins.append(waits.origin)
                entries += [(leads_to, body) for body in waits.bodies]
                inputs += waits.bodies
                weight += sum(map(_weight, waits.bodies))
                continue
            target, body = waits if type(waits) is tuple else (leads_to, waits)
            entries.append((target, body))
            inputs.append(body)
            weight += _weight(body)
        first, at_ns = self._stamps(len(inputs))
        position = first
        for place, entry in enumerate(entries):
            if type(entry) is tuple:
                entries[place] = (entry[0], Stamped(position, at_ns, entry[1]))
                position += 1
        return Group(first, at_ns, inputs, origins, entries)

    # ── recovery ────────────────────────────────────────────────────────────────────────────

    def resume(self, position: int, at_ns: int) -> None:
        """Go on after these stamps, of a life before."""
        with self._lock:
            self._position, self._last_ns = position, at_ns

    def feed(self, inputs: Iterable[Stamped]) -> None:
        """Let in what was written in a life before, for the actor that the door leads to."""
        self._ready.extend((self._leads_to, stamped) for stamped in inputs)
        self._ring()

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _ring(self) -> None:
        if self._dispatch_waker.asleep:
            self._dispatch_waker.wake()

    def _stamps(self, count: int) -> tuple[int, int]:
        """The next so many positions, and the time."""
        at_ns = self._now_ns()
        with self._lock:
            first = self._position + 1
            self._position += count
            self._last_ns = at_ns = max(at_ns, self._last_ns)  # the clock may be set back
        return first, at_ns

    def _throw_out(self, reason: str) -> None:
        """Drop what waits. What is written already is not lost: the next life has it."""
        with self._lock:
            waiting = [*self._waiting]
            self._waiting.clear()
            ready = [*self._ready]
            self._ready.clear()
        for waits in waiting:
            self._waiting.extend(waits.bodies if isinstance(waits, Parcel) else (waits,))
        for entry in ready:
            if isinstance(entry, Mark):
                self._marks_reached += 1
                entry.abandon()
        super()._throw_out(reason)


def _weight(body: Input) -> int:
    return len(body.calls) if type(body) is TrackStatsBatch else 1
