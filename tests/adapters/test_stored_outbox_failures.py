"""Disks that are full, broken, read-only or held by others: nothing that was asked for is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.database import DATABASE_NAME, open_beside
from greenroom.adapters.store_trouble import read_trouble
from greenroom.adapters.stored_outbox import SqliteOutbox
from greenroom.errors import StoreError
from greenroom.messages.deliveries import Loaded, NotKept
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.stored import OutboxBench, delivered, kept_deliveries, kept_delivery

FAILED: Final = "greenroom_store_failed"
BODY: Final = bytes(100_000)


def set_limit(bench: OutboxBench, pages: int) -> None:
    bench.run(f"PRAGMA max_page_count = {pages}")


def errors(bench: OutboxBench, kind: str) -> float:
    return bench.series(f'greenroom_store_errors_total{{kind="{kind}"}}')


def test_a_full_disk_holds_everything_up_and_loses_nothing(
    outbox_bench: OutboxBench, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = outbox_bench.open(retry_seconds=0.01)
    outbox.keep(kept_deliveries([1, 2]), "notifier")
    outbox_bench.door.kept(2)
    assert outbox_bench.series(FAILED) == 0
    set_limit(outbox_bench, 1)

    outbox.keep([kept_delivery(3, body=BODY)], "notifier")
    outbox.end(delivered(1))
    outbox.load("primary", "lobby", 0, 10, "notifier")
    assert not outbox.wait_idle(PATIENCE_SECONDS)

    assert outbox_bench.door.is_empty
    assert outbox_bench.series(FAILED) == 1
    assert errors(outbox_bench, "disk_full") >= 1
    seen = outbox_bench.store.statistics()
    assert (seen.failed, seen.lost) == (True, 0)
    assert seen.last_error == "not written: database or disk is full"
    assert "database or disk is full" in caplog.text

    outbox_bench.run_outside("PRAGMA max_page_count = 1000000")
    assert outbox_bench.door.kept(1) == [(3, 3)]  # by itself
    assert [row.id for row in outbox_bench.door.next(Loaded).rows] == [2, 3]
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert outbox_bench.series(FAILED) == 0
    assert not outbox_bench.store.statistics().failed


def test_who_waits_for_it_has_it_tried_at_once(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(retry_seconds=3_600.0)
    set_limit(outbox_bench, 1)
    outbox.keep([kept_delivery(1, body=BODY)], "notifier")
    assert not outbox.wait_idle(PATIENCE_SECONDS)

    outbox_bench.run_outside("PRAGMA max_page_count = 1000000")

    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert outbox_bench.door.kept(1) == [(1, 1)]


def test_what_was_not_written_at_the_end_is_lost_and_counted(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(retry_seconds=3_600.0)
    set_limit(outbox_bench, 1)
    lost = [kept_delivery(one, body=BODY) for one in (1, 2)]
    outbox.keep(lost, "notifier")
    outbox.end(delivered(9))

    assert not outbox_bench.close()

    assert outbox_bench.door.next(NotKept) == NotKept(tuple(lost), "store_failed")
    assert outbox_bench.dropped("store_failed") == 2


def test_after_the_end_nothing_is_kept_and_that_is_said(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    assert outbox_bench.close()

    outbox.keep([kept_delivery(1)], "notifier")
    outbox.load("primary", "lobby", 0, 10, "notifier")
    outbox.end(delivered(1))

    assert outbox_bench.door.next(NotKept) == NotKept((kept_delivery(1),), "store_closed")
    assert outbox_bench.dropped("store_closed") == 1
    assert outbox.close(0.0)


def test_a_store_that_was_closed_first_is_as_a_disk_that_refuses(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    assert outbox_bench.store.close(PATIENCE_SECONDS)

    outbox.keep([kept_delivery(1)], "notifier")

    assert not outbox.wait_idle(PATIENCE_SECONDS)
    assert not outbox.close(0.0)
    assert outbox_bench.door.next(NotKept).rows == (kept_delivery(1),)


def test_a_read_only_file_system_is_named(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(retry_seconds=0.01)
    outbox_bench.refuse_writes()

    outbox.keep([kept_delivery(1)], "notifier")
    assert not outbox.wait_idle(PATIENCE_SECONDS)

    assert errors(outbox_bench, "read_only") >= 1
    outbox_bench.allow_writes()
    assert outbox_bench.door.kept(1) == [(1, 1)]


def test_a_process_that_holds_the_database_is_waited_for(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(retry_seconds=0.01)
    outbox_bench.run_outside("PRAGMA busy_timeout = 1")
    with closing(open_beside(outbox_bench.directory, write=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        outbox.keep([kept_delivery(1)], "notifier")
        assert not outbox.wait_idle(PATIENCE_SECONDS)
        assert errors(outbox_bench, "locked") >= 1
        other.execute("ROLLBACK")

    assert outbox_bench.door.kept(1) == [(1, 1)]


def break_pages(path: Path) -> None:
    """Overwrite all but the first page, which has the schema."""
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (path.stat().st_size - 4_096))


def test_a_broken_database_is_refused_at_the_start_with_what_can_be_done(
    outbox_bench: OutboxBench,
) -> None:
    outbox_bench.open().keep(kept_deliveries([1, 2]), "notifier")
    assert outbox_bench.close()
    break_pages(outbox_bench.directory / DATABASE_NAME)

    with pytest.raises(
        StoreError, match=r"malformed; .*`greenroom store check --data-dir .*store repair`"
    ) as refused:
        outbox_bench.open()

    assert refused.value.kind == "corrupt"
    assert refused.value.path == outbox_bench.directory / DATABASE_NAME


def test_a_database_that_breaks_while_it_is_used_is_named_and_waited_for(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(retry_seconds=3_600.0)
    outbox.keep(kept_deliveries(range(1, 200)), "notifier")
    assert outbox.wait_idle(PATIENCE_SECONDS)
    outbox_bench.run_outside("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox_bench.run_outside("PRAGMA shrink_memory")
    break_pages(outbox_bench.store.path)
    outbox_bench.run_outside("PRAGMA cache_size = 0")

    outbox.end(delivered(7))
    assert not outbox.wait_idle(PATIENCE_SECONDS)

    assert errors(outbox_bench, "corrupt") >= 1


LIMITED: Final = """
import resource, sys
from pathlib import Path
from greenroom.testing.stored import OutboxBench, kept_delivery

bench = OutboxBench(Path(sys.argv[1]))
outbox = bench.open(retry_seconds=0.01)
outbox.keep([kept_delivery(1)], "notifier")
assert bench.door.kept(1) == [(1, 1)]
size = 100_000  # bytes that a file may have
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
outbox.keep([kept_delivery(2, body=bytes(3 * size))], "notifier")
assert not outbox.wait_idle(30.0)
kinds = [kind for kind in ("io", "disk_full")
         if bench.series(f'greenroom_store_errors_total{{kind="{kind}"}}')]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert bench.door.kept(1) == [(2, 2)]
assert bench.close()
print(*kinds)
"""


def test_writes_that_the_system_refuses_succeed_once_it_lets_them(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["io"]


# ── waiting ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wait", [SqliteOutbox.wait_idle, SqliteOutbox.close])
def test_who_waits_for_a_slow_disk_waits_no_longer_than_said(
    outbox_bench: OutboxBench, wait: Callable[[SqliteOutbox, float | None], bool]
) -> None:
    outbox = outbox_bench.open()
    let_go = threading.Event()
    outbox_bench.store.submit(lambda _: let_go.wait(PATIENCE_SECONDS))
    outbox.keep([kept_delivery(1)], "notifier")

    assert not wait(outbox, 0.0)
    let_go.set()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_database_that_is_gone_takes_nothing_until_it_is_back(tmp_path: Path, how: str) -> None:
    directory = tmp_path / "data"
    bench = OutboxBench(directory)
    outbox = bench.open(retry_seconds=0.01)
    outbox.keep([kept_delivery(1)], "notifier")
    bench.door.kept(1)
    directory.rename(tmp_path / "elsewhere")
    other = OutboxBench(directory)
    if how == "replaced":
        other.open()

    outbox.keep([kept_delivery(2)], "notifier")
    assert not outbox.wait_idle(PATIENCE_SECONDS)

    assert bench.door.is_empty
    assert errors(bench, "gone") >= 1
    assert bench.store.statistics().failed
    if how == "replaced":
        other.end()
        assert read_trouble(directory) is None  # it is not this store's any more
        directory.rename(tmp_path / "other")
    (tmp_path / "elsewhere").rename(directory)
    assert bench.door.kept(1) == [(2, 2)]
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert not bench.store.statistics().failed
    bench.end()


def test_an_idle_process_says_that_its_database_is_gone(tmp_path: Path) -> None:
    bench = OutboxBench(tmp_path / "data")
    bench.open().watch("notifier")

    (tmp_path / "data").rename(tmp_path / "elsewhere")

    wait_until(lambda: errors(bench, "gone") >= 1)
    assert "the file is gone" in bench.store.statistics().last_error
    bench.end()


def test_nothing_to_write_is_written(outbox_bench: OutboxBench) -> None:
    assert outbox_bench.open().wait_idle(0.0)
