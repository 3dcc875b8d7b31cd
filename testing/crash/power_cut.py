"""What a disk may have of a database when the power fails between two commits.

A model of `greenroom.db` and its write-ahead log, for SQLite's order of writing and syncing:

    a commit writes frames to the log, and syncs it ("full"; "normal" does not)
    a copy back writes pages of the log to the database, and syncs that; then the log is begun
    anew by a header of its own, which is synced before any frame follows

Of what was written since the last sync, each sector of 512 bytes may be there or not, or hold
zeros where the file has grown, or be torn at a byte. As SQLite assumes, a write harms no bytes
beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ...adapters.database import DATABASE_NAME

SECTOR: Final = 512
HEADER: Final = 32  # of the log
WAL_NAME: Final = f"{DATABASE_NAME}-wal"


@dataclass(frozen=True, slots=True)
class Disk:
    """The two files."""

    database: bytes
    log: bytes

    @classmethod
    def of(cls, directory: Path) -> Self:
        """As they are now; nobody writes meanwhile."""
        log = directory / WAL_NAME
        database = (directory / DATABASE_NAME).read_bytes()
        return cls(database, log.read_bytes() if log.exists() else b"")

    def put(self, directory: Path) -> None:
        """Write them there; the index of the log is not on a disk."""
        directory.mkdir()
        (directory / DATABASE_NAME).write_bytes(self.database)
        (directory / WAL_NAME).write_bytes(self.log)

    def is_synced_by(self, later: Disk) -> bool:
        """Whether what lies between has synced all of this: a copy back, or a log begun anew."""
        return self.database != later.database or self.log[:HEADER] != later.log[:HEADER]


def cut(synced: Disk, written: Disk, chance: random.Random) -> Disk:
    """A disk after a power cut.

    Args:
        synced: All of this is on it.
        written: What has been written since, up to the next sync of all of it.
        chance: Decides what of that is there.
    """
    if synced.database != written.database and chance.random() < 0.5:
        database = _mixed(synced.database, written.database, chance)
        return Disk(database, written.log)  # synced before the first page is copied back
    log = synced.log
    if log[:HEADER] != written.log[:HEADER]:
        header = _mixed(log[:HEADER], written.log[:HEADER], chance)
        if chance.random() < 0.2:
            return Disk(synced.database, header + log[HEADER:])
        log = written.log[:HEADER] + log[HEADER:]
    return Disk(synced.database, _mixed(log, written.log, chance))


def _mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Some of the new sectors, in one of the ways in which disks write."""
    end = chance.randint(min(len(old), len(new)), max(len(old), len(new)))
    torn_at = chance.randint(0, len(new))
    way = chance.choice(("in order", "any order", "nearly all", "nothing"))
    part = {"any order": chance.random(), "nearly all": 0.95, "nothing": 0.0}.get(way)
    mixed = bytearray()
    for start in range(0, max(len(old), len(new)), SECTOR):
        stop = start + SECTOR
        before, after = old[start:stop], new[start:stop]
        if len(before) < len(after):
            before += bytes(len(after) - len(before))
        if part is None:
            there = max(0, min(len(after), torn_at - start))
        elif chance.random() < part:
            there = len(after)
        else:
            there = chance.choice((0, 0, 0, chance.randint(0, len(after))))
        mixed += after[:there] + before[there:]
    return bytes(mixed[: max(end, len(old))])
