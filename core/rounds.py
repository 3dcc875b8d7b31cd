"""Who still has to be told which flush, when one is told in slices.

A flush covers exactly the inputs before it. So whoever tells a worker anything tells it first what
it is `owed`; then it does not matter when a slice reaches it: the result is that of telling all
workers at once, because messages of one sender to one receiver keep their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ..messages.stats import Flush
from .roster import Entry, Roster

A = TypeVar("A")

NOTHING_OWED: Final[tuple[Flush, ...]] = ()


class FlushRounds(Generic[A]):
    """The flushes of one roster; a round goes once through all workers, newest first.

    Args:
        roster: Whose workers are flushed.
    """

    def __init__(self, roster: Roster[A]) -> None:
        self._roster = roster
        self._flushes: deque[Flush] = deque()  # those that somebody may still be owed
        self._round: Iterator[Entry[A]] | None = None
        self._round_ends = 0  # the last flush that all of this round will have been told
        self.number = 0

    def __repr__(self) -> str:
        return f"<FlushRounds {self.number} so far, {len(self._flushes)} not told to all>"

    def begin(self, at_ns: int) -> bool:
        """The next flush, at `at_ns` (Unix ns).

        Returns:
            True if slices have to be asked for; False: it waits for the round that is going on.
        """
        if self._round is None:
            self._flushes.clear()  # all have been told
        self.number += 1
        self._flushes.append(Flush(self.number, at_ns))
        if self._round is not None:
            return False
        self._start_round()
        return True

    def owed(self, entry: Entry[A]) -> tuple[Flush, ...]:
        """The flushes that this worker has not been told, in order; they are told now."""
        told = entry.flushed
        if told == self.number:
            return NOTHING_OWED
        entry.flushed = self.number
        return tuple(flush for flush in self._flushes if flush.number > told)

    def next_slice(self, count: int) -> list[Entry[A]]:
        """The next workers of the round: up to `count` that are owed something.

        Fewer than `count`: the round is over. A round that begins then, because there was
        another flush meanwhile, goes on with the next slice.
        """
        found: list[Entry[A]] = []
        if self._round is None:
            return found
        for entry in self._round:
            if entry.flushed != self.number and self._roster.keeps(entry):
                found.append(entry)
                if len(found) == count:
                    return found
        self._round = None
        if self.number > self._round_ends:
            self._start_round()
        return found

    @property
    def is_going_on(self) -> bool:
        """Whether there is another slice to come."""
        return self._round is not None

    def _start_round(self) -> None:
        self._round = iter(self._roster.newest_first())
        self._round_ends = self.number
