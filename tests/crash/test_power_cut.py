"""The power fails at any moment: what was reported as written is there, and nothing by halves."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection

import pytest

from greenroom.adapters import journal_rows
from greenroom.adapters.database import open_owned
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.store import Store
from greenroom.config import DiskSync
from greenroom.core.metrics import Metrics
from greenroom.messages.calls import RoomStarted
from greenroom.messages.control import Input
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.crash.power_cut import Disk, cut
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.samples import room, track_stats

COMMITS = 40
CUTS = 6  # of each commit
COPY_BACK_PAGES = 24  # so few that it happens often
KEPT = 25  # inputs; older ones are deleted


@dataclass(frozen=True, slots=True)
class Contents:
    """What the database has: the positions in the journal, and the batches of a client."""

    positions: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()


def contents(connection: Connection) -> Contents:
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    positions: list[int] = []
    for row in journal_rows.select(connection):
        assert isinstance(row, journal_rows.JournalRow), row
        positions += range(row.first, row.last + 1)
    batches = connection.execute("SELECT sequence FROM batches ORDER BY sequence")
    return Contents(tuple(positions), tuple(number for (number,) in batches))


class Writer:
    """Commits one group after the other; what is reported as written is known."""

    def __init__(self, directory: Path, disk_sync: DiskSync, chance: random.Random) -> None:
        self._directory = directory
        self._chance = chance
        self._store = Store(
            directory,
            Metrics(threading.Lock()),
            LoggingReporter(VirtualClock()),
            disk_sync=disk_sync,
        )
        self._number = self._position = 0
        self._do(
            lambda connection: connection.execute(f"PRAGMA wal_autocheckpoint = {COPY_BACK_PAGES}")
        )

    def commit(self) -> tuple[Contents, Disk]:
        """The next group; all that is written then."""
        self._number += 1
        inputs = [self._input() for _ in range(self._chance.randint(1, 4))]
        first = self._position + 1
        self._position += len(inputs)

        def job(connection: Connection) -> Contents:
            journal_rows.insert(connection, first, self._number, inputs)
            connection.execute(
                "INSERT INTO batches (client, sequence, routes) VALUES (?, ?, ?)",
                (b"c", self._number, b""),
            )
            connection.execute("DELETE FROM journal WHERE first < ?", (first - KEPT,))
            return contents(connection)

        return self._do(job), Disk.of(self._directory)

    def _input(self) -> Input:
        if self._chance.random() < 0.5:
            return track_stats()
        started = room()
        started.metadata = "x" * self._chance.randint(0, 6_000)
        return RoomStarted(started)

    def _do(self, job: object) -> Contents:
        done: Contents = self._store.submit(job).result(PATIENCE_SECONDS)  # type: ignore[arg-type]
        return done

    def close(self) -> None:
        assert self._store.close(PATIENCE_SECONDS)


@contextmanager
def writing(
    directory: Path, disk_sync: DiskSync, chance: random.Random
) -> Iterator[list[tuple[Contents, Disk]]]:
    writer = Writer(directory / "data", disk_sync, chance)
    try:
        yield [writer.commit() for _ in range(COMMITS)]
    finally:
        writer.close()


def after_the_cut(disk: Disk, directory: Path) -> Contents:
    disk.put(directory)
    with closing(open_owned(directory)) as connection:
        return contents(connection)


@pytest.mark.parametrize("seed", range(4))
def test_with_disk_sync_full_whatever_was_reported_is_there_and_no_commit_by_halves(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    copies_back = partly = 0
    with writing(tmp_path, "full", chance) as history:
        for number, ((before, synced), (after, written)) in enumerate(pairwise(history)):
            copies_back += synced.database != written.database
            for again in range(CUTS):
                disk = cut(synced, written, chance)
                found = after_the_cut(disk, tmp_path / f"cut-{number}-{again}")
                assert found in (before, after), f"seed {seed}, commit {number}, cut {again}"
                partly += found == before
    assert copies_back > 2
    assert 0 < partly < CUTS * COMMITS


@pytest.mark.parametrize("seed", range(4))
def test_with_disk_sync_normal_only_the_newest_commits_may_be_gone_and_none_by_halves(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    lost = 0
    with writing(tmp_path, "normal", chance) as history:
        synced = history[0][1]
        since = 0
        for number, (latest, written) in enumerate(history):
            if synced.is_synced_by(written):
                synced, since = written, number
            disk = cut(synced, written, chance)
            found = after_the_cut(disk, tmp_path / f"cut-{number}")
            possible = [one for one, _ in history[since : number + 1]]
            assert found in possible, f"seed {seed}, commit {number}"
            lost += found != latest
    assert lost > COMMITS // 4  # or the model would not notice if "full" were as this
