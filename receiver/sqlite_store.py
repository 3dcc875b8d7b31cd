"""A receiver's memory in a SQLite file: it outlives restarts, and processes can share it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .series import Series
from .stores import MAX_AGE_SECONDS

BUSY_SECONDS: Final = 10.0  # how long another process may hold the file

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS receiver_ids (
    id TEXT PRIMARY KEY, at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS receiver_ids_at ON receiver_ids (at);
CREATE TABLE IF NOT EXISTS receiver_series (
    endpoint TEXT NOT NULL, key TEXT NOT NULL, last INTEGER NOT NULL, began_at INTEGER NOT NULL,
    newest_at INTEGER NOT NULL, missing TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (endpoint, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS receiver_series_at ON receiver_series (at);
"""


class SqliteStore:
    """Remembers in a file, which may be one with other tables; any thread, any process.

    One `receive` is one transaction, of about 50 us. In an asyncio program give it to a thread.

    Args:
        path: The database, made when it is not there.
        max_age_seconds: How long ids and unused series are remembered.

    Raises:
        sqlite3.Error: The file cannot be used. Every method may raise it.
    """

    def __init__(self, path: str | Path, *, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self._max_age_seconds = max_age_seconds
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that writes: other processes wait for its end."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def add_id(self, webhook_id: str, now_s: float) -> bool:
        """Remember an id, and forget what is too old; False when it is known already."""
        before = (now_s - self._max_age_seconds,)
        self._database.execute("DELETE FROM receiver_ids WHERE at <= ?", before)
        self._database.execute("DELETE FROM receiver_series WHERE at <= ?", before)
        added = self._database.execute(
            "INSERT OR IGNORE INTO receiver_ids VALUES (?, ?)", (webhook_id, now_s)
        )
        return added.rowcount == 1

    def remove_id(self, webhook_id: str) -> None:
        """Forget an id."""
        self._database.execute("DELETE FROM receiver_ids WHERE id = ?", (webhook_id,))

    def load(self, endpoint: str, key: str) -> Series | None:
        """What is known of a series."""
        row = self._database.execute(
            "SELECT last, began_at, newest_at, missing FROM receiver_series"
            " WHERE endpoint = ? AND key = ?",
            (endpoint, key),
        ).fetchone()
        return None if row is None else _series(*row)

    def save(self, endpoint: str, key: str, series: Series, now_s: float) -> None:
        """Replace what is known of a series."""
        missing = json.dumps([(numbers.start, numbers.stop) for numbers in series.missing])
        self._database.execute(
            "INSERT OR REPLACE INTO receiver_series VALUES (?, ?, ?, ?, ?, ?, ?)",
            (endpoint, key, series.last, series.began_at, series.newest_at, missing, now_s),
        )

    def incomplete(self) -> list[tuple[str, str, Series]]:
        """Endpoint, key and series of those that miss something."""
        rows = self._database.execute(
            "SELECT endpoint, key, last, began_at, newest_at, missing FROM receiver_series"
            " WHERE missing <> '[]'"
        )
        return [(endpoint, key, _series(*rest)) for endpoint, key, *rest in rows]


def _series(last: int, began_at: int, newest_at: int, missing: str) -> Series:
    return Series(last, began_at, newest_at, tuple(range(*pair) for pair in json.loads(missing)))
