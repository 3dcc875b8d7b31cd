"""What operators ask of the stored deliveries, and what they mark to be sent again.

For a connection beside a running process (`open_beside`) as well as for its own. What is marked
is noticed by the process that runs, or by the next one at its start.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ConfigError
from ..messages.deliveries import DeliveryState
from .database import transaction
from .removed_endpoints import GONE, IS_PENDING

LIMIT: Final = 100
MARK_MAX: Final = 1_000  # rows in one transaction: the running process waits for some ms

_FIELDS: Final = (
    "id, endpoint, key, sequence, event_id, event, room, queued_at_ns, state, attempts, "
    "next_at_ns, started_at_ns, ended_at_ns, status, error"
)
_INDEXES: Final = {  # few among many; without statistics SQLite would go through all
    DeliveryState.DEAD: "INDEXED BY deliveries_dead",
    DeliveryState.REPLAY: "INDEXED BY deliveries_to_replay",
}
_STATE: Final = _FIELDS.split(", ").index("state")
# what is over begins anew; what waits for its next attempt keeps its count
_MARK: Final = """
    UPDATE deliveries SET
        attempts = iif(state = 'pending', attempts, 0),
        started_at_ns = iif(state = 'pending', started_at_ns, 0),
        next_at_ns = 0, ended_at_ns = 0, state = 'replay'
"""
_IS_MARKABLE: Final = (
    "(state IN ('delivered', 'dead') OR (state = 'pending' AND next_at_ns > 0)) "
    f"AND endpoint NOT IN ({GONE})"
)


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A stored delivery as people see it: all but its body.

    Args:
        id: 1, 2, 3 …
        endpoint: Its endpoint's id.
        key: Its event key.
        sequence: Its place among those of its (endpoint, key): 1, 2, 3 …
        event_id: The webhook's `EV_` id.
        event: The webhook's name.
        room: The room's name.
        queued_at_ns: When it was accepted (Unix ns, as all times here).
        state: What became of it.
        attempts: How many were made.
        next_at_ns: When the next is due; 0: at once, or there is none.
        started_at_ns: When the first was decided; 0: there was none.
        ended_at_ns: When it was delivered or given up; 0: not yet.
        status: The last answer; None: there was none.
        error: Why the last attempt failed, or why it was given up.
    """

    id: int
    endpoint: str
    key: str
    sequence: int
    event_id: str
    event: str
    room: str
    queued_at_ns: int
    state: DeliveryState
    attempts: int
    next_at_ns: int
    started_at_ns: int
    ended_at_ns: int
    status: int | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries are meant: those that agree with all that is given.

    Args:
        endpoint: Its endpoint's id.
        room: The room's name.
        key: Its event key.
        event: The webhook's name.
        state: What became of it.
        since_ns: Accepted then or later (Unix ns).
        until_ns: Accepted before that.
    """

    endpoint: str | None = None
    room: str | None = None
    key: str | None = None
    event: str | None = None
    state: DeliveryState | None = None
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class EndpointCount:
    """How many deliveries of an endpoint are in a state."""

    endpoint: str
    state: DeliveryState
    count: int


@dataclass(frozen=True, slots=True)
class Marked:
    """What was marked to be sent again.

    Args:
        by_endpoint: Its id -> how many of it.
        left_out: The same of removed endpoints, which are not marked: nobody would send them.
    """

    by_endpoint: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many were marked."""
        return sum(self.by_endpoint.values())


def select_deliveries(
    connection: sqlite3.Connection,
    wanted: DeliveryFilter,
    *,
    limit: int = LIMIT,
    before_id: int | None = None,
) -> tuple[DeliveryRecord, ...]:
    """The newest ones; for the next page pass the last one's id as `before_id`."""
    state = None if wanted.state is None else DeliveryState(wanted.state)
    where, values = _where(
        [
            ("endpoint = ?", wanted.endpoint),
            ("room = ?", wanted.room),
            ("key = ?", wanted.key),
            ("event = ?", wanted.event),
            # as a literal, so that the index of that state is used
            (f"state = '{state}' AND ?", None if state is None else 1),
            ("queued_at_ns >= ?", wanted.since_ns),
            ("queued_at_ns < ?", wanted.until_ns),
            ("id < ?", before_id),
        ]
    )
    index = _INDEXES.get(state, "") if state else ""
    rows = connection.execute(
        f"SELECT {_FIELDS} FROM deliveries {index} WHERE {where} ORDER BY id DESC LIMIT ?",
        (*values, limit),
    )
    return tuple(_record(row) for row in rows)


def find_delivery(connection: sqlite3.Connection, delivery_id: int) -> DeliveryRecord | None:
    """One delivery; None: there is none with this id, or it was deleted meanwhile."""
    row = connection.execute(
        f"SELECT {_FIELDS} FROM deliveries WHERE id = ?", (delivery_id,)
    ).fetchone()
    return None if row is None else _record(row)


def read_body(connection: sqlite3.Connection, delivery_id: int) -> bytes | None:
    """What is sent in every attempt of it; None: there is no such delivery."""
    row = connection.execute("SELECT body FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    return None if row is None else bytes(row[0])


def count_by_endpoint(connection: sqlite3.Connection) -> tuple[EndpointCount, ...]:
    """How many there are of each endpoint and state, by endpoint; none is left out.

    Reads indexes only: a million deliveries take some tenths of a second.
    """
    connection.execute("BEGIN")  # all counts are of one moment
    try:
        total, pending, replay, dead = (
            dict(
                connection.execute(
                    f"SELECT endpoint, count(*) FROM deliveries INDEXED BY {index} "
                    f"WHERE {condition} GROUP BY endpoint"
                ).fetchall()
            )
            for index, condition in (
                ("deliveries_in_order", "TRUE"),
                ("deliveries_pending", IS_PENDING),
                ("deliveries_to_replay", "state = 'replay'"),
                ("deliveries_dead", "state = 'dead'"),
            )
        )
    finally:
        connection.execute("COMMIT")
    counts: list[EndpointCount] = []
    for endpoint in sorted(total):
        waiting, again = pending.get(endpoint, 0), replay.get(endpoint, 0)
        given_up = dead.get(endpoint, 0)
        by_state = {
            DeliveryState.PENDING: waiting - again,
            DeliveryState.REPLAY: again,
            DeliveryState.DELIVERED: total[endpoint] - waiting - given_up,
            DeliveryState.DEAD: given_up,
        }
        counts.extend(EndpointCount(endpoint, *each) for each in by_state.items())
    return tuple(counts)


def oldest_pending(connection: sqlite3.Connection) -> dict[str, DeliveryRecord]:
    """Of each endpoint that has any: the one that was accepted first."""
    oldest = connection.execute(
        f"SELECT min(id) FROM deliveries INDEXED BY deliveries_pending WHERE {IS_PENDING} "
        "GROUP BY endpoint ORDER BY endpoint"
    ).fetchall()
    found = [find_delivery(connection, delivery_id) for (delivery_id,) in oldest]
    return {record.endpoint: record for record in found if record is not None}


def mark_deliveries(connection: sqlite3.Connection, ids: Iterable[int]) -> Marked:
    """Have these sent again, or at once if they wait for another attempt.

    Returns:
        Which of them that is; the others are not there, are of an endpoint that was removed, or
        are to be sent at once anyway. They are marked 1,000 at a time: an error leaves those
        before it.
    """
    return Marked(_mark(connection, list(ids), _IS_MARKABLE))


def mark_sequences(
    connection: sqlite3.Connection,
    *,
    known: Container[str],
    endpoint: str | None = None,
    room: str | None = None,
    key: str | None = None,
    from_sequence: int = 1,
    to_sequence: int | None = None,
) -> Marked:
    """Have a stretch of a room's or key's deliveries sent again, in their order.

    Args:
        connection: May write.
        known: The ids of the endpoints there are; what is of others is left out.
        endpoint: Of this one alone; None: of all.
        room: The room's name.
        key: The event key; at least one of both.
        from_sequence: The first one.
        to_sequence: The last one; None: all from there.

    Returns:
        What these are. They are marked 1,000 at a time: an error leaves those before it.

    Raises:
        ConfigError: Neither room nor key is given.
    """
    if room is None and key is None:
        raise ConfigError("replay: needs a room or a key")
    where, values = _where(
        [
            ("endpoint = ?", endpoint),
            ("room = ?", room),
            ("key = ?", key),
            ("(endpoint, key) IN (SELECT endpoint, key FROM sequences WHERE key = ?)", key),
            ("sequence >= ?", from_sequence),
            ("sequence <= ?", to_sequence),
        ]
    )
    rows = connection.execute(
        f"SELECT id, endpoint FROM deliveries WHERE {where} AND {_IS_MARKABLE} "
        "ORDER BY endpoint, key, sequence",
        values,
    ).fetchall()
    marked = _mark(connection, [one for one, of in rows if of in known], _IS_MARKABLE)
    return Marked(marked, left_out=Counter(of for _, of in rows if of not in known))


def mark_waiting(
    connection: sqlite3.Connection,
    ids: Iterable[int] | None = None,
    *,
    endpoint: str | None = None,
) -> Marked:
    """Have pending deliveries that wait for another attempt tried at once.

    Of a queue that is the first one: those behind it wait for it, and not for an attempt.

    Args:
        connection: May write.
        ids: These; None: all.
        endpoint: Of this one alone; None: of all.

    Returns:
        What these are. They are marked 1,000 at a time: an error leaves those before it.
    """
    chosen = list(ids) if ids is not None else _waiting(connection, endpoint)
    return Marked(_mark(connection, chosen, "state = 'pending' AND next_at_ns > 0"))


def _mark(connection: sqlite3.Connection, ids: Sequence[int], condition: str) -> Counter[str]:
    """Mark those that are so still: one may have been delivered meanwhile."""
    marked: Counter[str] = Counter()
    query = f"{_MARK} WHERE id = ? AND {condition} RETURNING endpoint"
    for start in range(0, len(ids), MARK_MAX):
        with transaction(connection):
            for one in ids[start : start + MARK_MAX]:
                marked.update(of for (of,) in connection.execute(query, (one,)))
    return marked


def _waiting(connection: sqlite3.Connection, endpoint: str | None) -> list[int]:
    where, values = _where([("endpoint = ?", endpoint)])
    rows = connection.execute(
        f"SELECT id FROM deliveries INDEXED BY deliveries_pending WHERE {IS_PENDING} "
        f"AND state = 'pending' AND next_at_ns > 0 AND {where} ORDER BY endpoint, key, sequence",
        values,
    )
    return [one for (one,) in rows]


def _where(conditions: list[tuple[str, object]]) -> tuple[str, tuple[object, ...]]:
    given = [(text, value) for text, value in conditions if value is not None]
    return " AND ".join(text for text, _ in given) or "TRUE", tuple(value for _, value in given)


def _record(row: tuple[Any, ...]) -> DeliveryRecord:
    values = list(row)
    values[_STATE] = DeliveryState(values[_STATE])
    return DeliveryRecord(*values)
