"""The file `greenroom.db` of a data directory: its lock, its schema, and how it is opened.

One process writes it, and holds the lock. Others (the command line) open it beside it: SQLite's
write-ahead log lets them read at any time, and write a row when nobody else is writing.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ..config import DiskSync
from ..errors import ConfigError, StoreError
from .schema import MIGRATIONS
from .store_errors import store_error

UNSTORABLE: Final = (OverflowError, UnicodeEncodeError)  # by a value that SQLite cannot hold
DATABASE_NAME: Final = "greenroom.db"
LOCK_NAME: Final = "greenroom.lock"
BUSY_SECONDS: Final = 5.0  # sqlite3's own default: another process writes a row in milliseconds
LOOK_WAITS_SECONDS: Final = (0.01, 0.04)  # `holder` has the lock for microseconds
CACHE_KIB: Final = 32_768  # the upper pages of the indexes of a million deliveries
CHECKPOINT_PAGES: Final = 4_000  # 16 MB: a page that many groups change is copied back once
PRIVATE_FILE: Final = 0o600  # dead letters hold personal data
PRIVATE_DIRECTORY: Final = 0o700


class DirectoryLock:
    """Holds a data directory for this process, until `release()` or the process's end.

    Args:
        directory: Must exist.

    Raises:
        ConfigError: Another process holds it (the text names its pid), or it cannot be locked.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK_NAME
        try:
            # the file stays for ever: to remove it would let two processes lock two files
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            raise ConfigError(f"data_dir: cannot use {path}: {error.strerror}") from error
        try:
            _lock(self._file)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except ModuleNotFoundError as error:
            self.release()
            raise ConfigError("data_dir: needs a POSIX system, for its lock") from error
        except BlockingIOError as error:
            pid = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            self.release()
            raise ConfigError(
                f"data_dir: {directory} is in use by process {pid or 'unknown'}; "
                "stop that one first, or give this one a directory of its own"
            ) from error
        except OSError as error:
            self.release()
            raise ConfigError(f"data_dir: cannot lock {path}: {error.strerror}") from error
        own = weakref.ref(self)

        def release_in_child() -> None:
            if (lock := own()) is not None:
                lock.release()

        # a forked child would hold the lock beyond this process's end
        os.register_at_fork(after_in_child=release_in_child)

    def release(self) -> None:
        """Let others have it; to release twice is to release once."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _lock(file: int) -> None:
    """Lock it, although somebody may be looking at this moment who has it, see `holder`.

    Raises:
        BlockingIOError: A process has it.
    """
    import fcntl

    for wait_seconds in LOOK_WAITS_SECONDS:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(wait_seconds)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder(directory: Path) -> str:
    """The pid of the process that holds it; empty: nobody does.

    Raises:
        OSError: The lock cannot be looked at.
    """
    import fcntl

    try:
        file = os.open(directory / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(file)
    return ""


def make_directory(directory: Path) -> None:
    """Make sure that it is there; a new one is for its owner only.

    Raises:
        ConfigError: It cannot be made, or is something else.
    """
    try:
        directory.mkdir(PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data_dir: cannot use {directory}: {error.strerror}") from error


def open_owned(directory: Path, disk_sync: DiskSync = "full") -> sqlite3.Connection:
    """Open the database of a directory whose lock is held; made or brought up to date if needed.

    The connection may be passed to another thread; transactions are begun by hand.

    Args:
        directory: The `data_dir`.
        disk_sync: "full": what was committed is there after a power cut, for one sync of the
            disk in each group of writes. "normal": the last seconds of it may be gone then (not
            after a crash of the process), and the file is whole all the same.

    Raises:
        StoreError: It cannot be opened, is no database of greenroom, or of a newer one.
    """
    path = directory / DATABASE_NAME
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))  # SQLite would use 0o644
    except OSError as error:
        raise StoreError(path, error.strerror or str(error)) from error
    connection = _connect(path, "rw")
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(path, f"its file system has no write-ahead log (mode {mode})")
        connection.execute(f"PRAGMA synchronous = {disk_sync.upper()}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute("PRAGMA secure_delete = FAST")  # wipes what is written anyway
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


def open_beside(directory: Path, *, write: bool = False) -> sqlite3.Connection:
    """Open the database without the lock, whether or not a process holds it.

    Args:
        directory: The `data_dir`.
        write: Short changes of rows are wanted, too.

    Raises:
        ConfigError: There is no database in this directory.
        StoreError: It cannot be opened, or has another schema than this version of greenroom.
    """
    path = directory / DATABASE_NAME
    if not path.is_file():
        raise ConfigError(f"data_dir: no {DATABASE_NAME} in {directory}")
    connection = _connect(path, "rw" if write else "ro")
    try:
        version = _version(connection)
        if version != len(MIGRATIONS):
            raise _other_version(path, version)
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write inside of it: all of it is committed at the end, or nothing.

    Raises:
        sqlite3.Error: It could not be begun or committed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise _other_version(path, version)
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")  # undone by a rollback, too


def _other_version(path: Path, version: int) -> StoreError:
    what = "a newer" if version > len(MIGRATIONS) else "an older"
    return StoreError(
        path, f"written by {what} greenroom (schema {version}; this one has {len(MIGRATIONS)})"
    )
