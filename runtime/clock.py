"""Where time comes from: the machine's clock, or one integer that a test or a replay moves."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's time. The methods are the interpreter's own, so a call costs little more."""

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class VirtualClock:
    """Time that stands still until it is set: both clocks are one integer.

    Args:
        start_ns: Unix time in ns to begin at.
    """

    __slots__ = ("_at_ns",)

    def __init__(self, start_ns: int = 0) -> None:
        self._at_ns = start_ns

    def __repr__(self) -> str:
        return f"<VirtualClock at {self._at_ns} ns>"

    def now_ns(self) -> int:
        """Unix time in ns."""
        return self._at_ns

    def monotonic_ns(self) -> int:
        """The same integer: timers and stamps agree."""
        return self._at_ns

    def set_ns(self, at_ns: int) -> None:
        """Move on to `at_ns`.

        Raises:
            ValueError: That would go back.
        """
        if at_ns < self._at_ns:
            raise ValueError(f"a clock only goes forward: it is {self._at_ns}, not yet {at_ns}")
        self._at_ns = at_ns
