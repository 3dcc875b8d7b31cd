"""Webhook vectors in other orders of delivery than the usual one.

The notifier is the real one, and so is its way to the receiver, over HTTP on threads of their own.
When an answer comes is therefore up to the machine: where several attempts are in flight the
seed fixes the order of the actors' messages, not that of the answers. Nothing is relaxed in the
comparison.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from ..runtime.schedule import SeededSchedule
from .receiver import Receiver
from .runner import DELIVERIES, read_files
from .vectors import Vector

# One seed plays every so manieth line, so each line meets every so manieth seed …
SHARES: Final = 40
# … and of the lines that wait 0.2 s and more of real time, each of these.
SLOW_SHARES: Final = 250


def check_seed(seed: int, *, path: Path) -> None:
    """Play this seed's share of the lines that need a notifier, in this seed's order.

    Args:
        seed: Any; `SLOW_SHARES` consecutive ones play every line.
        path: A file of vectors.

    Raises:
        AssertionError: Something differs; the text says in which line, and what.
    """
    fast, slow = _read(path)
    lines = (*fast[seed % SHARES :: SHARES], *slow[seed % SLOW_SHARES :: SLOW_SHARES])
    with Receiver(lambda: SeededSchedule(seed)) as receiver:
        for line in lines:
            found = DELIVERIES[line.name](line, receiver).differences
            assert not found, f"{line}: {'; '.join(map(str, found[:5]))}"


@cache
def _read(path: Path) -> tuple[tuple[Vector, ...], tuple[Vector, ...]]:
    """The lines that need a notifier: those that only compute, and those that wait."""
    lines = [line for line in read_files([path]) if line.name in DELIVERIES]
    slow = [line for line in lines if _waits(line)]
    return tuple(line for line in lines if line not in slow), tuple(slow)


def _waits(line: Vector) -> bool:
    return line.name == "stop" or "timeout" in str(line.content.get("name", ""))
