"""How a thread sleeps until there is work, and how cheaply others wake it."""

from __future__ import annotations

import threading


class Waker:
    """A bell beside a bed: one thread sleeps, any thread rings.

    The sleeper calls `prepare()`, looks once more whether there is work, then calls `sleep()` (or
    `cancel()`). Whoever brings work appends it first and then looks at `asleep`: so either the
    sleeper sees the work, or the other sees the sleeper. A bell may ring once too often, never
    too seldom: the sleeper looks again in any case.
    """

    __slots__ = ("_bell", "asleep")

    def __init__(self) -> None:
        self.asleep = False  # read on the hot path: `if waker.asleep: waker.wake()`
        self._bell = threading.Lock()  # a bare lock rings three times as fast as an Event
        self._bell.acquire()

    def __repr__(self) -> str:
        return f"<Waker {'asleep' if self.asleep else 'awake'}>"

    def prepare(self) -> None:
        """Say that the thread is about to sleep; look for work after this, before `sleep`."""
        self.asleep = True

    def cancel(self) -> None:
        """There is work after all."""
        self.asleep = False

    def sleep(self, timeout_seconds: float | None) -> None:
        """Wait for the bell, at most so long; None: as long as it takes."""
        if timeout_seconds is None:
            self._bell.acquire()
        elif timeout_seconds > 0:
            self._bell.acquire(timeout=min(timeout_seconds, threading.TIMEOUT_MAX))
        self.asleep = False

    def wake(self) -> None:
        """Ring; from any thread."""
        self.asleep = False  # at once, so that the next ones need not ring too
        try:
            self._bell.release()
        except RuntimeError:
            return  # two threads rang at once: one of them was enough
