"""Where a receiver remembers: the port, and the one in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Final, Protocol

from .series import Series

IDS_MAX: Final = 100_000  # some 15 MB
SERIES_MAX: Final = 10_000
# greenroom's own retries end after 75 h, and what is replayed by hand comes some days later
MAX_AGE_SECONDS: Final = 7 * 24 * 3600.0


class ReceiverStore(Protocol):
    """What a receiver needs to remember; several may share one. Methods may block for a moment.

    Every use of the other methods lies within a `transaction()`: what happens there happens at
    once, or not at all when it is left by an exception.
    """

    def transaction(self) -> AbstractContextManager[object]:
        """Keep everybody else out until it is left."""
        ...

    def add_id(self, webhook_id: str, now_s: float) -> bool:
        """Remember an id; False when it is known already."""
        ...

    def remove_id(self, webhook_id: str) -> None:
        """Forget an id."""
        ...

    def load(self, endpoint: str, key: str) -> Series | None:
        """What is known of a series."""
        ...

    def save(self, endpoint: str, key: str, series: Series, now_s: float) -> None:
        """Replace what is known of a series."""
        ...

    def incomplete(self) -> Iterable[tuple[str, str, Series]]:
        """Endpoint, key and series of those that miss something."""
        ...


class MemoryStore:
    """Remembers in this process, within bounds; any thread.

    A series that was forgotten, like every one after a restart, begins anew with the next number,
    and what came before counts as missing: `SqliteStore` remembers longer.

    Args:
        ids_max: How many webhook ids; the oldest is forgotten first.
        series_max: How many series; the one that is unused for longest is forgotten first.
        max_age_seconds: How long an id is remembered.
    """

    def __init__(
        self,
        *,
        ids_max: int = IDS_MAX,
        series_max: int = SERIES_MAX,
        max_age_seconds: float = MAX_AGE_SECONDS,
    ) -> None:
        self._ids_max = ids_max
        self._series_max = series_max
        self._max_age_seconds = max_age_seconds
        self._ids: OrderedDict[str, float] = OrderedDict()
        self._series: OrderedDict[tuple[str, str], Series] = OrderedDict()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<MemoryStore: {len(self._ids)} ids, {len(self._series)} series>"

    def transaction(self) -> AbstractContextManager[object]:
        """A lock; nothing in a receiver's transaction fails half-way."""
        return self._lock

    def add_id(self, webhook_id: str, now_s: float) -> bool:
        """Remember an id; False when it is known already."""
        ids = self._ids
        while ids and next(iter(ids.values())) <= now_s - self._max_age_seconds:
            ids.popitem(last=False)
        if webhook_id in ids:
            return False
        ids[webhook_id] = now_s
        if len(ids) > self._ids_max:
            ids.popitem(last=False)
        return True

    def remove_id(self, webhook_id: str) -> None:
        """Forget an id."""
        self._ids.pop(webhook_id, None)

    def load(self, endpoint: str, key: str) -> Series | None:
        """What is known of a series."""
        return self._series.get((endpoint, key))

    def save(self, endpoint: str, key: str, series: Series, now_s: float) -> None:
        """Replace what is known of a series."""
        self._series[endpoint, key] = series
        self._series.move_to_end((endpoint, key))
        if len(self._series) > self._series_max:
            self._series.popitem(last=False)

    def incomplete(self) -> list[tuple[str, str, Series]]:
        """Endpoint, key and series of those that miss something."""
        return [(*place, series) for place, series in self._series.items() if series.missing]
