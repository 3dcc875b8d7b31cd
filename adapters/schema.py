"""The tables of `greenroom.db`, and how those of older versions become them."""

from __future__ import annotations

from typing import Final

# Each entry takes the schema from version n to n + 1 (PRAGMA user_version). Entries are only
# ever added: files out there have the old ones.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE dead_letters (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            state TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'replay', 'replayed')),
            actor TEXT NOT NULL,
            key TEXT NOT NULL,
            message TEXT NOT NULL,
            position INTEGER NOT NULL,
            at_ns INTEGER NOT NULL,
            error TEXT NOT NULL,
            traceback TEXT NOT NULL,
            body BLOB NOT NULL
        )
        """,
        "CREATE INDEX dead_letters_to_replay ON dead_letters (id) WHERE state = 'replay'",
    ),
    ("ALTER TABLE dead_letters ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0",),
    (
        """
        CREATE TABLE endpoints (
            id TEXT PRIMARY KEY,
            origin TEXT NOT NULL CHECK (origin IN ('config', 'added', 'extra')),
            url TEXT NOT NULL,
            settings TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
            reason TEXT NOT NULL DEFAULT '',
            created_at_ns INTEGER NOT NULL,
            updated_at_ns INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE sequences (
            endpoint TEXT NOT NULL,
            key TEXT NOT NULL,
            last INTEGER NOT NULL,
            used_at_ns INTEGER NOT NULL,
            PRIMARY KEY (endpoint, key)
        ) WITHOUT ROWID
        """,
        # the body comes last: who lists deliveries reads none
        """
        CREATE TABLE deliveries (
            id INTEGER PRIMARY KEY,
            endpoint TEXT NOT NULL,
            key TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            event_id TEXT NOT NULL,
            event TEXT NOT NULL,
            room TEXT NOT NULL,
            queued_at_ns INTEGER NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending'
                CHECK (state IN ('pending', 'replay', 'delivered', 'dead')),
            attempts INTEGER NOT NULL DEFAULT 0,
            next_at_ns INTEGER NOT NULL DEFAULT 0,
            started_at_ns INTEGER NOT NULL DEFAULT 0,
            ended_at_ns INTEGER NOT NULL DEFAULT 0,
            status INTEGER,
            error TEXT NOT NULL DEFAULT '',
            body BLOB NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX deliveries_in_order ON deliveries (endpoint, key, sequence)",
        """
        CREATE INDEX deliveries_pending ON deliveries (endpoint, key, sequence)
            WHERE state IN ('pending', 'replay')
        """,
        "CREATE INDEX deliveries_to_replay ON deliveries (endpoint, key, sequence) "
        "WHERE state = 'replay'",
        "CREATE INDEX deliveries_dead ON deliveries (endpoint) WHERE state = 'dead'",
        "CREATE INDEX deliveries_delivered ON deliveries (ended_at_ns) WHERE state = 'delivered'",
    ),
    (
        # last_id NULL: whatever is pending at the next start
        "CREATE TABLE removed_endpoints (endpoint TEXT PRIMARY KEY, last_id INTEGER)",
        "INSERT INTO removed_endpoints (endpoint) SELECT DISTINCT endpoint FROM sequences "
        "WHERE endpoint NOT IN (SELECT id FROM endpoints)",
        "CREATE INDEX deliveries_dead_ended ON deliveries (ended_at_ns) WHERE state = 'dead'",
    ),
    (
        # see journal_rows
        """
        CREATE TABLE journal (
            first INTEGER PRIMARY KEY,
            at_ns INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            body BLOB NOT NULL
        )
        """,
        # see checkpoints
        """
        CREATE TABLE checkpoint (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            position INTEGER NOT NULL,
            at_ns INTEGER NOT NULL,
            next_delivery INTEGER NOT NULL,
            last_output INTEGER NOT NULL,
            state BLOB NOT NULL
        )
        """,
        "CREATE TABLE checkpoint_workers (incarnation INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        # what other processes sent: which batches of a client were had
        """
        CREATE TABLE batches (
            client BLOB NOT NULL,
            sequence INTEGER NOT NULL,
            routes BLOB NOT NULL,
            PRIMARY KEY (client, sequence)
        ) WITHOUT ROWID
        """,
        # see stored_analytics: what waits for the sink, and what it has had since the checkpoint
        """
        CREATE TABLE outputs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL CHECK (kind IN ('stats', 'event', 'node_rooms')),
            is_handed INTEGER NOT NULL DEFAULT 0,
            body BLOB NOT NULL
        )
        """,
        "CREATE INDEX outputs_waiting ON outputs (id) WHERE is_handed = 0",
    ),
)
