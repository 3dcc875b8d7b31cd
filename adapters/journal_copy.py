"""A copy of the journal as it is at one moment, to be read for as long as one likes.

A running process deletes rows once a checkpoint covers them, and a reader that keeps them all
visible would keep the write-ahead log from being used again. So they are copied at once.
"""

from __future__ import annotations

import sqlite3
from typing import Final

END_NS: Final = 2**63 - 1


def copy_journal(
    connection: sqlite3.Connection, *, after: int = 0, since_ns: int = 0, until_ns: int = END_NS
) -> int:
    """From now on `journal_rows.select` on this connection reads a copy, in a temporary file.

    Args:
        connection: Opened with `database.open_beside`.
        after: Only rows with a position beyond it.
        since_ns: Only rows that came then or later (Unix ns).
        until_ns: Only rows that came before it (Unix ns).

    Returns:
        How many rows there are.

    Raises:
        sqlite3.Error: They cannot be read, or there is no room for the copy.
    """
    connection.execute("PRAGMA temp_store = FILE")
    # a temporary table hides the one of the same name
    connection.execute(
        "CREATE TEMP TABLE journal "
        "(first INTEGER PRIMARY KEY, at_ns INTEGER, checksum INTEGER, body BLOB)"
    )
    copied = connection.execute(
        """
        INSERT INTO temp.journal SELECT first, at_ns, checksum, body FROM main.journal
        WHERE first >= (SELECT coalesce(max(first), 0) FROM main.journal WHERE first <= ?)
        AND at_ns >= ? AND at_ns < ?
        """,
        (after + 1, since_ns, until_ns),
    )
    return copied.rowcount
