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
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from ..config import DiskSync
from ..core.metrics import Metrics
from ..errors import ConfigError, StoreError
from .database import (
    DATABASE_NAME,
    DirectoryLock,
    make_directory,
    open_beside,
    open_owned,
    transaction,
)
from .reporter import LoggingReporter
from .store_errors import SameFile, StoreErrorKind, is_of_the_file, store_error
from .store_statistics import StoreStatistics
from .store_trouble import TroubleFile

CAPACITY: Final = 10_000  # jobs that may wait
GROUP_MAX: Final = 1_000  # jobs in one transaction: bounds how long another process waits
POLL_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 0.002  # under load, for more to come into a group: a commit is a sync
FULL: Final = "store_full"
FAILED: Final = "store_failed"
CLOSED: Final = "store_closed"

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], T]
Watcher: TypeAlias = Callable[[sqlite3.Connection], bool]
_Signal: TypeAlias = Callable[[], None]  # called once what was queued before it is done


class _Write(NamedTuple):
    job: Job[Any]
    done: Future[Any]
    is_retried: bool


class Store:
    """The database of a data directory, and the thread that writes it.

    Args:
        data_dir: Made if it is not there. One process at a time.
        metrics: Counts `greenroom_dropped_total` of `store_full`, `store_failed`, `store_closed`,
            and failures by their kind.
        reporter: Logs failures, once a minute.
        capacity: Jobs that may wait; one more is dropped and counted.
        poll_seconds: Between two looks for what other processes wrote.
        disk_sync: As of `Settings`.

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
        disk_sync: DiskSync = "full",
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
            self._connection = open_owned(self.data_dir, disk_sync)
            self._file = SameFile(self.path)
        except BaseException:
            self._directory_lock.release()
            raise
        self._trouble = TroubleFile(self.data_dir)
        self._waiting: queue.SimpleQueue[_Write | _Signal | None] = queue.SimpleQueue()
        self._watchers: list[Watcher] = []
        self._later: list[tuple[float, _Signal]] = []  # when it is due; of the store's thread
        self._seen_version = -1  # of the data; never SQLite's own
        self._look_again = self._failed = self._closed = False
        self._written = self._groups = self._lost = 0
        self._last_error = ""
        self._busy_until = 0.0  # monotonic; of the store's thread
        self._lock = threading.Lock()  # nothing is queued behind the end
        metrics.store_failed(failed=False)
        self._thread = threading.Thread(target=self._run, name="greenroom-store", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Store {self.path} {'closed' if self._closed else 'open'}>"

    def submit(self, job: Job[T], *, is_retried: bool = False) -> Future[T]:
        """Queue a write; any thread, never blocks, never raises.

        Args:
            job: Runs on the store's thread inside a transaction; once more if that failed for
                another job's sake. It touches nothing but the connection.
            is_retried: Whoever submits it does so again if it fails: a failure is no loss, and
                there is always room for it.

        Returns:
            Has the job's result once it is committed, or a StoreError.
        """
        done: Future[T] = Future()
        with self._lock:
            reason = self._reason_to_drop(is_retried=is_retried)
            if not reason:
                self._waiting.put(_Write(job, done, is_retried))
        if reason:
            failure = StoreError(self.path, f"not written: {reason}")
            self._drop([_Write(job, done, is_retried)], reason, failure)
        return done

    def call_later(self, seconds: float, signal: Callable[[], None]) -> bool:
        """Have it called on the store's thread after that time, unless the store ends before.

        Returns:
            False: it is closed already.
        """
        due = time.monotonic() + seconds
        return self._signal(lambda: self._later.append((due, signal)))

    def read(self, job: Job[T]) -> T:
        """Run a query on a connection of its own; any thread, also while the store writes.

        Raises:
            StoreError: It cannot be read.
        """
        return self._beside(job, write=False)

    def change(self, job: Job[T]) -> T:
        """Change rows as another process would, and have the watchers look at them; any thread.

        Raises:
            StoreError: They cannot be written.
        """
        try:
            return self._beside(job, write=True)
        finally:
            self._signal(self._poll)
            self.wait_idle(POLL_SECONDS)

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
            return StoreStatistics(
                waiting=self._waiting.qsize(),
                written=self._written,
                groups=self._groups,
                lost=self._lost,
                failed=self._failed,
                last_error=self._last_error,
            )

    def _beside(self, job: Job[T], *, write: bool) -> T:
        try:
            with closing(self._open_beside(write=write)) as connection:
                return job(connection)
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    def _open_beside(self, *, write: bool) -> sqlite3.Connection:
        try:
            return open_beside(self.data_dir, write=write)
        except ConfigError as error:  # somebody has taken it away
            raise StoreError(self.path, str(error), StoreErrorKind.GONE) from error

    def _signal(self, signal: _Signal) -> bool:
        with self._lock:
            if not self._closed:
                self._waiting.put(signal)
            return not self._closed

    def _ended(self, timeout_seconds: float | None) -> bool:
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _reason_to_drop(self, *, is_retried: bool) -> str:
        if self._closed:
            return CLOSED
        return FULL if self._waiting.qsize() >= self._capacity and not is_retried else ""

    # ── on the store's thread ────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        open_still, poll_at = True, time.monotonic()
        while open_still:
            times = [due for due, _ in self._later] + ([poll_at] if self._watchers else [])
            patience = max(min(times) - time.monotonic(), 0.0) if times else None
            writes, signals, open_still = self._next_group(patience)
            if writes:
                self._write(writes)
            for signal in (*signals, *self._take_due()):
                signal()
            if self._watchers and (self._seen_version < 0 or time.monotonic() >= poll_at):
                self._poll()
                poll_at = time.monotonic() + self._poll_seconds
        with suppress(sqlite3.Error):
            self._connection.close()
        self._directory_lock.release()

    def _take_due(self) -> list[_Signal]:
        now = time.monotonic()
        due = [signal for at, signal in self._later if at <= now]
        self._later = [(at, signal) for at, signal in self._later if at > now]
        return due

    def _next_group(
        self, patience_seconds: float | None
    ) -> tuple[list[_Write], list[_Signal], bool]:
        """Wait for something, and take what waits behind it; False: the end was among it."""
        writes: list[_Write] = []
        signals: list[_Signal] = []
        try:
            item = self._waiting.get(timeout=patience_seconds)
            if item is not None and time.monotonic() < self._busy_until:
                time.sleep(LINGER_SECONDS)
            while item is not None:
                if not isinstance(item, _Write):
                    signals.append(item)
                elif item.done.set_running_or_notify_cancel():
                    writes.append(item)
                if len(writes) == GROUP_MAX:
                    return writes, signals, True
                item = self._waiting.get_nowait()
        except queue.Empty:
            return writes, signals, True
        return writes, signals, False

    def _write(self, writes: Sequence[_Write]) -> None:
        try:
            self._file.check()
            with transaction(self._connection):
                results = [write.job(self._connection) for write in writes]
        except Exception as error:  # noqa: BLE001  # the top of a thread
            if len(writes) > 1 and not is_of_the_file(error):
                for one in writes:  # one of them is at fault, and the others shall not suffer
                    self._write([one])
                return
            failure = store_error(self.path, error, "not written")
            self._count_failure(failure, wrote=True)
            self._drop(writes, FAILED, failure)
            return
        self._busy_until = time.monotonic() + 2 * LINGER_SECONDS
        with self._lock:
            self._written += len(writes)
            self._groups += 1
            self._failed = False
        self._metrics.store_failed(failed=False)
        self._trouble.mended(wrote=True)
        for write, result in zip(writes, results, strict=True):
            write.done.set_result(result)

    def _drop(self, writes: Sequence[_Write], reason: str, failure: StoreError) -> None:
        if lost := sum(not write.is_retried for write in writes):
            with self._lock:
                self._lost += lost
            self._metrics.dropped(reason, lost)
        self.reporter.store_failed(failure)
        for write in writes:
            write.done.set_exception(failure)

    def _count_failure(self, failure: StoreError, *, wrote: bool) -> None:
        with self._lock:
            self._failed |= wrote
            self._last_error = failure.reason
        self._metrics.store_error(failure.kind)
        self._metrics.store_failed(failed=self._failed)
        self._trouble.leave(failure, time.time_ns(), wrote=wrote)

    def _poll(self) -> None:
        try:
            self._file.check()
            # changes by another connection's commit only; reads no page, so an idle look is free
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version == self._seen_version and not self._look_again:
                return
            self._look_again = False
            for watcher in self._watchers:
                self._look_again |= watcher(self._connection)
        except Exception as error:  # noqa: BLE001  # the top of a thread
            self._look_again = True
            failure = store_error(self.path, error)
            self._count_failure(failure, wrote=False)
            self.reporter.store_failed(failure)
        else:
            self._seen_version = version
            self._trouble.mended(wrote=False)
