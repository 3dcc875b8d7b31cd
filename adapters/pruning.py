"""Pruning: how many deliveries that are over stay in the database.

Everything here runs on the store's thread, inside a transaction.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from ..errors import ConfigError
from .delivery_rows import Written
from .removed_endpoints import forget_sequences

KEEP_DELIVERED: Final = 100_000  # to list and to replay; 100 to 200 MB
KEEP_DEAD: Final = 100_000
PRUNE_MIN: Final = 256  # neighbours share pages, so to prune many at once costs less for each
PRUNE_MAX: Final = 2_000  # faster than they come, and a few ms at most

_COUNT_DELIVERED: Final = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"
_COUNT_DEAD: Final = (
    "SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE state = 'dead'"
)
# not those whose inputs are in the journal still: after a crash they tell what was kept
_PRUNE: Final = """
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries INDEXED BY {index} WHERE state = '{state}'
        AND id < coalesce((SELECT next_delivery FROM checkpoint), 9223372036854775807)
        ORDER BY ended_at_ns, id LIMIT ?
    )
"""
_PRUNE_DELIVERED: Final = _PRUNE.format(index="deliveries_delivered", state="delivered")
_PRUNE_DEAD: Final = _PRUNE.format(index="deliveries_dead_ended", state="dead")


class Counts(NamedTuple):
    """How many deliveries of each kind are over and still there."""

    delivered: int
    dead: int


class Pruning:
    """Deletes the oldest ones beyond the limits, little by little.

    Args:
        delivered: So many delivered ones stay.
        dead: So many dead ones.

    Raises:
        ConfigError: A limit is negative.
    """

    def __init__(self, delivered: int, dead: int) -> None:
        for name, limit in (("keep_delivered", delivered), ("keep_dead", dead)):
            if limit < 0:
                raise ConfigError(f"{name}: must be at least 0, got {limit!r}")
        self._limits = Counts(delivered, dead)

    def prune(
        self, connection: sqlite3.Connection, before: Counts | None, written: Written
    ) -> Counts:
        """Delete what is too old, with the sequences that nobody will count on.

        Args:
            connection: In a transaction.
            before: How many there were before this transaction; None: to be counted.
            written: What it did.

        Returns:
            How many there are afterwards.
        """
        if before is None:
            counts = Counts(
                connection.execute(_COUNT_DELIVERED).fetchone()[0],
                connection.execute(_COUNT_DEAD).fetchone()[0],
            )
        else:
            counts = Counts(before.delivered + written.delivered, before.dead + written.dead)
        delivered = _excess(counts.delivered, self._limits.delivered)
        dead = _excess(counts.dead, self._limits.dead)
        if delivered:
            delivered = connection.execute(_PRUNE_DELIVERED, (delivered,)).rowcount
        if dead:
            dead = connection.execute(_PRUNE_DEAD, (dead,)).rowcount
        if delivered or dead:
            forget_sequences(connection)
        return Counts(counts.delivered - delivered, counts.dead - dead)


def _excess(count: int, limit: int) -> int:
    """How many to delete now."""
    excess = count - limit
    return min(excess, PRUNE_MAX) if excess >= min(PRUNE_MIN, limit + 1) else 0
