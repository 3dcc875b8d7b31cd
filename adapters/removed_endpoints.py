"""What is left in the database of endpoints that were removed, and how it goes.

Whoever removes an endpoint leaves a *tombstone* in the same transaction. Its pending deliveries
are *buried* (they become dead), page by page, and its sequences are forgotten when its last
delivery is pruned; then the tombstone goes too. So this goes on after a crash at any moment.

Everything here runs inside a transaction of the caller's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

BURY_MAX: Final = 2_000  # deliveries, or sequences, in one transaction: some 20 ms
REASON: Final = "endpoint removed"
IS_PENDING: Final = "state IN ('pending', 'replay')"  # as in the partial index, or it is not used
GONE: Final = (
    "SELECT endpoint FROM removed_endpoints WHERE endpoint NOT IN (SELECT id FROM endpoints)"
)

_BURY: Final = f"""
    UPDATE deliveries SET state = 'dead', next_at_ns = 0, ended_at_ns = ?, error = '{REASON}'
    WHERE id IN (
        SELECT id FROM deliveries INDEXED BY deliveries_pending
        WHERE endpoint = ? AND {IS_PENDING} AND id <= ? AND id NOT IN ({{spared}}) LIMIT ?
    )
"""
_FORGET: Final = """
    DELETE FROM sequences WHERE endpoint = ?1
        AND key IN (SELECT key FROM sequences WHERE endpoint = ?1 LIMIT ?2)
"""


def mark_removed(connection: sqlite3.Connection, endpoint_id: str) -> None:
    """Leave a tombstone: all that is pending of this endpoint is to be buried."""
    connection.execute(
        "INSERT INTO removed_endpoints (endpoint, last_id) VALUES (?, NULL) "
        "ON CONFLICT DO UPDATE SET last_id = NULL",
        (endpoint_id,),
    )


def mark_returned(connection: sqlite3.Connection, endpoint_id: str) -> None:
    """There is an endpoint with this id again; what was pending before is buried all the same."""
    connection.execute(
        "DELETE FROM removed_endpoints WHERE endpoint = ?1 AND NOT EXISTS "
        f"(SELECT 1 FROM deliveries WHERE endpoint = ?1 AND {IS_PENDING})",
        (endpoint_id,),
    )


def select_removed(connection: sqlite3.Connection) -> dict[str, int | None]:
    """Each endpoint with a tombstone, and the last delivery to be buried; None: any."""
    rows = connection.execute("SELECT endpoint, last_id FROM removed_endpoints ORDER BY endpoint")
    return dict(rows.fetchall())


def select_gone(connection: sqlite3.Connection) -> set[str]:
    """Those with a tombstone that did not come back."""
    return {endpoint for (endpoint,) in connection.execute(GONE)}


def bury(
    connection: sqlite3.Connection,
    endpoint_id: str,
    *,
    last_id: int,
    spared: Sequence[int],
    at_ns: int,
) -> tuple[int, bool]:
    """Have the next page of an endpoint's pending deliveries dead; then forget its sequences.

    Args:
        connection: In a transaction.
        endpoint_id: It was removed.
        last_id: Later deliveries are of one that came back with the same id.
        spared: These are in flight, and may end as they will.
        at_ns: When they end (Unix ns).

    Returns:
        How many were buried, and whether there may be more to do.
    """
    connection.execute(
        "INSERT INTO removed_endpoints (endpoint, last_id) VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET last_id = excluded.last_id",
        (endpoint_id, last_id),
    )
    statement = _BURY.format(spared=", ".join("?" * len(spared)))
    values = (at_ns, endpoint_id, last_id, *spared, BURY_MAX)
    count = connection.execute(statement, values).rowcount
    if count == BURY_MAX:
        return count, True
    is_back = connection.execute("SELECT 1 FROM endpoints WHERE id = ?", (endpoint_id,)).fetchone()
    if is_back:
        connection.execute("DELETE FROM removed_endpoints WHERE endpoint = ?", (endpoint_id,))
        return count, False
    return count, forget_sequences(connection)


def forget_sequences(connection: sqlite3.Connection) -> bool:
    """Delete a page of sequences that nobody will count on; True: there are more of them."""
    found = connection.execute(
        "SELECT endpoint FROM removed_endpoints AS gone "
        "WHERE last_id IS NOT NULL "  # else the running process may not know yet that it is gone
        "AND endpoint NOT IN (SELECT id FROM endpoints) "
        "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = gone.endpoint) LIMIT 1"
    ).fetchone()
    if found is None:
        return False
    if connection.execute(_FORGET, (*found, BURY_MAX)).rowcount < BURY_MAX:
        connection.execute("DELETE FROM removed_endpoints WHERE endpoint = ?", found)
    return True
