from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.adapters.database import DATABASE_NAME
from greenroom.adapters.dead_letters import (
    DeadLetters,
    DeadLetterStatistics,
    KeptLetter,
    LetterState,
    MemoryDeadLetters,
)
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.schema import MIGRATIONS
from greenroom.adapters.store import Store
from greenroom.adapters.stored_dead_letters import SqliteDeadLetters
from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten
from greenroom.errors import ConfigError
from greenroom.messages.control import DeadLetter
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.patience import PATIENCE_SECONDS

DROPPED: Final = 'greenroom_dropped_total{intentional="false",reason="dead_letters_full"}'

NewBox: TypeAlias = Callable[[int], DeadLetters]


def letter(position: int = 1, error: str = "ValueError('x')") -> DeadLetter:
    return DeadLetter(
        *("StatsWorker", "RM_1/PA_2", "TrackStat", position, 5, error, "Traceback …", b"\0body"),
        incarnation=4,
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(threading.Lock())


@pytest.fixture
def store(tmp_path: Path, metrics: Metrics) -> Iterator[Store]:
    store = Store(tmp_path, metrics, LoggingReporter(VirtualClock()), poll_seconds=0.01)
    yield store
    assert store.close(PATIENCE_SECONDS)


class Settled(SqliteDeadLetters):
    """Its letters can be seen at once, as those in memory."""

    def __init__(self, store: Store, capacity: int, metrics: Metrics) -> None:
        super().__init__(store, capacity, metrics=metrics)
        self._settling = store

    def add(self, letter: DeadLetter) -> None:
        super().add(letter)
        assert self._settling.wait_idle(PATIENCE_SECONDS)


@pytest.fixture(params=["memory", "sqlite"])
def new_box(request: pytest.FixtureRequest, store: Store, metrics: Metrics) -> NewBox:
    if request.param == "memory":
        return lambda capacity: MemoryDeadLetters(capacity, metrics=metrics)
    return lambda capacity: Settled(store, capacity, metrics)


def ids(box: DeadLetters) -> list[int]:
    return [kept.id for kept in box.list()]


# ── every box ───────────────────────────────────────────────────────────────────────────────


def test_letters_are_kept_whole_and_numbered_from_one(new_box: NewBox) -> None:
    box = new_box(10)

    box.add(letter(7))
    box.add(letter(8, error="lone \ud800 and é\nsecond line"))

    first, second = box.list()
    assert first == KeptLetter(1, LetterState.NEW, letter(7))
    assert (second.id, second.letter.position) == (2, 8)
    assert box.get(1) == first
    assert box.get(3) is None


def test_a_full_box_drops_its_oldest_letters_and_counts_them(
    new_box: NewBox, metrics: Metrics
) -> None:
    box = new_box(3)

    for position in range(1, 6):
        box.add(letter(position))

    assert [(kept.id, kept.letter.position) for kept in box.list()] == [(3, 3), (4, 4), (5, 5)]
    assert box.get(2) is None
    assert box.statistics() == DeadLetterStatistics(kept=3, dropped=2)
    assert flatten(metrics.snapshot(), {})[DROPPED] == 2


def test_a_letter_is_taken_for_replay_once(new_box: NewBox) -> None:
    box = new_box(10)
    box.add(letter(7))

    assert box.take(1) == letter(7)

    assert box.take(1) is None
    assert box.take(2) is None
    assert [kept.state for kept in box.list()] == [LetterState.REPLAYED]


def test_a_box_for_nothing_is_refused(new_box: NewBox) -> None:
    with pytest.raises(ConfigError, match="capacity: must be at least 1, got 0"):
        new_box(0)


def test_one_letter_is_taken_by_one_of_many_threads(new_box: NewBox) -> None:
    box = new_box(10)
    box.add(letter())

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(box.take, [1] * 20))

    assert [one for one in taken if one is not None] == [letter()]


# ── in memory ───────────────────────────────────────────────────────────────────────────────


@given(capacity=st.integers(1, 5), count=st.integers(0, 12))
def test_the_newest_letters_are_those_kept(capacity: int, count: int) -> None:
    box = MemoryDeadLetters(capacity)

    for position in range(1, count + 1):
        box.add(letter(position))

    assert ids(box) == list(range(1, count + 1))[-capacity:]
    assert box.statistics().kept + box.statistics().dropped == count


def test_letters_of_many_threads_are_all_kept_under_ids_of_their_own() -> None:
    box = MemoryDeadLetters(1_000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda position: box.add(letter(position)), range(400)))

    assert ids(box) == list(range(1, 401))
    assert {kept.letter.position for kept in box.list()} == set(range(400))


def test_its_repr_says_how_full_it_is() -> None:
    box = MemoryDeadLetters(1)
    box.add(letter())
    box.add(letter())

    assert repr(box) == "<MemoryDeadLetters 1 of 1, 1 dropped>"


def test_a_letter_of_an_older_database_is_kept_and_has_no_incarnation(
    tmp_path: Path, metrics: Metrics
) -> None:
    first_schema, *_ = MIGRATIONS
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as connection, connection:
        for statement in first_schema:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO dead_letters (actor, key, message, position, at_ns, error, traceback,"
            " body) VALUES ('StatsWorker', 'RM_1/PA_2', 'TrackStat', 1, 5, 'E', 'T', x'00')"
        )
        connection.execute("PRAGMA user_version = 1")

    store = Store(tmp_path, metrics, LoggingReporter(VirtualClock()))
    (kept,) = SqliteDeadLetters(store).list()

    assert store.close(PATIENCE_SECONDS)
    assert kept.letter == DeadLetter(
        "StatsWorker", "RM_1/PA_2", "TrackStat", 1, 5, "E", "T", b"\0"
    )
    assert kept.letter.incarnation == 0
