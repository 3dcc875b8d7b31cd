from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from greenroom.adapters.database import (
    DATABASE_NAME,
    LOCK_NAME,
    open_beside,
)
from greenroom.adapters.schema import MIGRATIONS
from greenroom.adapters.store import Store
from greenroom.errors import ConfigError, StoreError
from greenroom.testing.patience import PATIENCE_SECONDS

OpenStore: TypeAlias = Callable[[Path], Store]

HOLDER: Final = """
import os, sys, threading
from pathlib import Path
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.store import Store
from greenroom.core.metrics import Metrics
from greenroom.runtime.clock import VirtualClock

store = Store(Path(sys.argv[1]), Metrics(), LoggingReporter(VirtualClock()))
"""


def create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")


def insert(number: int) -> Callable[[sqlite3.Connection], None]:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))

    return job


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM numbers")]


@pytest.fixture
def store(open_store: OpenStore, tmp_path: Path) -> Store:
    store = open_store(tmp_path)
    assert store.submit(create).exception(PATIENCE_SECONDS) is None
    return store


# ── the directory ───────────────────────────────────────────────────────────────────────────


def test_a_new_directory_and_its_files_are_for_their_owner_only(
    open_store: OpenStore, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "a" / "data")
    assert store.submit(create).exception(PATIENCE_SECONDS) is None

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.data_dir.iterdir()}

    assert stat.S_IMODE(store.data_dir.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert {DATABASE_NAME, LOCK_NAME, f"{DATABASE_NAME}-wal"} <= modes.keys()


def test_a_second_store_in_a_directory_is_refused_and_told_who_has_it(
    open_store: OpenStore, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        open_store(tmp_path)

    assert f"{tmp_path} is in use by process {os.getpid()};" in str(refused.value)
    assert store.submit(insert(1)).exception(PATIENCE_SECONDS) is None


def test_another_processs_store_is_in_the_way_until_its_end_however_that_comes(
    open_store: OpenStore, tmp_path: Path
) -> None:
    program = HOLDER + "print('ready', flush=True)\nsys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        with pytest.raises(ConfigError, match=f"in use by process {holder.pid};"):
            open_store(tmp_path)
        holder.kill()

    open_store(tmp_path)


def test_a_forked_child_does_not_keep_its_parents_directory(
    open_store: OpenStore, tmp_path: Path
) -> None:
    fork = """
import warnings
warnings.simplefilter("ignore")
here, there = os.pipe()
if os.fork() == 0:
    os.write(there, b"!")  # only now has it let go of what it inherited
    sys.stdin.read()
    os._exit(0)
os.read(here, 1)
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER + fork, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.wait(PATIENCE_SECONDS) == 0  # its child still waits for our end of the pipe
        open_store(tmp_path)


def test_a_file_in_the_place_of_the_directory_is_refused(
    open_store: OpenStore, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"data_dir: cannot use .*file: File exists"):
        open_store(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"data_dir: cannot use .*: Not a directory"):
        open_store(tmp_path / "file" / "below")


# ── the schema ──────────────────────────────────────────────────────────────────────────────


def set_version(directory: Path, version: int) -> None:
    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def test_a_database_knows_its_version_and_is_opened_again_as_it_is(
    open_store: OpenStore, store: Store, tmp_path: Path
) -> None:
    store.submit(insert(1))
    assert store.close(PATIENCE_SECONDS)

    again = open_store(tmp_path)

    assert again.read(lambda one: one.execute("PRAGMA user_version").fetchone()) == (
        len(MIGRATIONS),
    )
    assert again.read(numbers) == [1]


def test_a_database_of_a_newer_version_is_left_alone(
    open_store: OpenStore, tmp_path: Path
) -> None:
    set_version(tmp_path, len(MIGRATIONS) + 1)

    with pytest.raises(StoreError, match="written by a newer greenroom"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="written by a newer greenroom"):
        open_beside(tmp_path)


def test_an_older_database_is_for_its_owner_to_bring_up_to_date(
    open_store: OpenStore, tmp_path: Path
) -> None:
    set_version(tmp_path, 0)
    with pytest.raises(StoreError, match="written by an older greenroom"):
        open_beside(tmp_path)

    open_store(tmp_path)

    open_beside(tmp_path).close()


def test_a_file_that_is_no_database_is_an_error_that_names_it_and_frees_the_directory(
    open_store: OpenStore, tmp_path: Path
) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database at all" * 100)

    with pytest.raises(StoreError, match=f"{DATABASE_NAME}: file is not a database"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match=f"{DATABASE_NAME}: file is not a database"):
        open_beside(tmp_path)

    (tmp_path / DATABASE_NAME).unlink()
    open_store(tmp_path)


# ── beside it ───────────────────────────────────────────────────────────────────────────────


def test_others_read_while_the_store_writes(store: Store, tmp_path: Path) -> None:
    store.submit(insert(1))
    assert store.wait_idle(PATIENCE_SECONDS)
    began, let_go = threading.Event(), threading.Event()

    def write_and_wait(connection: sqlite3.Connection) -> None:
        insert(2)(connection)
        began.set()
        assert let_go.wait(PATIENCE_SECONDS)

    store.submit(write_and_wait)
    assert began.wait(PATIENCE_SECONDS)

    with closing(open_beside(tmp_path)) as reader:
        assert numbers(reader) == [1]
        let_go.set()
        assert store.wait_idle(PATIENCE_SECONDS)
        assert numbers(reader) == [1, 2]


def test_readers_cannot_write(store: Store, tmp_path: Path) -> None:
    with (
        closing(open_beside(tmp_path)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        insert(1)(reader)


def test_a_directory_without_a_database_is_refused_to_readers_and_stays_empty(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=f"no {DATABASE_NAME} in"):
        open_beside(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_to_read_a_database_that_was_taken_away_fails_as_any_trouble_of_the_disk(
    open_store: OpenStore, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "elsewhere")

    with pytest.raises(StoreError) as caught:
        store.read(lambda connection: connection.execute("SELECT 1").fetchone())
    assert caught.value.kind == "gone"

    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert store.read(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
