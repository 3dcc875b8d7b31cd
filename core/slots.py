"""Slots: a shared limit on what runs at once that no single key can exhaust.

A job may start while its key has fewer jobs running than there are free slots. So one busy key
gets half of the slots, k busy keys 1/(k + 1) each, and a newcomer still finds one free.
Source: Choudhury and Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches,
1998, with alpha = 1.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Generic, TypeVar

J = TypeVar("J")


class Slots(Generic[J]):
    """Says which job may start; jobs of one key start in the order in which they came.

    Args:
        limit: Jobs that may run at once, all keys together.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[J]] = {}

    def __repr__(self) -> str:
        waiting = sum(map(len, self._waiting.values()))
        return f"Slots({self._running.total()} running, {waiting} waiting, {self._free} free)"

    def add(self, key: str, job: J) -> list[J]:
        """Take a job; returns it if it may start now, or nothing."""
        waiting = self._waiting.get(key)
        if waiting is None and self._may_start(key):
            self._start(key)
            return [job]
        self._waiting.setdefault(key, deque()).append(job)
        return []

    def release(self, key: str) -> list[J]:
        """A job of this key ended; returns those that may start now. O(keys that wait)."""
        self._free += 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        started = []
        for waiting_key in list(self._waiting):
            if not self._free:
                break
            if self._may_start(waiting_key):
                started.append(self._pop(waiting_key))
                self._start(waiting_key)
        return started

    def _may_start(self, key: str) -> bool:
        return self._running[key] < self._free

    def _start(self, key: str) -> None:
        self._free -= 1
        self._running[key] += 1

    def _pop(self, key: str) -> J:
        """The key's oldest job; the key goes behind the others that wait."""
        waiting = self._waiting.pop(key)
        job = waiting.popleft()
        if waiting:
            self._waiting[key] = waiting
        return job
