"""Webhooks on their way, in the database: what was kept outlives the process."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from ..core.metrics import Metrics
from ..core.ports import Entrance
from ..messages.deliveries import EndedDelivery, KeptDelivery, NotKept, Requeued
from . import delivery_rows as rows_of
from .backoff import RETRY_SECONDS, Backoff
from .database import transaction
from .delivery_queries import oldest_pending
from .delivery_rows import Bury, Keep, Load, LoadKeys, Operation, Postpone, Question, Written
from .pruning import KEEP_DEAD, KEEP_DELIVERED, Counts, Pruning
from .removed_endpoints import select_gone, select_removed
from .store import CLOSED, FAILED, Store
from .store_errors import is_of_the_file, store_error

CAPACITY: Final = 262_144  # rows and changes that may wait: as the door's
GROUP_MAX: Final = 1_000  # of them in one transaction: 20 to 30 ms of the store's thread
REQUEUE_PAGE: Final = 500
REQUEUE_PAGES: Final = 10  # at one look: bounds what waits in the door
FULL: Final = "outbox_full"


class SqliteOutbox:
    """An `OutboxStore` in a store: all that waits is one job of it.

    While the disk refuses, everything waits in memory and is tried again after 1 s, 2 s, 4 s … up
    to 30 s, and whenever somebody waits for it. What waits at `close()` is lost and counted.

    Args:
        store: Writes it; closed by whoever made it, after this.
        door: Where answers enter.
        metrics: Counts `greenroom_dropped_total` of `outbox_full`, `store_failed`,
            `store_closed`.
        hold: Called when a question is taken, so that virtual time waits for its answer.
        release: Called when that has entered the door.
        capacity: Operations that may wait; what is to be kept beyond that is answered `NotKept`.
        keep_delivered: Delivered ones that stay; the oldest are deleted, little by little.
        keep_dead: The same of dead ones.
        retry_seconds: The first wait after a failure.

    Raises:
        ConfigError: `keep_delivered` or `keep_dead` is negative.
        StoreError: The database cannot be read.
    """

    def __init__(
        self,
        store: Store,
        door: Entrance,
        metrics: Metrics,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        capacity: int = CAPACITY,
        keep_delivered: int = KEEP_DELIVERED,
        keep_dead: int = KEEP_DEAD,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._pruning = Pruning(keep_delivered, keep_dead)
        self._store = store
        self._door = door
        self._metrics = metrics
        self._hold, self._release = hold, release
        self._capacity = capacity
        gone = store.read(select_gone)  # what is pending of these is buried soon
        pending = store.read(rows_of.count_pending)
        self.pending = {one: count for one, count in pending.items() if one not in gone}
        self.oldest_ns = {one: at.queued_at_ns for one, at in store.read(oldest_pending).items()}
        self._largest_id = largest_id = store.read(rows_of.largest_id)
        removed = store.read(select_removed)
        self._to_bury = {
            one: largest_id if last_id is None else last_id for one, last_id in removed.items()
        }
        self._waiting: deque[Operation] = deque()
        self._group: list[Operation] = []  # being written, or to be written again
        self._taken = self._written = 0  # rows and changes, so far
        self._failures = 0
        self._backoff = Backoff(retry_seconds)
        self._is_submitted = False
        self._is_resting = False
        self._is_closed = False
        self._counts: Counts | None = None  # None: to be counted; of the store's thread
        self._watcher: object = None
        self._notices: deque[tuple[int, Callable[[], None]]] = deque()
        self._changed = threading.Condition()  # its lock guards all of the above

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self._failures} failures"
        return f"<SqliteOutbox {self._taken - self._written} waiting, {state}>"

    @property
    def next_id(self) -> int:
        """The smallest id beyond all that were ever kept."""
        return self._largest_id + 1

    def keep(self, rows: Sequence[KeptDelivery], reply_to: object) -> None:
        """Write new deliveries: `Kept` once they are on the disk, or `NotKept`."""
        self._hold()
        refused = self._take(Keep(tuple(rows), reply_to))
        if refused:
            self._refuse(tuple(rows), refused, reply_to)
            self._release()

    def end(self, ended: EndedDelivery) -> None:
        """Write that a delivery is over; without a store, it comes again at the next start."""
        self._take(ended)

    def postpone(
        self,
        delivery_id: int,
        attempts: int,
        next_at_ns: int,
        status: int | None,
        error: str,
        started_at_ns: int = 0,
    ) -> None:
        """Write that an attempt failed and the next one is due then (Unix ns)."""
        self._take(Postpone(attempts, next_at_ns, status, error, started_at_ns, delivery_id))

    def load(self, endpoint: str, key: str, after: int, limit: int, reply_to: object) -> None:
        """Ask for the pending deliveries of a queue beyond that sequence: `Loaded`."""
        self._ask(Load(endpoint, key, after, limit, reply_to))

    def load_keys(self, endpoint: str, after: str, limit: int, reply_to: object) -> None:
        """Ask for an endpoint's queues with pending deliveries beyond that key: `KeysLoaded`."""
        self._ask(LoadKeys(endpoint, after, limit, reply_to))

    def bury(
        self,
        endpoint: str,
        last_id: int,
        spared: tuple[int, ...],
        at_ns: int,
        reply_to: object,
    ) -> None:
        """Have an endpoint's pending deliveries dead, little by little: `Buried`."""
        self._ask(Bury(endpoint, last_id, spared, at_ns, reply_to, is_asked=True))

    def watch(self, reply_to: object) -> None:
        """From now on, `Requeued` enters for what somebody outside asks to be sent again."""
        first = self._watcher is None
        self._watcher = reply_to
        if first:
            for endpoint, last_id in self._to_bury.items():
                self.bury(endpoint, last_id, (), time.time_ns(), reply_to)
            self._store.watch(self._requeue)

    def wait_idle(self, timeout_seconds: float | None) -> bool:
        """Wait until everything asked for so far is on the disk.

        Returns:
            False: it took longer, or the disk refuses it now.
        """
        with self._changed:
            goal, failures = self._taken, self._failures
            self._is_resting = False  # somebody waits: try now
        self._submit()
        with self._changed:
            self._changed.wait_for(
                lambda: self._written >= goal or self._failures > failures, timeout_seconds
            )
            return self._written >= goal

    def when_written(self, then: Callable[[], None]) -> None:
        """Call `then`, on whatever thread, once everything asked for so far is on the disk."""
        with self._changed:
            if self._written < self._taken:
                self._notices.append((self._taken, then))
                return
        then()

    def close(self, timeout_seconds: float | None) -> bool:
        """Write what waits, and take nothing more; what cannot be written is lost and counted.

        Returns:
            Whether everything was written in time.
        """
        complete = self.wait_idle(timeout_seconds)
        with self._changed:
            if self._is_closed:
                return complete
            self._is_closed = True
            left = [*self._group, *self._waiting]
            self._waiting.clear()
        for operation in left:
            if isinstance(operation, Keep):
                reason = FAILED if self._failures else CLOSED
                self._refuse(operation.rows, reason, operation.reply_to)
            for _ in range(rows_of.failed(operation, CLOSED).questions):
                self._release()
        return complete

    def _ask(self, question: Question) -> None:
        self._hold()
        if self._take(question):
            self._release()

    def _take(self, operation: Operation) -> str:
        """Queue it; else the reason why not."""
        size = _size(operation)
        with self._changed:
            if isinstance(operation, Keep) and operation.rows:
                self._largest_id = max(self._largest_id, max(r.id for r in operation.rows))
            if self._is_closed:
                return CLOSED
            if isinstance(operation, Keep) and (
                self._taken - self._written + size > self._capacity
            ):
                return FULL
            self._taken += size
            self._waiting.append(operation)
            must_submit = not (self._is_submitted or self._is_resting)
        if must_submit:
            self._submit()
        return ""

    def _submit(self) -> None:
        with self._changed:
            nothing = not (self._waiting or self._group)
            if nothing or self._is_submitted or self._is_resting or self._is_closed:
                return
            self._is_submitted = True
        self._store.submit(self._write, is_retried=True).add_done_callback(self._on_written)

    def _refuse(self, rows: tuple[KeptDelivery, ...], reason: str, reply_to: object) -> None:
        self._metrics.dropped(reason, len(rows))
        self._door.enter(reply_to, NotKept(rows, reason))

    # ── on the store's thread ────────────────────────────────────────────────────────────────

    def _write(self, connection: sqlite3.Connection) -> tuple[Written, Counts]:
        """The job: one group; the same one again if it was not committed."""
        with self._changed:
            room = GROUP_MAX - sum(map(_weight, self._group))
            while self._waiting and room > 0:
                self._group.append(self._waiting.popleft())
                room -= _weight(self._group[-1])
            group = tuple(self._group)
        connection.execute("SAVEPOINT outbox")
        try:
            written = rows_of.write(connection, group)
        except Exception as error:  # one of them is at fault
            if is_of_the_file(error):
                raise
            connection.execute("ROLLBACK TO outbox")
            written = self._write_each(connection, group)
        connection.execute("RELEASE outbox")
        return written, self._pruning.prune(connection, self._counts, written)

    def _write_each(self, connection: sqlite3.Connection, group: Sequence[Operation]) -> Written:
        """Each by itself, so that one that cannot be written takes no other with it."""
        all_written = Written()
        for operation in group:
            connection.execute("SAVEPOINT operation")
            try:
                written = rows_of.write(connection, (operation,))
            except Exception as error:  # whatever it is, the others go on
                if is_of_the_file(error):
                    raise
                connection.execute("ROLLBACK TO operation")
                self._store.reporter.store_failed(
                    store_error(self._store.path, error, f"{type(operation).__name__} not written")
                )
                written = rows_of.failed(operation, FAILED)
            connection.execute("RELEASE operation")
            all_written.answers += written.answers
            all_written.questions += written.questions
            all_written.delivered += written.delivered
            all_written.dead += written.dead
            all_written.again += written.again
        return all_written

    def _on_written(self, done: Future[tuple[Written, Counts]]) -> None:
        """It is committed, or was not; by the submitting thread if the store was closed."""
        error = done.exception()
        if error is not None:
            self._rest()
            return
        written, self._counts = done.result()
        with self._changed:
            size = sum(map(_size, self._group))
            self._group.clear()
            self._backoff.reset()
            was_closed = self._is_closed  # then its questions are released already
        for reply_to, answer in () if was_closed else written.answers:
            if isinstance(answer, NotKept):
                self._metrics.dropped(answer.reason, len(answer.rows))
            self._door.enter(reply_to, answer)
        for _ in range(0 if was_closed else written.questions):
            self._release()
        with self._changed:
            if not was_closed:
                self._taken += len(written.again)
                self._waiting.extend(written.again)  # behind all others
            self._is_submitted = False
            self._written += size  # whoever waits finds the answers in the door
            self._changed.notify_all()
            count = sum(goal <= self._written for goal, _ in self._notices)
            reached = [self._notices.popleft()[1] for _ in range(count)]
        for then in reached:
            then()
        self._submit()

    def _rest(self) -> None:
        with self._changed:
            self._is_submitted = False
            self._is_resting = True
            self._failures += 1
            self._backoff.grow()
            self._counts = None
            self._changed.notify_all()
        self._store.call_later(self._backoff.seconds, self._on_rested)

    def _on_rested(self) -> None:
        with self._changed:
            self._is_resting = False
        self._submit()

    def _requeue(self, connection: sqlite3.Connection) -> bool:
        """Hand over what others marked in the meantime; True: there may be more of it."""
        self._counts = None  # what they marked is delivered no longer
        for _ in range(REQUEUE_PAGES):
            with transaction(connection):
                rows = rows_of.select_to_replay(connection, REQUEUE_PAGE)
            if not rows:
                return False
            self._door.enter(self._watcher, Requeued(rows))
        return True


def _size(operation: Operation) -> int:
    return len(operation.rows) if isinstance(operation, Keep) else 1


def _weight(operation: Operation) -> int:
    """Its part of a group: what changes many rows has one for itself."""
    return GROUP_MAX if isinstance(operation, Bury) else _size(operation)
