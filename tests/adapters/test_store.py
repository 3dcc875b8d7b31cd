from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.database import (
    open_beside,
)
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.store import Store
from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten
from greenroom.errors import StoreError
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import HeldJob

MINUTE_NS: Final = 60 * 1_000_000_000


class Bench:
    """Opens stores on one clock, and counts what they lose."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.metrics = Metrics(threading.Lock())
        self.reporter = LoggingReporter(self.clock)
        self.stores: list[Store] = []

    def open(self, directory: Path, capacity: int = 1_000) -> Store:
        self.stores.append(
            Store(directory, self.metrics, self.reporter, capacity=capacity, poll_seconds=0.01)
        )
        return self.stores[-1]

    def lost(self, reason: str) -> float:
        series = flatten(self.metrics.snapshot(), {})
        return series.get(f'greenroom_dropped_total{{intentional="false",reason="{reason}"}}', 0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for store in bench.stores:
        assert store.close(PATIENCE_SECONDS)


@pytest.fixture
def store(bench: Bench, tmp_path: Path) -> Store:
    store = bench.open(tmp_path)
    made = store.submit(create)
    assert made.exception(PATIENCE_SECONDS) is None
    return store


def create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")


def insert(number: int) -> Callable[[sqlite3.Connection], int]:
    def job(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return job


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM numbers")]


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def test_writes_that_wait_share_one_commit_and_keep_their_order(store: Store) -> None:
    gate = HeldJob()
    store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)
    groups = store.statistics().groups

    done = [store.submit(insert(number)) for number in range(500)]
    assert not any(one.done() for one in done)
    gate.let_go.set()

    assert [one.result(PATIENCE_SECONDS) for one in done] == list(range(500))
    assert store.read(numbers) == list(range(500))
    assert store.statistics().groups == groups + 2


def test_a_write_that_fails_takes_no_other_one_with_it(store: Store, bench: Bench) -> None:
    gate = HeldJob()
    store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)

    done = [store.submit(insert(number)) for number in (1, 2, 2, 3)]
    broken = store.submit(lambda _: 1 // 0)
    gate.let_go.set()

    assert [one.exception(PATIENCE_SECONDS) is None for one in done] == [True, True, False, True]
    assert isinstance(done[2].exception(), StoreError)
    assert isinstance(broken.exception(PATIENCE_SECONDS), StoreError)
    assert store.read(numbers) == [1, 2, 3]
    assert bench.lost("store_failed") == store.statistics().lost == 2


def test_a_write_that_was_cancelled_in_the_queue_does_not_happen(store: Store) -> None:
    gate = HeldJob()
    store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)

    assert store.submit(insert(1)).cancel()
    store.submit(insert(2))
    gate.let_go.set()

    assert store.wait_idle(PATIENCE_SECONDS)
    assert store.read(numbers) == [2]


def test_when_the_queue_is_full_the_newest_write_is_dropped_counted_and_logged(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = bench.open(tmp_path, capacity=2)
    gate = HeldJob()
    store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)

    done = [store.submit(lambda _: None) for _ in range(5)]
    gate.let_go.set()

    assert [one.exception(PATIENCE_SECONDS) is None for one in done] == [True] * 2 + [False] * 3
    assert bench.lost("store_full") == 3
    assert "StoreError" in caplog.text


def test_a_full_disk_is_counted_and_logged_once_a_minute_and_its_end_is_noticed(
    store: Store, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def set_limit(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS big AS SELECT zeroblob(1000000) AS zeros")

    assert store.submit(set_limit(1)).exception(PATIENCE_SECONDS) is None  # as small as it is
    failures = [store.submit(fill).exception(PATIENCE_SECONDS) for _ in range(3)]
    bench.clock.set_ns(MINUTE_NS)
    failures.append(store.submit(fill).exception(PATIENCE_SECONDS))

    assert {str(failure) for failure in failures} == {
        f"{store.path}: not written: database or disk is full"
    }
    assert bench.lost("store_failed") == 4
    lines = [record.getMessage() for record in caplog.records]
    assert [line.startswith("StoreError: ") for line in lines] == [True, True]
    assert lines[1].endswith("(and 2 more like it since the last line)")
    store.submit(set_limit(1_000_000))
    assert store.submit(fill).exception(PATIENCE_SECONDS) is None


def test_a_database_that_is_broken_within_stops_nothing(
    bench: Bench, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    roots = store.read(
        lambda db: db.execute("SELECT rootpage FROM sqlite_master WHERE rootpage").fetchall()
    )
    assert store.close(PATIENCE_SECONDS)
    with store.path.open("r+b") as file:
        for (page,) in roots:  # the schema stays whole
            file.seek((page - 1) * 4_096)
            file.write(b"\xff" * 4_096)

    broken = bench.open(tmp_path)
    done = [broken.submit(insert(number)) for number in range(3)]

    failures = {str(one.exception(PATIENCE_SECONDS)) for one in done}
    (failure,) = failures
    assert failure.startswith(f"{store.path}: not written: database disk image is malformed; ")
    assert bench.lost("store_failed") == 3
    assert len(caplog.records) == 1
    with pytest.raises(StoreError, match="malformed"):
        broken.read(numbers)


def test_many_threads_may_write(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: store.submit(insert(number)), range(400)))

    assert store.wait_idle(PATIENCE_SECONDS)
    assert sorted(store.read(numbers)) == list(range(400))


# ── its end ─────────────────────────────────────────────────────────────────────────────────


def test_close_writes_what_waits_and_lets_the_next_one_have_the_directory(
    bench: Bench, store: Store, tmp_path: Path
) -> None:
    for number in range(50):
        store.submit(insert(number))

    assert store.close(PATIENCE_SECONDS)
    assert store.close(PATIENCE_SECONDS)

    assert len(bench.open(tmp_path).read(numbers)) == 50


def test_what_comes_after_the_end_is_dropped_and_counted(store: Store, bench: Bench) -> None:
    assert store.close(PATIENCE_SECONDS)

    assert isinstance(store.submit(insert(1)).exception(PATIENCE_SECONDS), StoreError)

    assert bench.lost("store_closed") == 1
    assert store.wait_idle(PATIENCE_SECONDS)


def test_a_close_that_takes_too_long_says_so_and_goes_on(store: Store) -> None:
    gate = HeldJob()
    store.submit(gate)

    assert not store.close(0.0)
    assert not store.wait_idle(0.0)
    gate.let_go.set()
    assert store.close(PATIENCE_SECONDS)


# ── what others write ────────────────────────────────────────────────────────────────────────


def test_a_watcher_is_called_at_first_and_when_another_process_has_written_only(
    store: Store, tmp_path: Path
) -> None:
    called = threading.Semaphore(0)

    def watcher(connection: sqlite3.Connection) -> bool:
        called.release()
        return False

    store.watch(watcher)
    assert called.acquire(timeout=PATIENCE_SECONDS)
    for number in range(10):
        store.submit(insert(number)).result(PATIENCE_SECONDS)
    with closing(open_beside(tmp_path, write=True)) as other:
        insert(100)(other)
    assert called.acquire(timeout=PATIENCE_SECONDS)

    assert store.close(PATIENCE_SECONDS)
    assert not called.acquire(blocking=False)
