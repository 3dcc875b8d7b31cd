"""Which frames have been taken already, so that a copy of one is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class NonceCache:
    """Remembers each nonce for at least one period and at most two, in two generations.

    Args:
        period_seconds: For how long a frame can be valid: past and future of the time window.
        clock: Seconds that never go back.
    """

    def __init__(self, period_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._period = period_seconds
        self._clock = clock
        self._turn_at = clock() + period_seconds
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._lock = threading.Lock()  # each private() context may have a thread

    def __contains__(self, nonce: bytes) -> bool:
        return nonce in self._young or nonce in self._old

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, nonce: bytes) -> bool:
        """Remember a nonce; False if it was there already."""
        with self._lock:
            now = self._clock()
            if now >= self._turn_at:
                idle = now >= self._turn_at + self._period
                self._old = set() if idle else self._young
                self._young = set()
                self._turn_at = now + self._period
            if nonce in self:
                return False
            self._young.add(nonce)
            return True
