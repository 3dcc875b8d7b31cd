"""When what the disk or a host's code refuses is tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from .store import Store

RETRY_SECONDS: Final = 1.0
RETRY_MAX_SECONDS: Final = 30.0


class Backoff:
    """The wait before the next try: 1 s, 2 s, 4 s … up to 30 s. Whoever has it locks it.

    Args:
        first_seconds: The wait after the first failure.

    Attributes:
        seconds: The wait now; 0: the last try succeeded.
    """

    __slots__ = ("_first_seconds", "seconds")

    def __init__(self, first_seconds: float = RETRY_SECONDS) -> None:
        self._first_seconds = first_seconds
        self.seconds = 0.0

    def __repr__(self) -> str:
        return f"<Backoff {self.seconds} s>"

    def grow(self) -> None:
        """A try has failed."""
        doubled = min(2 * self.seconds, RETRY_MAX_SECONDS)
        self.seconds = max(doubled, self._first_seconds)

    def reset(self) -> None:
        """A try has succeeded."""
        self.seconds = 0.0


class Appointment:
    """A later try, on the store's thread; a new one takes the place of the one before.

    Else each try that somebody waits for would leave one more that goes on by itself.

    Args:
        store: Keeps it.
        keep: What is called then.
    """

    __slots__ = ("_keep", "_last", "_lock", "_store")

    def __init__(self, store: Store, keep: Callable[[], None]) -> None:
        self._store = store
        self._keep = keep
        self._last = 0
        self._lock = threading.Lock()

    def make(self, seconds: float) -> bool:
        """Have it called after that time; False: the store is closed already."""
        with self._lock:
            self._last = mine = self._last + 1
        return self._store.call_later(seconds, partial(self._keep_if_last, mine))

    def _keep_if_last(self, number: int) -> None:
        if number == self._last:
            self._keep()
