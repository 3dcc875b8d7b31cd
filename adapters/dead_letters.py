"""Where dead letters are kept while the process lives; `stored_dead_letters` keeps them longer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from ..core.metrics import Metrics
from ..errors import ConfigError
from ..messages.control import DeadLetter

CAPACITY: Final = 1_000  # letters: far more than people read, some MB
FULL: Final = "dead_letters_full"  # the reason of the drop


class LetterState(StrEnum):
    """What became of a dead letter."""

    NEW = "new"
    REPLAY = "replay"  # somebody asked for it; only a stored letter waits in this state
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter in a box.

    Args:
        id: 1, 2, 3 …, never given twice in one box.
        state: What became of it.
        letter: Itself; not to be modified.
    """

    id: int
    state: LetterState
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class DeadLetterStatistics:
    """How full a box is.

    Args:
        kept: Letters in it now.
        dropped: Oldest letters that gave way to new ones.
    """

    kept: int
    dropped: int


class DeadLetters(Protocol):
    """A box that people can look into: a `core.ports.DeadLetterBox`, and more."""

    def add(self, letter: DeadLetter) -> None:
        """Keep it; returns at once. A full box drops its oldest letter, and counts that."""

    def list(self) -> tuple[KeptLetter, ...]:
        """Every letter, oldest first."""

    def get(self, letter_id: int) -> KeptLetter | None:
        """One letter; None if there is none with this id."""

    def take(self, letter_id: int) -> DeadLetter | None:
        """A letter to be replayed, which is "replayed" from now on.

        Returns:
            None if there is none with this id, or if it was replayed before.
        """

    def statistics(self) -> DeadLetterStatistics:
        """How full it is."""


class MemoryDeadLetters:
    """A `DeadLetters` in memory; safe from any thread.

    Args:
        capacity: How many letters it keeps.
        metrics: Counts `greenroom_dropped_total{reason="dead_letters_full"}`.

    Raises:
        ConfigError: The capacity is not at least 1.
    """

    def __init__(self, capacity: int = CAPACITY, *, metrics: Metrics | None = None) -> None:
        check_capacity(capacity)
        self._capacity = capacity
        self._metrics = metrics
        self._kept: OrderedDict[int, KeptLetter] = OrderedDict()
        self._added = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """One line for a debugger."""
        kept, dropped = len(self._kept), self.statistics().dropped
        return f"<MemoryDeadLetters {kept} of {self._capacity}, {dropped} dropped>"

    def add(self, letter: DeadLetter) -> None:
        """Keep it; a full box drops its oldest letter, and counts that."""
        with self._lock:
            self._added += 1
            self._kept[self._added] = KeptLetter(self._added, LetterState.NEW, letter)
            full = len(self._kept) > self._capacity
            if full:
                self._kept.popitem(last=False)
        if full and self._metrics is not None:
            self._metrics.dropped(FULL)

    def list(self) -> tuple[KeptLetter, ...]:
        """Every letter, oldest first."""
        with self._lock:
            return tuple(self._kept.values())

    def get(self, letter_id: int) -> KeptLetter | None:
        """One letter; None if there is none with this id."""
        with self._lock:
            return self._kept.get(letter_id)

    def take(self, letter_id: int) -> DeadLetter | None:
        """A letter to be replayed, which is "replayed" from now on; None: unknown, or it was."""
        with self._lock:
            kept = self._kept.get(letter_id)
            if kept is None or kept.state is LetterState.REPLAYED:
                return None
            self._kept[letter_id] = replace(kept, state=LetterState.REPLAYED)
            return kept.letter

    def watch(self, on_replay: Callable[[int, DeadLetter], bool]) -> None:
        """Nobody but this process can ask for a replay, and it need not be told."""

    def statistics(self) -> DeadLetterStatistics:
        """How full it is."""
        with self._lock:
            return DeadLetterStatistics(len(self._kept), self._added - len(self._kept))


def check_capacity(capacity: int) -> None:
    """Refuse a box for nothing.

    Raises:
        ConfigError: It is not at least 1.
    """
    if capacity < 1:
        raise ConfigError(f"capacity: must be at least 1, got {capacity!r}")
