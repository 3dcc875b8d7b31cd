"""A journal as a recording: its calls, in the order and at the times at which they came."""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from ..adapters.journal_rows import DamagedRow, JournalRow, select
from ..core.times import NS_PER_SECOND
from ..errors import ConfigError
from ..messages.calls import CALLS, Call, FlushStats, TrackStatsBatch
from ..messages.control import Input
from ..messages.stats import FlushTick
from .flushes import Clamp, Course, FlushPlan, plan_flushes
from .recording import AT_SECONDS_MAX
from .writing import METHODS, call_line

OTHER_ROOMS: Final = "calls of other rooms"
_KINDS: Final = frozenset(CALLS)
_ABOUT: Final = ("info", "api_call_info", "webhook_info", "event")
_Placed: TypeAlias = tuple[int, int, int, Call]  # when to make it (Unix ns), shard, position


@dataclass(frozen=True, slots=True)
class ShardJournal:
    """The journal of one data directory.

    Args:
        name: Which one, for people; empty when there is one only.
        connection: It must not change while it is read, see `adapters.journal_copy`.
        after: Positions up to this one are left out.
    """

    name: str
    connection: sqlite3.Connection
    after: int = 0


@dataclass(slots=True)
class Exported:
    """What became of a journal's inputs; grows while they are read.

    Args:
        calls: Calls that were written, by method.
        left_out: Inputs that were not, by what they are.
        problems: What could not be written, each with its place.
        moved: Calls that were written earlier than they came, to be ahead of a flush.
        moved_ns: By how much at most.
        last_ns: When the last call came (Unix ns).
    """

    calls: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    problems: int = 0
    moved: int = 0
    moved_ns: int = 0
    last_ns: int = 0


class JournalExport:
    """Reads journals twice: once for their ticks, then for their calls.

    Args:
        shards: Merged by time.
        room: Only calls of the room of this name, and explicit flushes; None: all.
        on_problem: Told of a row or call that cannot be written.
        on_row: Told of every row that was read for its calls.

    Attributes:
        plan: Where "at" 0 is, and the replay's flushes.
        exported: What was written so far.

    Raises:
        ConfigError: It is longer than a recording may be.
        sqlite3.Error: A journal cannot be read.
    """

    def __init__(
        self,
        shards: Sequence[ShardJournal],
        *,
        room: str | None = None,
        on_problem: Callable[[str], None] = lambda _: None,
        on_row: Callable[[], None] = lambda: None,
    ) -> None:
        self._shards = shards
        self._room = room
        self._on_problem = on_problem
        self._on_row = on_row
        self.exported = Exported()
        courses = [self._course(shard) for shard in shards]
        self.plan: FlushPlan = plan_flushes(courses)
        last_ns = max((course.last_ns for course in courses), default=0)
        if last_ns - self.plan.start_ns > AT_SECONDS_MAX * NS_PER_SECOND:
            raise ConfigError(
                f"--since: from the first call to the last there are more than the "
                f"{AT_SECONDS_MAX} seconds that a recording may have; export a part"
            )

    def lines(self) -> Iterator[str]:
        """Every line of the recording, to be written as it comes."""
        merged = heapq.merge(*(self._calls(number) for number in range(len(self._shards))))
        for at_ns, number, position, call in merged:
            try:
                line = call_line(call, at_ns - self.plan.start_ns)
            except ValueError as error:
                name = METHODS[type(call)]
                self._problem(self._shards[number], position, f"{name} has no line: {error}")
                continue
            self.exported.calls[METHODS[type(call)]] += 1
            yield line

    def _course(self, shard: ShardJournal) -> Course:
        course = Course()
        for row in select(shard.connection, shard.after):
            if isinstance(row, JournalRow):
                for _, one in _inputs(row, shard.after):
                    if type(one) is FlushTick:
                        course.tick(row.at_ns)
                    elif type(one) in _KINDS and self._is_wanted(one):
                        course.call(row.at_ns)
        return course

    def _calls(self, number: int) -> Iterator[_Placed]:
        shard, exported = self._shards[number], self.exported
        clamp = Clamp(self.plan.dues[number])
        for row in select(shard.connection, shard.after):
            self._on_row()
            if isinstance(row, DamagedRow):
                self._problem(shard, row.first, f"damaged: {row.error}")
                continue
            for position, one in _inputs(row, shard.after):
                if type(one) is FlushTick:
                    clamp.tick()
                if type(one) not in _KINDS:
                    exported.left_out[type(one).__name__] += 1
                elif not self._is_wanted(one):
                    exported.left_out[OTHER_ROOMS] += 1
                else:
                    at_ns = clamp.at(row.at_ns)
                    exported.moved += at_ns < row.at_ns
                    exported.moved_ns = max(exported.moved_ns, row.at_ns - at_ns)
                    exported.last_ns = max(exported.last_ns, row.at_ns)
                    yield at_ns, number, position, cast("Call", one)

    def _is_wanted(self, one: Input) -> bool:
        return self._room is None or type(one) is FlushStats or room_of(one) == self._room

    def _problem(self, shard: ShardJournal, position: int, what: str) -> None:
        self.exported.problems += 1
        self._on_problem(f"{f'{shard.name}: ' if shard.name else ''}position {position}: {what}")


def room_of(one: Input) -> str:
    """The name of the room that an input is about; empty: none, or it is not known."""
    room = getattr(one, "room", None)
    if room is not None:
        return str(room.name)
    for name in _ABOUT:
        about = getattr(one, name, None)
        if about is not None and not isinstance(about, str):
            return _named(about)
    return str(getattr(one, "room_name", ""))


def _named(about: Any) -> str:
    """Of a protobuf: what has no such field has no name."""
    return str(getattr(about, "room_name", "")) or (
        str(about.room.name) if hasattr(about, "room") else ""
    )


def _inputs(row: JournalRow, after: int) -> Iterator[tuple[int, Input]]:
    """With their positions, batches one by one."""
    for position, one in enumerate(row.inputs, row.first):
        if one is None or position <= after:
            continue
        if type(one) is TrackStatsBatch:
            for each in one.calls:
                yield position, each
        else:
            yield position, one
