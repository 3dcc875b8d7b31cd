"""The table `deliveries`: what is written to it in one group, and how its rows are read.

Everything here runs inside a transaction of the caller's.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from ..messages.deliveries import (
    Buried,
    DeliveryState,
    EndedDelivery,
    Kept,
    KeptDelivery,
    KeyCount,
    KeysLoaded,
    Loaded,
    NotKept,
    Numbered,
    StoreAnswer,
    StoredDelivery,
)
from .removed_endpoints import IS_PENDING, bury

STORED_FIELDS: Final = (  # in the order of StoredDelivery
    "id, endpoint, key, event_id, event, room, body, queued_at_ns, sequence, attempts, "
    "next_at_ns, started_at_ns"
)
KEPT_MAX: Final = 64  # rows in one answer: a millisecond of the actor that takes it

_NUMBER: Final = """
    INSERT INTO sequences (endpoint, key, last, used_at_ns) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET last = last + excluded.last, used_at_ns = excluded.used_at_ns
    RETURNING last
"""
_INSERT: Final = """
    INSERT INTO deliveries
        (id, endpoint, key, event_id, event, room, body, queued_at_ns, sequence)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_POSTPONE: Final = f"""
    UPDATE deliveries SET attempts = ?, next_at_ns = ?, status = ?, error = ?,
        started_at_ns = iif(started_at_ns, started_at_ns, ?)
    WHERE id = ? AND {IS_PENDING}
"""
_END: Final = f"""
    UPDATE deliveries SET state = ?, attempts = ?, next_at_ns = 0, status = ?, error = ?,
        started_at_ns = ?, ended_at_ns = ?
    WHERE id = ? AND {IS_PENDING}
"""
_LOAD: Final = f"""
    SELECT {STORED_FIELDS}, state = 'replay' FROM deliveries
    WHERE endpoint = ? AND key = ? AND sequence > ? AND {IS_PENDING}
    ORDER BY sequence LIMIT ?
"""
_LOAD_KEYS: Final = f"""
    SELECT key, count(*) FROM deliveries WHERE endpoint = ? AND key > ? AND {IS_PENDING}
    GROUP BY key ORDER BY key LIMIT ?
"""
_TO_REPLAY: Final = f"""
    SELECT {STORED_FIELDS} FROM deliveries WHERE state = 'replay'
    ORDER BY endpoint, key, sequence LIMIT ?
"""


class Keep(NamedTuple):
    """Write these new ones."""

    rows: tuple[KeptDelivery, ...]
    reply_to: object


class Postpone(NamedTuple):
    """Write when a delivery is due again; the fields are in the order of the statement."""

    attempts: int
    next_at_ns: int
    status: int | None
    error: str
    started_at_ns: int
    delivery_id: int


class Load(NamedTuple):
    """Read a queue."""

    endpoint: str
    key: str
    after: int
    limit: int
    reply_to: object


class LoadKeys(NamedTuple):
    """Read which queues there are."""

    endpoint: str
    after: str
    limit: int
    reply_to: object


class Bury(NamedTuple):
    """Have the next page of a removed endpoint's deliveries dead; see `OutboxStore.bury`."""

    endpoint: str
    last_id: int
    spared: tuple[int, ...]
    at_ns: int
    reply_to: object
    is_asked: bool  # False: it is the rest of one that was answered


Question: TypeAlias = Load | LoadKeys | Bury
Operation: TypeAlias = Keep | Postpone | EndedDelivery | Question


@dataclass(slots=True)
class Written:
    """What a group of operations did.

    Args:
        answers: To whom what is said once it is committed, in the order of the operations.
        questions: How many operations these answer.
        delivered: Deliveries that became delivered.
        dead: Deliveries that became dead.
        again: What is left to do of operations that were too long for one group.
    """

    answers: list[tuple[object, StoreAnswer]] = field(default_factory=list)
    questions: int = 0
    delivered: int = 0
    dead: int = 0
    again: list[Bury] = field(default_factory=list)

    def kept(self, rows: Iterable[Numbered], reply_to: object) -> None:
        """Answer a `Keep`; several may share a message."""
        if self.answers:
            last_to, last = self.answers[-1]
            if last_to is reply_to and isinstance(last, Kept) and len(last.rows) < KEPT_MAX:
                self.answers[-1] = reply_to, Kept((*last.rows, *rows))
                return
        self.answers.append((reply_to, Kept(tuple(rows))))


def write(connection: sqlite3.Connection, operations: Iterable[Operation]) -> Written:
    """Carry them out, in their order as far as it can be told."""
    written = Written()
    keeps: list[Keep] = []
    postpones: list[Postpone] = []
    ends: list[EndedDelivery] = []
    for operation in operations:
        if isinstance(operation, Keep):
            keeps.append(operation)
        elif isinstance(operation, EndedDelivery):
            ends.append(operation)
        elif isinstance(operation, Postpone):
            postpones.append(operation)
        else:
            _change(connection, keeps, postpones, ends, written)
            if isinstance(operation, Bury):
                _bury(connection, operation, written)
            else:
                answer = _load(connection, operation)
                written.answers.append((operation.reply_to, answer))
                written.questions += 1
    _change(connection, keeps, postpones, ends, written)
    return written


def select_to_replay(connection: sqlite3.Connection, limit: int) -> tuple[StoredDelivery, ...]:
    """The next ones that somebody asked for; they are pending from now on."""
    rows = tuple(StoredDelivery(*row) for row in connection.execute(_TO_REPLAY, (limit,)))
    _set_pending(connection, rows)
    return rows


def count_pending(connection: sqlite3.Connection) -> dict[str, int]:
    """How many are pending, per endpoint."""
    query = f"SELECT endpoint, count(*) FROM deliveries WHERE {IS_PENDING} GROUP BY endpoint"
    return dict(connection.execute(query).fetchall())


def largest_id(connection: sqlite3.Connection) -> int:
    """Of all deliveries; 0: there is none."""
    return _number(connection, "SELECT coalesce(max(id), 0) FROM deliveries")


def failed(operation: Operation, reason: str) -> Written:
    """What is said instead of the answer to an operation that can never be carried out."""
    written = Written()
    answer: StoreAnswer
    if isinstance(operation, Keep):
        answer = NotKept(operation.rows, reason)
    elif isinstance(operation, Load):
        answer = Loaded(operation.endpoint, operation.key, ())
    elif isinstance(operation, LoadKeys):
        answer = KeysLoaded(operation.endpoint, (), operation.limit)
    elif isinstance(operation, Bury):
        written.questions = int(operation.is_asked)
        return written  # it is carried out after the next start
    else:
        return written
    written.answers.append((operation.reply_to, answer))
    written.questions = 1
    return written


def _change(
    connection: sqlite3.Connection,
    keeps: list[Keep],
    postpones: list[Postpone],
    ends: list[EndedDelivery],
    written: Written,
) -> None:
    """One statement for all of a kind: nothing ends or is postponed before it was kept."""
    if keeps:
        _keep(connection, keeps, written)
        keeps.clear()
    if postpones:
        connection.executemany(_POSTPONE, postpones)
        postpones.clear()
    if ends:
        rows = [
            (
                one.state.value,
                one.attempts,
                one.status,
                one.error,
                one.started_at_ns,
                one.ended_at_ns,
                one.id,
            )
            for one in ends
        ]
        connection.executemany(_END, rows)
        delivered = sum(one.state is DeliveryState.DELIVERED for one in ends)
        written.delivered += delivered
        written.dead += len(ends) - delivered
        ends.clear()


def _keep(connection: sqlite3.Connection, keeps: Sequence[Keep], written: Written) -> None:
    rows = [row for keep in keeps for row in keep.rows]
    counts = Counter([(row.endpoint, row.key) for row in rows])
    used_at_ns = rows[-1].queued_at_ns if rows else 0
    last: dict[tuple[str, str], int] = {}
    for queue, count in counts.items():
        numbered = connection.execute(_NUMBER, (*queue, count, used_at_ns))
        last[queue] = numbered.fetchone()[0] - count
        numbered.close()  # else the statement is not done
    values = []
    for keep in keeps:
        answer = []
        for row in keep.rows:
            queue = row.endpoint, row.key
            last[queue] = sequence = last[queue] + 1
            values.append(
                (
                    row.id,
                    row.endpoint,
                    row.key,
                    row.event_id,
                    row.event,
                    row.room,
                    row.body,
                    row.queued_at_ns,
                    sequence,
                )
            )
            answer.append(Numbered(row.id, sequence))
        written.kept(answer, keep.reply_to)
        written.questions += 1
    connection.executemany(_INSERT, values)


def _load(connection: sqlite3.Connection, question: Load | LoadKeys) -> Loaded | KeysLoaded:
    if isinstance(question, LoadKeys):
        keys = connection.execute(_LOAD_KEYS, (question.endpoint, question.after, question.limit))
        rows = tuple(KeyCount(*row) for row in keys)
        return KeysLoaded(question.endpoint, rows, question.limit)
    queue = question.endpoint, question.key
    found: list[StoredDelivery] = []
    to_replay: list[StoredDelivery] = []
    for *fields, is_to_replay in connection.execute(
        _LOAD, (*queue, question.after, question.limit)
    ):
        found.append(StoredDelivery(*fields))
        if is_to_replay:
            to_replay.append(found[-1])
    if to_replay:  # here they are: the watcher need not bring them, too
        _set_pending(connection, to_replay)
    return Loaded(*queue, tuple(found))


def _bury(connection: sqlite3.Connection, asked: Bury, written: Written) -> None:
    count, is_more = bury(
        connection,
        asked.endpoint,
        last_id=asked.last_id,
        spared=asked.spared,
        at_ns=asked.at_ns,
    )
    written.dead += count
    written.questions += asked.is_asked
    if count:
        written.answers.append((asked.reply_to, Buried(asked.endpoint, count)))
    if is_more:
        written.again.append(asked._replace(is_asked=False))


def _set_pending(connection: sqlite3.Connection, rows: Iterable[StoredDelivery]) -> None:
    connection.executemany(
        "UPDATE deliveries SET state = 'pending' WHERE id = ?", [(row.id,) for row in rows]
    )


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
