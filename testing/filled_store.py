"""A store with rows in every table, for tests that damage it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from livekit.protocol.models import Room

from ..adapters import journal_rows, stored_dead_letters
from ..adapters.database import DATABASE_NAME, open_owned, transaction
from ..adapters.endpoint_book import LastingBook
from ..messages.calls import RoomStarted, TrackStats
from ..messages.control import DeadLetter
from ..messages.endpoints import Endpoint
from ..messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID
from .stored import OutboxBench, dead, delivered, kept_delivery

KEYS: Final = {  # of each table: what a row of it is found by
    "dead_letters": ("id",),
    "endpoints": ("id",),
    "sequences": ("endpoint", "key"),
    "deliveries": ("id",),
    "removed_endpoints": ("endpoint",),
    "journal": ("first",),
    "checkpoint": ("one",),
    "checkpoint_workers": ("incarnation",),
    "batches": ("client", "sequence"),
    "outputs": ("id",),
    "sqlite_sequence": ("name",),
}
NOW_NS: Final = 1_700_000_000_000_000_000
PAGE_SIZE: Final = 4_096
INPUTS: Final = 3  # in a row of the journal
Rows: TypeAlias = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]


def fill_store(directory: Path, count: int = 60) -> None:
    """Make a store with that many deliveries, and as many rows in the tables that are long.

    Some rows are longer than a page.
    """
    bench = OutboxBench(directory)
    outbox = bench.open()
    book = LastingBook(bench.store)
    for name in ("primary", "backup"):
        book.put(Endpoint(id=name, url=f"https://example.com/{name}", keys=("key",)))
    for one in range(1, count + 1):
        body = b"%d " % one * (4_000 if one % 20 == 0 else 40)
        outbox.keep([kept_delivery(one, f"room-{one % 7}", "primary", body)], "notifier")
    bench.door.kept(count)
    for ended in (delivered(1), dead(2), dead(4)):
        outbox.end(ended)
    assert bench.close()
    with closing(open_owned(directory)) as connection, transaction(connection):
        for one in range(1, count // 3):
            letter = DeadLetter("StatsWorker", f"RM/PA_{one}", "Flush", one, 5, "E", "T" * 90, b"")
            stored_dead_letters.insert(connection, letter, 1_000)
        write_journal(connection, 101, count)
        many = connection.executemany
        many(
            "INSERT INTO checkpoint VALUES (1, ?, ?, ?, ?, ?)",
            [(100, NOW_NS, count + 1, 7, b"\x93state" * 30)],
        )
        workers = [(one, b"\x91worker" * (900 if one == 3 else 9)) for one in range(1, 30)]
        many("INSERT INTO checkpoint_workers VALUES (?, ?)", workers)
        batches = [(b"client-%d" % (one % 3), one, b"\x90" * 60) for one in range(count)]
        many("INSERT INTO batches VALUES (?, ?, ?)", batches)
        outputs = [(f"{one}:0", "stats", one % 2, b"out" * 50) for one in range(count)]
        many("INSERT INTO outputs (key, kind, is_handed, body) VALUES (?, ?, ?, ?)", outputs)
        connection.execute("DELETE FROM outputs WHERE id = ?", (count,))  # its id is not free
        connection.execute("INSERT INTO removed_endpoints VALUES ('old', 3)")


def write_journal(connection: sqlite3.Connection, first: int, rows: int) -> int:
    """Write that many rows of three inputs each; returns the next position."""
    for _ in range(rows):
        inputs = (
            RoomStarted(Room(name=f"room-{first}")),
            sample(first),
            sample(first + 1),
        )
        journal_rows.insert(connection, first, NOW_NS + first, inputs)
        first += INPUTS
    return first


def sample(number: int) -> TrackStats:
    """A statistic; its number is in it."""
    key = StatsKey("NO", 0, ParticipantID(f"PA_{number % 5}"), TrackID("TR_1"), 1, 0, track=True)
    return TrackStats(RoomID("RM_1"), RoomName("room-1"), key, b"%d" % number * 20)


def change_rows(directory: Path, *statements: str) -> None:
    """Run statements on the database of a store that no process has."""
    with closing(sqlite3.connect(directory / DATABASE_NAME, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def root_page(directory: Path, name: str) -> int:
    """The number of the page where a table or an index begins."""
    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
        return int(found.fetchone()[0])


def overwrite_page(directory: Path, page: int) -> None:
    """As a disk that lost it."""
    with (directory / DATABASE_NAME).open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xff" * PAGE_SIZE)


def killed_copy(
    directory: Path, copy: Path, write: Callable[[sqlite3.Connection], object]
) -> Path:
    """A copy of the files as a process that was killed leaves them, after it had written that.

    Args:
        directory: The store; it is left closed.
        copy: Made; has the log.
        write: Its commits stay in the log.
    """
    with closing(open_owned(directory)) as connection:
        write(connection)
        shutil.copytree(directory, copy)
    return copy


def readable(path: Path, originals: Rows) -> Rows:
    """Those of the rows that SQLite finds by their key, as they were.

    Args:
        path: The database's file; it is not changed.
        originals: What was in it.
    """
    found: Rows = {table: {} for table in originals}
    uri = f"file:{path}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        for table, rows in originals.items():
            where = " AND ".join(f"{column} = ?" for column in KEYS[table])
            for key, row in rows.items():
                try:
                    got = connection.execute(f"SELECT * FROM {table} WHERE {where}", key)
                    if got.fetchone() == row:
                        found[table][key] = row
                except (sqlite3.DatabaseError, UnicodeDecodeError):
                    continue
    return found


def all_rows(directory: Path) -> Rows:
    """Every row of a database that is whole, by table and key; with those of its log."""
    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection:
        return {table: dict(_keyed(connection, table)) for table in KEYS}


def _keyed(
    connection: sqlite3.Connection, table: str
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    rows = connection.execute(f"SELECT {', '.join(KEYS[table])}, * FROM {table}")
    size = len(KEYS[table])
    for row in rows:
        yield tuple(row[:size]), tuple(row[size:])
