"""A door whose inputs are on the disk before they are let in.

    enter ──► waiting ──(the store's thread: stamp, write, commit)──► ready ──► admit

Whatever takes effect can so be told again after a crash. Answers and wake-ups of the system's own
go straight in, but for the ticks of the flush timer: what they say is in tables of their own, or
is asked for anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from ..core.journal import Group, Journal, Origin
from ..core.ports import Clock
from ..messages.calls import TrackStatsBatch
from ..messages.control import Input, Stamped
from ..messages.stats import FlushTick
from .door import NEVER_REFUSED, Door, Mark, Notice, OnDrop, taken_out

STRAIGHT: Final = frozenset(NEVER_REFUSED) - {FlushTick}
GROUP_MAX: Final = 4_096  # statistics in a group: 30 ms of the dispatch thread
GROUPS_READY_MAX: Final = 2  # one is being handled, and the next one is there


class Parcel:
    """Inputs that go into one group, and what is remembered with them."""

    __slots__ = ("bodies", "origin")

    def __init__(self, bodies: Sequence[Input], origin: Origin | None) -> None:
        self.bodies = bodies
        self.origin = origin


class JournaledDoor(Door):
    """The queue where inputs wait until they are written, and until the one before is digested.

    Args:
        clock: Stamps what is written: all of a group at once.
        journal: Has it written; its `door` is this one.
        stats_capacity: As of a `Door`; here it counts those that are not written yet.
        hard_capacity: As of a `Door`, likewise.
        on_drop: As of a `Door`.
    """

    __slots__ = (
        "_behind_ns",
        "_entered",
        "_entered_ns",
        "_entering",
        "_fed",
        "_group",
        "_is_taking_up",
        "_journal",
        "_ready",
        "_straight",
    )

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
        self._straight: deque[tuple[object, Input]] = deque()  # the system's own
        # An input gets its stamp as an object when it is admitted: what lives for long is counted
        # and gone over by the garbage collector.
        self._ready: deque[Group] = deque()
        self._entering: deque[Any] = deque()  # what is left of the group that is being admitted
        self._behind_ns = 0
        self._is_taking_up = False
        self._entered = self._entered_ns = 0  # the last stamp of it
        self._group: Group | None = None  # taken, and not committed yet

    @property
    def is_empty(self) -> bool:
        """Nothing can be admitted now; more may be on its way through the journal."""
        return not (
            self._entering or self._ready or self._straight or self._turns or self._turns_marks
        )

    @property
    def is_full(self) -> bool:
        """Whether enough is written, and waits for the dispatch thread."""
        ready = len(self._ready) + bool(self._entering)
        return self._is_taking_up or ready >= GROUPS_READY_MAX

    @property
    def behind_ns(self) -> int:
        """How far the clock was behind the stamp before, at the last one."""
        return self._behind_ns

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
            self._straight.append((target, body))
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
        waiting: deque[Any] = self._waiting
        waiting.append(Parcel(taken, origin))
        self._journal.wake()
        if self._finished:
            self._throw_out("closed")

    def admit(self) -> tuple[object, object] | None:
        """As `Door.admit`, of what is written."""
        entering = self._entering
        if self._turns:
            self._inputs_until_turn -= 1
            idle = not (entering or self._ready or self._straight)
            if self._inputs_until_turn < 0 or idle:
                self._inputs_until_turn = self._inputs_per_turn
                return self._turns.popleft()
        elif self._turns_marks:
            self._reach_turns_marks()
        if self._straight:
            target, body = self._straight.popleft()
            position, at_ns = self._stamps(1)
            return target, Stamped(position, at_ns, body)
        while entering or self._enter_next():
            waits = entering.popleft()
            if isinstance(waits, Mark):
                if self._turns:
                    self._turns_marks.append(waits)  # what it waits for is done in turns
                    return self.admit()
                self._marks_reached += 1
                waits.reach()
                continue
            self._entered += 1
            if waits is None:
                continue  # one of a life before that has left no trace
            target, body = waits if type(waits) is tuple else (self._leads_to, waits)
            if self._turns and type(body) is TrackStatsBatch:
                self._inputs_until_turn -= len(body.calls) - 1
            return target, Stamped(self._entered, self._entered_ns, body)
        return None

    def mark(self, mark: Mark) -> None:
        """Queue a mark behind all that has entered."""
        with self._lock:
            self._marks_set += 1
            is_behind = self.has_unwritten and not self._is_taking_up
            if is_behind:
                self._waiting.append(mark)
            else:  # the journal need not be woken for it
                self._ready.append(Group(entries=[mark]))
        if not is_behind:
            self._ring()
        elif isinstance(mark, Notice):
            self._journal.wake()
        else:
            self._journal.hurry()

    # ── on the store's thread ───────────────────────────────────────────────────────────────

    def take(self) -> Group | None:
        """What is to be written next: stamped, and the same again until `let_in`; or nothing."""
        if self._group is None and self._waiting and not self.is_full:
            # at once, as a mark that finds neither inputs nor a group would overtake them
            self._group = group = Group()
            self._gather(group)
        return self._group

    def let_in(self) -> None:
        """The group that was taken is on the disk: it may take effect."""
        group = self._group
        if group is not None:
            self._ready.append(group)
            self._group = None  # only now, likewise
            self._ring()
            if self._finished:
                self._throw_out("closed")

    def refuse(self) -> None:
        """The group could not be written: whoever waits for it shall not wait for the disk."""
        entries = () if self._group is None else self._group.entries
        for entry in (*entries, *self._waiting.copy()):
            if isinstance(entry, Mark):
                entry.abandon()

    def _gather(self, group: Group) -> None:
        waiting: deque[Any] = self._waiting
        inputs, entries, origins = group.inputs, group.entries, group.origins
        weight = 0
        for waits in taken_out(waiting):
            if isinstance(waits, Mark):
                entries.append(waits)
            elif type(waits) is Parcel:
                if waits.origin is not None:
                    origins.append(waits.origin)
                entries += waits.bodies
                inputs += waits.bodies
                weight += sum(map(_weight, waits.bodies))
            else:
                entries.append(waits)
                inputs.append(waits[1] if type(waits) is tuple else waits)
                weight += _weight(inputs[-1])
            if weight >= GROUP_MAX:
                break
        group.first, group.at_ns = self._stamps(len(inputs))

    # ── recovery ────────────────────────────────────────────────────────────────────────────

    def resume(self, position: int, at_ns: int) -> None:
        """Go on after these stamps, of a life before.

        Until `taken_up` only that life's inputs are let in: whatever is new comes after them, or
        a flush would be of something else than the inputs before it.
        """
        with self._lock:
            self._position, self._last_ns = position, at_ns
            self._is_taking_up = True

    def taken_up(self) -> None:
        """All inputs of the life before are handled."""
        self._is_taking_up = False
        if self._waiting:
            self._journal.wake()

    def feed(self, first: int, at_ns: int, inputs: Sequence[Input | None]) -> None:
        """Let in what was written in a life before, for the actor that the door leads to.

        Args:
            first: The position of the first one.
            at_ns: Their time (Unix ns).
            inputs: In their order; None is passed over.
        """
        self._ready.append(Group(first, at_ns, entries=[*inputs]))
        self._ring()

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _enter_next(self) -> bool:
        """Go on with the next group that has anything; False: there is none."""
        while self._ready:
            group = self._ready.popleft()
            self._entered, self._entered_ns = group.first - 1, group.at_ns
            self._entering.extend(group.entries)
            if self._waiting:
                self._journal.wake()  # there is room for another
            if self._entering:
                return True
        return False

    def _stamps(self, count: int) -> tuple[int, int]:
        """The next so many positions, and the time."""
        at_ns = self._now_ns()
        with self._lock:
            first = self._position + 1
            self._position += count
            self._behind_ns = max(self._last_ns - at_ns, 0)  # the clock may be set back
            self._last_ns = at_ns = max(at_ns, self._last_ns)
        return first, at_ns

    def _throw_out(self, reason: str) -> None:
        """Drop what waits. What is written already is not lost: the next life has it."""
        self._straight.clear()
        for group in taken_out(self._ready):
            self._entering.extend(group.entries)
        for entry in taken_out(self._entering):
            if isinstance(entry, Mark):
                self._throw_away(entry, reason)
        super()._throw_out(reason)

    def _throw_away(self, waits: Any, reason: str) -> None:
        for each in waits.bodies if type(waits) is Parcel else (waits,):
            super()._throw_away(each, reason)


def _weight(body: Input) -> int:
    return len(body.calls) if type(body) is TrackStatsBatch else 1
