"""Which workers changed since the last checkpoint, as they were at that moment.

A checkpoint is of one moment, and is written in slices while calls go on. So whoever changes a
worker that is still to be written tells this first, and the worker is recorded as it was:

    touch … touch ── begin ──► slice, slice, … ──► take
                       └─ touch: recorded before it changes, and counted for the next one
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..messages.checkpoint import WorkerRecord
from ..messages.ids import Incarnation


class Changes:
    """The changed workers of one roster. Nothing is kept until `track`.

    Args:
        record_of: What is to be remembered of an entry now; None: it is retired.
    """

    __slots__ = (
        "_changed",
        "_gone",
        "_is_tracking",
        "_record_of",
        "_recorded",
        "_records",
        "_unsaved",
    )

    def __init__(self, record_of: Callable[[Any], WorkerRecord | None]) -> None:
        self._record_of = record_of
        self._is_tracking = False
        self._changed: dict[Incarnation, Any] = {}
        self._unsaved: dict[Incarnation, Any] = {}
        self._recorded: list[Any] = []
        self._records: list[WorkerRecord] = []
        self._gone: list[Incarnation] = []

    def __repr__(self) -> str:
        return f"<Changes of {len(self._changed)} workers, {len(self._unsaved)} to be recorded>"

    def track(self) -> None:
        """From now on, remember who changes."""
        self._is_tracking = True

    def touch(self, entry: Any) -> None:
        """This entry is about to change, to be made or to be retired."""
        if self._is_tracking:
            if entry.incarnation in self._unsaved:
                self._record(self._unsaved.pop(entry.incarnation))
            self._changed[entry.incarnation] = entry

    def begin(self) -> None:
        """A checkpoint is of this moment."""
        self._unsaved, self._changed = self._changed, {}

    def record_some(self, count: int) -> bool:
        """Record the next ones; False: that were all."""
        for _ in range(min(count, len(self._unsaved))):
            self._record(self._unsaved.popitem()[1])
        return bool(self._unsaved)

    def abandon(self) -> None:
        """There will be no checkpoint of then: all these wait for the next one."""
        for entry in (*self._recorded, *self._unsaved.values()):
            self._changed.setdefault(entry.incarnation, entry)
        self._unsaved, self._recorded, self._records, self._gone = {}, [], [], []

    def take(self) -> tuple[tuple[WorkerRecord, ...], tuple[Incarnation, ...]]:
        """What was recorded: those that changed, and those that are gone."""
        self.record_some(len(self._unsaved))
        taken = tuple(self._records), tuple(self._gone)
        self._recorded, self._records, self._gone = [], [], []
        return taken

    def _record(self, entry: Any) -> None:
        self._recorded.append(entry)
        record = self._record_of(entry)
        if record is None:
            self._gone.append(entry.incarnation)
        else:
            self._records.append(record)
