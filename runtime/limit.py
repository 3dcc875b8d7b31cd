"""Limit: until when something may take."""

from __future__ import annotations

import time
from typing import Final

from ..config import MOST_SECONDS


class Limit:
    """A point in real time until which something may take; virtual clocks do not count here.

    Args:
        seconds: From now; None: there is no limit.
    """

    __slots__ = ("_at",)

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + min(seconds, MOST_SECONDS)

    def left(self) -> float | None:
        """Seconds that are left, not below 0; None: no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def part(self, fraction: float) -> float | None:
        """That part of the seconds that are left; None: no limit."""
        left = self.left()
        return None if left is None else left * fraction

    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._at is not None and time.monotonic() >= self._at


NO_LIMIT: Final = Limit(None)
