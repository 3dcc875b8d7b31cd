"""What tests of the stored outbox share: a door for its answers, and deliveries to keep."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ..adapters.reporter import LoggingReporter
from ..adapters.store import Store
from ..adapters.stored_outbox import SqliteOutbox
from ..core.metrics import Metrics
from ..core.series import flatten
from ..messages.control import Input
from ..messages.deliveries import DeliveryState, EndedDelivery, Kept, KeptDelivery, StoredDelivery
from ..runtime.clock import VirtualClock
from .patience import PATIENCE_SECONDS

A = TypeVar("A")


class AnswerDoor:
    """An `Entrance` where a test waits for what enters; it refuses nothing."""

    def __init__(self) -> None:
        self._entered: queue.SimpleQueue[tuple[object, Input]] = queue.SimpleQueue()

    def enter(self, target: object, body: Input) -> bool:
        """Take it."""
        self._entered.put((target, body))
        return True

    @property
    def is_empty(self) -> bool:
        """Nothing has entered that was not taken out."""
        return self._entered.empty()

    def next(self, kind: type[A], target: object = "notifier") -> A:
        """The next answer, which must be of this kind and for this target.

        Raises:
            queue.Empty: Nothing came within 30 s.
        """
        came_for, body = self._entered.get(timeout=PATIENCE_SECONDS)
        assert isinstance(body, kind), body
        assert came_for == target
        return body

    def kept(self, count: int) -> list[tuple[int, int]]:
        """The (id, sequence) of the next `count` deliveries that were kept."""
        rows: list[tuple[int, int]] = []
        while len(rows) < count:
            rows.extend((row.id, row.sequence) for row in self.next(Kept).rows)
        return rows


class HeldJob:
    """A job that keeps the store's thread until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, connection: sqlite3.Connection) -> None:
        """What the thread does."""
        self.began.set()
        assert self.let_go.wait(PATIENCE_SECONDS)


def kept_delivery(
    delivery_id: int, key: str = "lobby", endpoint: str = "primary", body: bytes = b"{}"
) -> KeptDelivery:
    """One to keep; its other fields follow from these."""
    return KeptDelivery(
        id=delivery_id,
        endpoint=endpoint,
        key=key,
        event_id=f"EV_{delivery_id}",
        event="room_started",
        room=key,
        body=body,
        queued_at_ns=1_000 + delivery_id,
    )


def stored_delivery(
    delivery_id: int,
    sequence: int,
    *,
    attempts: int = 0,
    next_at_ns: int = 0,
    started_at_ns: int = 0,
    body: bytes = b"{}",
) -> StoredDelivery:
    """What comes back of `kept_delivery(delivery_id)`."""
    return StoredDelivery(
        **asdict(kept_delivery(delivery_id, body=body)),
        sequence=sequence,
        attempts=attempts,
        next_at_ns=next_at_ns,
        started_at_ns=started_at_ns,
    )


def kept_deliveries(ids: Iterable[int], key: str = "lobby") -> list[KeptDelivery]:
    """Several of one queue."""
    return [kept_delivery(one, key) for one in ids]


def delivered(delivery_id: int) -> EndedDelivery:
    """Its second attempt succeeded."""
    started_at_ns, ended_at_ns = 2_000 + delivery_id, 3_000 + delivery_id
    return EndedDelivery(
        delivery_id, DeliveryState.DELIVERED, 2, 200, "", started_at_ns, ended_at_ns
    )


def dead(delivery_id: int) -> EndedDelivery:
    """It was given up after 22 attempts."""
    return EndedDelivery(
        delivery_id, DeliveryState.DEAD, 22, None, "refused", 2_000, 3_000 + delivery_id
    )


class StoreBench:
    """A data directory with a store, which can be closed and opened again.

    Attributes:
        held: What virtual time waits for now.
        held_min: The fewest that `held` ever was: below 0, something was released too often.
    """

    def __init__(self, directory: Path, store_capacity: int = 10_000) -> None:
        self.directory = directory
        self.metrics = Metrics(threading.Lock())
        self.held = self.held_min = 0
        self._store_capacity = store_capacity
        self._lock = threading.Lock()
        self._stores: list[Store] = []

    @property
    def store(self) -> Store:
        """The one opened last."""
        return self._stores[-1]

    def open_store(self) -> Store:
        """A new one; the one before must be closed."""
        store = Store(
            self.directory,
            self.metrics,
            LoggingReporter(VirtualClock()),
            capacity=self._store_capacity,
            poll_seconds=0.01,
        )
        self._stores.append(store)
        return store

    def end(self) -> None:
        """Close whatever is open, written or not."""
        for store in self._stores:
            assert store.close(PATIENCE_SECONDS)

    def series(self, name: str) -> float:
        """Where a series of the metrics stands; 0: it is not there."""
        value = flatten(self.metrics.snapshot(), {}).get(name, 0.0)
        return float(value)

    def dropped(self, reason: str) -> float:
        """What was lost for this reason."""
        return self.series(f'greenroom_dropped_total{{intentional="false",reason="{reason}"}}')

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement on the store's thread."""
        job = self.store.submit(lambda one: one.execute(statement, values).fetchall())
        return job.result(PATIENCE_SECONDS)

    def run_outside(self, statement: str) -> None:
        """Run a statement on the store's thread, outside of a transaction."""
        done = threading.Event()

        def watcher(connection: sqlite3.Connection) -> bool:
            if not done.is_set():
                connection.execute(statement)
                done.set()
            return False

        self.store.watch(watcher)
        assert done.wait(PATIENCE_SECONDS)

    def refuse_writes(self) -> None:
        """From now on the disk takes nothing."""
        self.run_outside("PRAGMA query_only = ON")

    def allow_writes(self) -> None:
        """It does again."""
        self.run_outside("PRAGMA query_only = OFF")

    def hold(self) -> None:
        """Virtual time waits for one thing more."""
        with self._lock:
            self.held += 1

    def release(self) -> None:
        """And for one less."""
        with self._lock:
            self.held -= 1
            self.held_min = min(self.held_min, self.held)


class OutboxBench(StoreBench):
    """A data directory with a store and its outbox; `held` counts the open questions."""

    def __init__(self, directory: Path, store_capacity: int = 10_000) -> None:
        super().__init__(directory, store_capacity)
        self.door = AnswerDoor()
        self._outboxes: list[SqliteOutbox] = []

    def open(self, **options: Any) -> SqliteOutbox:
        """A new store and its outbox; options are the outbox's."""
        store = self.open_store()
        outbox = SqliteOutbox(
            store, self.door, self.metrics, hold=self.hold, release=self.release, **options
        )
        self._outboxes.append(outbox)
        return outbox

    def close(self) -> bool:
        """As at the process's end; whether all was written."""
        complete = self._outboxes[-1].close(PATIENCE_SECONDS)
        return self.store.close(PATIENCE_SECONDS) and complete

    def reopen(self, **options: Any) -> SqliteOutbox:
        """As the next process finds it."""
        assert self.close()
        return self.open(**options)

    def end(self) -> None:
        """Close whatever is open, written or not."""
        for outbox in self._outboxes:
            outbox.close(0.0)
        super().end()
