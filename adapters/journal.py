"""The journal of a running shard: has what waits at the door written, group by group."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import msgpack

from ..core.journal import Group, WrittenDoor
from ..core.times import NS_PER_SECOND
from . import journal_rows as rows_of
from .backoff import Appointment, Backoff
from .store import Store

BATCH_SECONDS: Final = 0.005  # between two commits of `durability="batch"`: half of what it states
CLOCK_NS: Final = NS_PER_SECOND  # a clock that is set right by less is no news

_REMEMBER: Final = "INSERT OR REPLACE INTO batches (client, sequence, routes) VALUES (?, ?, ?)"


class Journal:
    """Writes what a `WrittenDoor` takes in, on the store's thread.

    While the disk refuses, nothing is let in: it is tried again after 1 s, 2 s, 4 s … up to 30 s,
    and whenever somebody waits for it.

    Args:
        store: Writes it.
        hold: Called when there is something to write, so that virtual time waits for it.
        release: Called when it has been let in.
        batch_seconds: Between two commits, unless somebody waits; 0: as soon as possible.
    """

    door: WrittenDoor

    def __init__(
        self,
        store: Store,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        self._store = store
        self._hold, self._release = hold, release
        self._batch_seconds = batch_seconds
        self._is_awake = False  # a job is queued, or will be; read without the lock
        self._is_submitted = False
        self._appointment = Appointment(store, self._submit)
        self._next_at = 0.0  # monotonic
        self._backoff = Backoff()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "failing" if self.is_failing else "awake" if self._is_awake else "idle"
        return f"<Journal {state}>"

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""
        return self._backoff.seconds > 0

    def wake(self) -> None:
        """As `core.journal.Journal`."""
        if self._is_awake or self.door.is_full:
            return
        with self._lock:
            if self._is_awake:
                return
            self._hold()  # first: from now on it may be released
            self._is_awake = True
        delay = self._next_at - time.monotonic()
        if delay <= 0 or not self._appointment.make(delay):
            self._submit()  # a store that is closed says so

    def hurry(self) -> None:
        """Somebody waits: write now what waits, also if the disk has just refused it."""
        self.wake()
        if self._is_awake:
            self._submit()

    def _submit(self) -> None:
        with self._lock:
            if self._is_submitted or not self._is_awake:
                return
            self._is_submitted = True
        self._store.submit(self._write, is_retried=True).add_done_callback(self._on_written)

    def _write(self, connection: sqlite3.Connection) -> None:
        """The job: the next group; the same one again if it was not committed."""
        group = self.door.take()
        if group is not None:
            write_group(connection, group)

    def _on_written(self, done: Future[None]) -> None:
        failed = done.exception() is not None
        if failed:
            self._backoff.grow()
        else:
            self._backoff.reset()
            self.door.let_in()
            if self.door.behind_ns > CLOCK_NS:
                self._store.reporter.clock_set_back(self.door.behind_ns / NS_PER_SECOND)
        with self._lock:
            self._is_submitted = False
            self._next_at = time.monotonic() + (self._backoff.seconds or self._batch_seconds)
        if failed:
            self.door.refuse()
            if not self._appointment.make(self._backoff.seconds):
                self._rest()
            return
        if self.door.is_full or not self.door.has_unwritten:
            self._rest()
        elif not (self._batch_seconds and self._appointment.make(self._batch_seconds)):
            self._submit()

    def _rest(self) -> None:
        with self._lock:
            self._is_awake = False
        if self.door.has_unwritten and not self.is_failing:
            self.wake()  # it came in the meantime, and is held before the others are released
        self._release()


def write_group(connection: sqlite3.Connection, group: Group) -> None:
    """Write the inputs of a group, and what is to be remembered with them."""
    if any(type(one) in rows_of.JOURNALED for one in group.inputs):
        rows_of.insert(connection, group.first, group.at_ns, group.inputs)
    for client, sequence, routes in group.origins:
        connection.execute(_REMEMBER, (client, sequence, msgpack.packb(routes)))
