"""Where a replay's own flushes fall, so that each has what the recorded one had.

A replay flushes every 30 s from "at" 0 on. So "at" 0 of a written recording is a whole number of
intervals before the recorded ticks, and what came before a tick is written at a time before the
replay's flush. That moves a call only where its tick came late, and by as long at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ..config import FLUSH_INTERVAL_SECONDS
from ..core.times import NS_PER_SECOND, to_ns

INTERVAL_NS: Final = to_ns(FLUSH_INTERVAL_SECONDS)
LATE_NS_MAX: Final = NS_PER_SECOND  # a tick that is later has no flush in the replay


@dataclass(slots=True)
class Course:
    """When one shard's calls and ticks came (Unix ns).

    Args:
        first_ns: The first call; None: there is none.
        last_ns: The last call.
        ticks_before: How many ticks came before the first call.
        ticks_until: How many came before the last one.
        ticks: All of them.
    """

    first_ns: int | None = None
    last_ns: int = 0
    ticks_before: int = 0
    ticks_until: int = 0
    ticks: list[int] = field(default_factory=list)

    @property
    def began_with_interval(self) -> bool:
        """Whether the first call came in the first half of an interval, as far as is known."""
        if self.first_ns is None:
            return False
        return not self.ticks or self.ticks[0] - self.first_ns > INTERVAL_NS // 2

    def call(self, at_ns: int) -> None:
        """A call came."""
        if self.first_ns is None:
            self.first_ns, self.ticks_before = at_ns, len(self.ticks)
        self.last_ns, self.ticks_until = at_ns, len(self.ticks)

    def tick(self, at_ns: int) -> None:
        """A tick came."""
        self.ticks.append(at_ns)


@dataclass(frozen=True, slots=True)
class FlushPlan:
    """Where the flushes of a replay fall.

    Args:
        start_ns: Unix time of "at" 0.
        dues: For each shard the replay's flush for each of its ticks (Unix ns); None: it has
            none for it.
        different: How many flushes are only in the replay, or only in what is recorded.
    """

    start_ns: int
    dues: tuple[tuple[int | None, ...], ...]
    different: int


class Clamp:
    """The times of one shard's calls, each on its side of the flushes.

    Args:
        dues: Of its ticks, see `FlushPlan`.
    """

    def __init__(self, dues: Sequence[int | None]) -> None:
        # for each tick the flush that is next, from the last one on
        self._next: list[int | None] = [None]
        for due in reversed(dues):
            self._next.append(self._next[-1] if due is None else due)
        self._last_ns = 0

    def at(self, at_ns: int) -> int:
        """When a call that came then is to be made (Unix ns)."""
        flush = self._next[-1]
        self._last_ns = max(self._last_ns, at_ns if flush is None else min(at_ns, flush - 1))
        return self._last_ns

    def tick(self) -> None:
        """The next tick came."""
        self._next.pop()


def plan_flushes(courses: Sequence[Course]) -> FlushPlan:
    """Fit the flushes of a replay to recorded ticks; without ticks "at" 0 is the first call."""
    ticks = [tick for course in courses for tick in course.ticks]
    dues: tuple[tuple[int | None, ...], ...] = tuple(() for _ in courses)
    if ticks:
        # no flush may come between the calls before the first tick, either
        early = (course.first_ns for course in courses if course.began_with_interval)
        late = (_late_ns(one, ticks[0]) for one in (*ticks, *filter(None, early)))
        phase_ns = ticks[0] + min(one for one in late if abs(one) <= LATE_NS_MAX)
        dues = tuple(_dues(course.ticks, phase_ns) for course in courses)
    firsts = [_first_ns(*pair) for pair in zip(courses, dues, strict=True) if pair[0].first_ns]
    first_ns = min(firsts, default=0)
    start_ns = first_ns - (first_ns - phase_ns) % INTERVAL_NS if ticks else first_ns
    different = sum(
        _different(course, of_course, start_ns)
        for course, of_course in zip(courses, dues, strict=True)
    )
    return FlushPlan(start_ns, dues, different)


def _late_ns(tick: int, phase_ns: int) -> int:
    """By how much it is later than the nearest whole interval from `phase_ns`; may be negative."""
    half = INTERVAL_NS // 2
    return (tick - phase_ns + half) % INTERVAL_NS - half


def _dues(ticks: Sequence[int], phase_ns: int) -> tuple[int | None, ...]:
    dues: list[int | None] = []
    last_ns = 0
    for tick in ticks:
        late_ns = _late_ns(tick, phase_ns)
        due_ns = tick - late_ns
        is_met = 0 <= late_ns <= LATE_NS_MAX and due_ns > last_ns  # one flush for one tick
        dues.append(due_ns if is_met else None)
        last_ns = due_ns if is_met else last_ns
    return tuple(dues)


def _first_ns(course: Course, dues: Sequence[int | None]) -> int:
    assert course.first_ns is not None
    return Clamp(dues[course.ticks_before :]).at(course.first_ns)


def _different(course: Course, dues: Sequence[int | None], start_ns: int) -> int:
    """Only flushes between two calls count: around them nothing can differ."""
    if course.first_ns is None:
        return 0
    first_ns = _first_ns(course, dues)
    last_ns = Clamp(dues[course.ticks_until :]).at(course.last_ns)
    flushes = (last_ns - start_ns) // INTERVAL_NS - (first_ns - start_ns) // INTERVAL_NS
    inside = dues[course.ticks_before : course.ticks_until]
    unmet = inside.count(None)
    return max(flushes - (len(inside) - unmet), 0) + unmet
