from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.database import DATABASE_NAME, LOCK_NAME, DirectoryLock
from greenroom.adapters.schema import MIGRATIONS
from greenroom.adapters.store_check import check_store
from greenroom.adapters.store_repair import RepairReport, repair_store
from greenroom.adapters.store_report import FindingKind
from greenroom.adapters.store_trouble import SPARE_NAME
from greenroom.adapters.table_shapes import new_schema
from greenroom.errors import ConfigError, StoreError
from greenroom.testing.filled_store import (
    Rows,
    all_rows,
    change_rows,
    fill_store,
    killed_copy,
    overwrite_page,
    readable,
    root_page,
    write_journal,
)
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import OutboxBench

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
BACKUP: Final = f"{DATABASE_NAME}.damaged-20260131T120000Z"
PAGE: Final = 4_096


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    fill_store(directory)
    return directory


@pytest.fixture(scope="module")
def rows(filled: Path) -> Rows:
    return all_rows(filled)


@pytest.fixture
def directory(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "store"))


def files(directory: Path) -> dict[str, bytes]:
    found = {one.name: one.read_bytes() for one in directory.iterdir()}
    for name in (LOCK_NAME, SPARE_NAME):
        found.pop(name, None)
    return found


def keeps_what_was_readable(directory: Path, rows: Rows) -> RepairReport:
    """Repair it: a store without a finding, with every row that SQLite could still find."""
    before = readable(directory / DATABASE_NAME, rows)
    report = repair_store(directory, NOW)
    assert check_store(directory).findings == []
    after = all_rows(directory)
    for table, found in before.items():
        assert found.items() <= after[table].items(), table
    return report


# ── the files ───────────────────────────────────────────────────────────────────────────────


def test_a_whole_store_is_left_as_it_is(directory: Path) -> None:
    before = files(directory)

    report = repair_store(directory, NOW)

    assert files(directory) == before
    assert (report.backups, report.before.findings) == ((), [])


def test_the_damaged_files_are_kept_and_a_second_repair_does_nothing(
    directory: Path, tmp_path: Path
) -> None:
    killed = killed_copy(directory, tmp_path / "killed", lambda one: write_journal(one, 1_001, 2))
    overwrite_page(killed, 2)
    before = files(killed)

    report = repair_store(killed, NOW)

    assert {one.name for one in report.backups} == {BACKUP, f"{BACKUP}-wal", f"{BACKUP}-shm"}
    for name, content in before.items():
        assert (killed / name.replace(DATABASE_NAME, BACKUP)).read_bytes() == content
    assert {one.stat().st_mode & 0o777 for one in report.backups} == {0o600}
    assert (killed / DATABASE_NAME).stat().st_mode & 0o777 == 0o600
    after = files(killed)
    assert set(after) == {DATABASE_NAME, *(one.name for one in report.backups)}
    assert repair_store(killed, NOW).backups == ()
    assert files(killed) == after


def test_two_repairs_within_a_second_keep_both_files(directory: Path) -> None:
    overwrite_page(directory, 2)
    first = repair_store(directory, NOW)
    overwrite_page(directory, 2)

    second = repair_store(directory, NOW)

    assert [one.name for one in second.backups] == [f"{BACKUP}.again-2"]
    assert all(one.exists() for one in first.backups + second.backups)


def test_a_dry_run_says_the_same_and_changes_nothing(directory: Path) -> None:
    overwrite_page(directory, 2)
    before = files(directory)

    said = repair_store(directory, NOW, dry_run=True)

    assert files(directory) == before
    done = repair_store(directory, NOW)
    assert (said.salvaged, said.before.findings) == (done.salvaged, done.before.findings)


def test_a_directory_that_a_process_holds_is_refused(directory: Path) -> None:
    overwrite_page(directory, 2)
    lock = DirectoryLock(directory)
    before = files(directory)

    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
        repair_store(directory, NOW)

    assert files(directory) == before
    lock.release()
    repair_store(directory, NOW)


def test_a_store_of_a_newer_greenroom_is_for_that_one(directory: Path) -> None:
    change_rows(directory, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    overwrite_page(directory, 2)
    before = files(directory)

    with pytest.raises(StoreError, match="newer greenroom"):
        repair_store(directory, NOW)

    assert files(directory) == before


def test_an_older_store_keeps_its_schema_until_greenroom_brings_it_up_to_date(
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as old, old:
        new_schema(old, 1)
        values = "('A', 'k', 'M', 1, 2, 'e', 't', x'00')"
        old.execute(
            "INSERT INTO dead_letters (actor, key, message, position, at_ns, error, traceback, "
            f"body) VALUES {values}"
        )
    overwrite_page(tmp_path, root_page(tmp_path, "dead_letters_to_replay"))

    repair_store(tmp_path, NOW)

    assert [one.kind for one in check_store(tmp_path).findings] == [FindingKind.OLDER]
    bench = OutboxBench(tmp_path)
    bench.open()
    assert bench.run("SELECT actor, incarnation FROM dead_letters") == [("A", 0)]
    bench.end()


def test_a_repair_that_was_killed_before_the_new_database_was_in_place_begins_anew(
    directory: Path, tmp_path: Path
) -> None:
    killed = killed_copy(directory, tmp_path / "killed", lambda one: write_journal(one, 1_001, 2))
    overwrite_page(killed, 2)
    damaged = (killed / DATABASE_NAME).read_bytes()
    repair_store(killed, NOW)
    wanted = all_rows(killed)
    # what it leaves when it ends between its last two steps
    (killed / DATABASE_NAME).write_bytes(damaged)
    (killed / f"{DATABASE_NAME}.repairing").write_bytes(b"half")

    repair_store(killed, NOW)

    assert all_rows(killed) == wanted
    assert not (killed / f"{DATABASE_NAME}.repairing").exists()


LIMITED: Final = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from greenroom.adapters.store_repair import repair_store
from greenroom.errors import StoreError

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    repair_store(Path(sys.argv[1]), datetime.now(UTC))
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("percent", [20, 95])
def test_a_repair_that_has_no_room_changes_nothing(directory: Path, percent: int) -> None:
    """Neither for the new database, nor, a little later, for the copies."""
    overwrite_page(directory, root_page(directory, "deliveries"))
    before = files(directory)
    size = (directory / DATABASE_NAME).stat().st_size * percent // 100

    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(directory), str(size)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert "not repaired" in ran.stdout, ran.stderr
    assert files(directory) == before
