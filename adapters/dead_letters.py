"""MemoryDeadLetters: the latest inputs that an actor could not digest, while the process lives."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from ..core.metrics import Metrics
from ..errors import DecodeError
from ..messages.calls import CALLS, Call
from ..messages.codec import decode
from ..messages.control import DeadLetter

CAPACITY: Final = 1_000  # a few MB: an input is bounded, and rarely above a few KB


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter in a box, where `number` (1, 2, 3 …) names it."""

    number: int
    letter: DeadLetter


class MemoryDeadLetters:
    """A `DeadLetterBox` in memory; safe from any thread.

    Args:
        metrics: A full box drops its oldest letter, and counts that here.
        capacity: Letters it holds.
    """

    def __init__(self, metrics: Metrics, capacity: int = CAPACITY) -> None:
        self._metrics = metrics
        self._capacity = capacity
        self._kept: dict[int, DeadLetter] = {}
        self._last = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<MemoryDeadLetters {len(self)} of {self._capacity}>"

    def add(self, letter: DeadLetter) -> None:
        """Keep it; the oldest makes room."""
        with self._lock:
            self._last += 1
            self._kept[self._last] = letter
            overflow = len(self._kept) > self._capacity
            if overflow:
                del self._kept[next(iter(self._kept))]
        if overflow:
            self._metrics.dropped("dead_letters_full")

    def letters(self) -> tuple[KeptLetter, ...]:
        """All of them, the oldest first."""
        with self._lock:
            return tuple(KeptLetter(number, letter) for number, letter in self._kept.items())

    def take_call(self, number: int) -> Call | None:
        """Take out a letter whose input was a call, to be made again; None: there is none."""
        with self._lock:
            letter = self._kept.get(number)
            if letter is None:
                return None
            try:
                message = decode(letter.body)
            except DecodeError:
                return None
            if not isinstance(message, CALLS):
                return None
            del self._kept[number]
            return message
