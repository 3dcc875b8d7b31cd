"""The store of a running process: one thread that owns `greenroom.db` and writes in groups.

Whoever has something to write queues a job and goes on. The thread takes all jobs that wait, runs
them in one transaction and commits once, so a thousand writes cost one sync of the disk. What
cannot be written is counted and logged, and raised to nobody but who waits for the job's future.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from ..core.metrics import Metrics
from ..errors import StoreError
from .database import (
    DATABASE_NAME,
    DirectoryLock,
    make_directory,
    open_beside,
    open_owned,
    transaction,
)
from .reporter import LoggingReporter

CAPACITY: Final = 10_000  # jobs that may wait
GROUP_MAX: Final = 1_000  # jobs in one transaction: bounds how long another process waits
POLL_SECONDS: Final = 1.0
FULL: Final = "store_full"
FAILED: Final = "store_failed"
CLOSED: Final = "store_closed"

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], T]
Watcher: TypeAlias = Callable[[sqlite3.Connection], bool]
_Write: TypeAlias = tuple[Job[Any], "Future[Any]"]
_Signal: TypeAlias = Callable[[], None]  # called once what was queued before it is done


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What a store did so far.

    Args:
        waiting: Jobs that wait now.
        written: Jobs that are committed.
        groups: Commits they took.
        lost: Jobs that were not written: no room, after the end, or the disk's fault.
    """

    waiting: int
    written: int
    groups: int
    lost: int


class Store:
    """The database of a data directory, and the thread that writes it.

    Args:
        data_dir: Made if it is not there. One process at a time.
        metrics: Counts `greenroom_dropped_total` of `store_full`, `store_failed`, `store_closed`.
        reporter: Logs failures, once a minute.
        capacity: Jobs that may wait; one more is dropped and counted.
        poll_seconds: Between two looks for what other processes wrote.

    Raises:
        ConfigError: Another process holds the directory, or it cannot be used.
        StoreError: The database in it cannot be used.
    """

    def __init__(
        self,
        data_dir: Path,
        metrics: Metrics,
        reporter: LoggingReporter,
        *,
        capacity: int = CAPACITY,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.data_dir = data_dir.absolute()  # the host may change its working directory
        self.path = self.data_dir / DATABASE_NAME
        self._metrics = metrics
        self.reporter = reporter
        self._capacity = capacity
        self._poll_seconds = poll_seconds
        make_directory(self.data_dir)
        self._directory_lock = DirectoryLock(self.data_dir)
        try:
            self._connection = open_owned(self.data_dir)
        except BaseException:
            self._directory_lock.release()
            raise
        self._waiting: queue.SimpleQueue[_Write | _Signal | None] = queue.SimpleQueue()
        self._watchers: list[Watcher] = []
        self._seen_version = -1  # of the data; never SQLite's own
        self._look_again = False
        self._written = self._groups = self._lost = 0
        self._closed = False
        self._lock = threading.Lock()  # nothing is queued behind the end
        self._thread = threading.Thread(target=self._run, name="greenroom-store", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        """One line for a debugger."""
        return f"<Store {self.path} {'closed' if self._closed else 'open'}>"

    def submit(self, job: Job[T]) -> Future[T]:
        """Queue a write; any thread, never blocks, never raises.

        Args:
            job: Runs on the store's thread inside a transaction; once more if that failed for
                another job's sake. It touches nothing but the connection.

        Returns:
            Has the job's result once it is committed, or a StoreError.
        """
        done: Future[T] = Future()
        with self._lock:
            reason = self._reason_to_drop()
            if not reason:
                self._waiting.put((job, done))
        if reason:
            self._drop([(job, done)], reason, StoreError(self.path, f"not written: {reason}"))
        return done

    def read(self, job: Job[T]) -> T:
        """Run a query on a connection of its own; any thread, also while the store writes.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            with closing(open_beside(self.data_dir)) as connection:
                return job(connection)
        except sqlite3.Error as error:
            raise StoreError(self.path, str(error)) from error

    def watch(self, watcher: Watcher) -> None:
        """Call it on the store's thread now, and whenever another process has written.

        Args:
            watcher: Gets the connection outside of a transaction; True: call again at the next
                poll in any case.
        """

        def begin() -> None:
            self._watchers.append(watcher)
            self._seen_version = -1

        self._signal(begin)

    def wait_idle(self, timeout_seconds: float | None) -> bool:
        """Wait until everything queued before is written, or given up."""
        reached = threading.Event()
        if self._signal(reached.set):
            return reached.wait(timeout_seconds)
        return self._ended(timeout_seconds)

    def close(self, timeout_seconds: float | None) -> bool:
        """Write what waits, then close the database and let others have the directory.

        Returns:
            False when that took longer; it goes on then, until the process ends.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        return self._ended(timeout_seconds)

    def statistics(self) -> StoreStatistics:
        """What it did so far."""
        with self._lock:
            return StoreStatistics(self._waiting.qsize(), self._written, self._groups, self._lost)

    def _signal(self, signal: _Signal) -> bool:
        with self._lock:
            if not self._closed:
                self._waiting.put(signal)
            return not self._closed

    def _ended(self, timeout_seconds: float | None) -> bool:
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _reason_to_drop(self) -> str:
        if self._closed:
            return CLOSED
        return FULL if self._waiting.qsize() >= self._capacity else ""

    # ── on the store's thread ────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        open_still = True
        poll_at = time.monotonic()
        while open_still:
            patience = max(poll_at - time.monotonic(), 0.0) if self._watchers else None
            writes, signals, open_still = self._next_group(patience)
            if writes:
                self._write(writes)
            for signal in signals:
                signal()
            if self._watchers and (self._seen_version < 0 or time.monotonic() >= poll_at):
                self._poll()
                poll_at = time.monotonic() + self._poll_seconds
        with suppress(sqlite3.Error):
            self._connection.close()
        self._directory_lock.release()

    def _next_group(
        self, patience_seconds: float | None
    ) -> tuple[list[_Write], list[_Signal], bool]:
        """Wait for something, and take what waits behind it; False: the end was among it."""
        writes: list[_Write] = []
        signals: list[_Signal] = []
        try:
            item = self._waiting.get(timeout=patience_seconds)
            while item is not None:
                if not isinstance(item, tuple):
                    signals.append(item)
                elif item[1].set_running_or_notify_cancel():
                    writes.append(item)
                if len(writes) == GROUP_MAX:
                    return writes, signals, True
                item = self._waiting.get_nowait()
        except queue.Empty:
            return writes, signals, True
        return writes, signals, False

    def _write(self, writes: Sequence[_Write]) -> None:
        try:
            with transaction(self._connection):
                results = [job(self._connection) for job, _ in writes]
        except Exception as error:  # noqa: BLE001  # the top of a thread
            if len(writes) > 1 and not _is_of_the_file(error):
                for one in writes:  # one of them is at fault, and the others shall not suffer
                    self._write([one])
                return
            failure = StoreError(self.path, f"not written: {_text(error)}")
            failure.__cause__ = error
            self._drop(writes, FAILED, failure)
            return
        with self._lock:
            self._written += len(writes)
            self._groups += 1
        for (_, done), result in zip(writes, results, strict=True):
            done.set_result(result)

    def _drop(self, writes: Sequence[_Write], reason: str, failure: StoreError) -> None:
        with self._lock:
            self._lost += len(writes)
        self._metrics.dropped(reason, len(writes))
        self.reporter.store_failed(failure)
        for _, done in writes:
            done.set_exception(failure)

    def _poll(self) -> None:
        try:
            # changes by another connection's commit only; reads no page, so an idle look is free
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version == self._seen_version and not self._look_again:
                return
            self._look_again = False
            for watcher in self._watchers:
                self._look_again |= watcher(self._connection)
        except Exception as error:  # noqa: BLE001  # the top of a thread
            self._look_again = True
            self.reporter.store_failed(StoreError(self.path, _text(error)))
        else:
            self._seen_version = version


def open_store(
    data_dir: str | Path | None, metrics: Metrics, reporter: LoggingReporter
) -> Store | None:
    """The store in that directory; None: there is to be none.

    Raises:
        ConfigError: Another process holds the directory, or it cannot be used.
        StoreError: The database in it cannot be used.
    """
    return None if data_dir is None else Store(Path(data_dir), metrics, reporter)


def _is_of_the_file(error: Exception) -> bool:
    """Whether no job would fare better: the disk is full, the file broken or held by another."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    )


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, sqlite3.Error) else repr(error)
