"""Checkpoints in the database: a shard's state after a flush, and how it is taken up again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Final

import msgpack

from ..core.journal import Past
from ..errors import DecodeError
from ..messages.checkpoint import Checkpoint, WorkerRecord
from ..messages.codec import decode, encode
from . import journal_rows
from .backoff import RETRY_SECONDS
from .store import Store

REMEMBERED_BATCHES: Final = 16  # of each client, as the link's intake

_SAVE: Final = """
    INSERT OR REPLACE INTO checkpoint (one, position, at_ns, next_delivery, last_output, state)
    VALUES (1, ?, ?, ?, (SELECT coalesce(max(id), 0) FROM outputs), ?)
"""
_PRUNE_OUTPUTS: Final = """
    DELETE FROM outputs WHERE is_handed AND id <= (SELECT last_output FROM checkpoint)
"""
# a row whose successor begins at or before the checkpoint's next input has nothing beyond it
_PRUNE_JOURNAL: Final = """
    DELETE FROM journal WHERE first < (SELECT max(first) FROM journal WHERE first <= ?)
"""
_PRUNE_BATCHES: Final = """
    DELETE FROM batches WHERE (client, sequence) IN (
        SELECT client, sequence FROM (
            SELECT client, sequence,
                row_number() OVER (PARTITION BY client ORDER BY sequence DESC) AS place
            FROM batches
        ) WHERE place > ?
    )
"""
# without a checkpoint: since the journal began
_KEPT: Final = """
    SELECT endpoint, event_id FROM deliveries
    WHERE id >= ? AND queued_at_ns >= (SELECT at_ns FROM journal ORDER BY first LIMIT 1)
"""
EVERYTHING: Final = ("journal", "checkpoint", "checkpoint_workers", "batches")


class Checkpoints:
    """Saves the checkpoints of a shard, when all that they stand for is on the disk.

    Args:
        store: Writes them.
        after: Have a function called once everything asked for so far is on the disk, each.
    """

    def __init__(
        self, store: Store, after: tuple[Callable[[Callable[[], None]], None], ...]
    ) -> None:
        self._store = store
        self._after = after
        self._is_busy = False
        self._has_begun = False

    @property
    def is_busy(self) -> bool:
        """Whether one is being saved."""
        return self._is_busy

    @property
    def has_begun(self) -> bool:
        """Whether there was one in this life: nothing of the life before is in hand any more."""
        return self._has_begun

    def save(self, checkpoint: Checkpoint) -> None:
        """Save it, and forget the journal before it; returns at once."""
        self._is_busy = self._has_begun = True
        self._wait(checkpoint, 0)

    def _wait(self, checkpoint: Checkpoint, place: int) -> None:
        if place < len(self._after):
            self._after[place](partial(self._wait, checkpoint, place + 1))
        else:
            job = partial(write, checkpoint=checkpoint)
            self._store.submit(job, is_retried=True).add_done_callback(
                partial(self._on_saved, checkpoint)
            )

    def _on_saved(self, checkpoint: Checkpoint, done: Future[None]) -> None:
        again = partial(self._wait, checkpoint, len(self._after))
        if done.exception() is None:
            self._is_busy = False
        elif not self._store.call_later(RETRY_SECONDS, again):
            self._is_busy = False  # the store is closed: the next life has the journal


def write(connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Write what changed, and delete what is behind it."""
    changed, gone = checkpoint.changed, checkpoint.gone
    connection.execute(_PRUNE_OUTPUTS)  # of the one before: nothing of them can come again
    connection.executemany(
        "INSERT OR REPLACE INTO checkpoint_workers (incarnation, body) VALUES (?, ?)",
        ((record.incarnation, encode(record)) for record in changed),
    )
    connection.executemany(
        "DELETE FROM checkpoint_workers WHERE incarnation = ?", ((number,) for number in gone)
    )
    state = encode(replace(checkpoint, changed=(), gone=()))
    connection.execute(
        _SAVE, (checkpoint.position, checkpoint.at_ns, checkpoint.next_delivery, state)
    )
    connection.execute(_PRUNE_JOURNAL, (checkpoint.position + 1,))
    connection.execute(_PRUNE_BATCHES, (REMEMBERED_BATCHES,))


def load(connection: sqlite3.Connection) -> Past:
    """What there is to begin with.

    Raises:
        DecodeError: The checkpoint is damaged.
    """
    past = Past(*journal_rows.last_stamp(connection))
    row = connection.execute("SELECT state, next_delivery FROM checkpoint").fetchone()
    next_delivery = 0
    if row is not None:
        found, next_delivery = decode(row[0], is_own=True), row[1]
        if not isinstance(found, Checkpoint):
            raise DecodeError("the checkpoint is none", length=len(row[0]))
        workers = connection.execute("SELECT body FROM checkpoint_workers ORDER BY incarnation")
        records = tuple(_record(body) for (body,) in workers)
        past.checkpoint = found = replace(found, changed=records)
        past.position = max(past.position, found.position)
        past.at_ns = max(past.at_ns, found.at_ns)
    past.rows = connection.execute("SELECT count(*) FROM journal").fetchone()[0]
    if past.rows:
        past.kept = frozenset(connection.execute(_KEPT, (next_delivery,)))
    past.batches = [
        (client, sequence, _routes(routes))
        for client, sequence, routes in connection.execute(
            "SELECT client, sequence, routes FROM batches ORDER BY client, sequence"
        )
    ]
    return past


def forget(connection: sqlite3.Connection) -> None:
    """All that was begun is over: the next life begins with nothing."""
    for table in EVERYTHING:
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM outputs WHERE is_handed")


def _routes(body: bytes) -> Sequence[str] | None:
    try:
        found: Sequence[str] | None = msgpack.unpackb(body)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DecodeError(f"a batch's routes are none: {type(error).__name__}") from error
    return found


def _record(body: bytes) -> WorkerRecord:
    found = decode(body)
    if not isinstance(found, WorkerRecord):
        raise DecodeError("a worker of the checkpoint is none", length=len(body))
    return found
