"""Checkpoints in the database: what is loaded is what was saved, and what is behind it goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.adapters import checkpoints, journal_rows
from greenroom.adapters.checkpoints import REMEMBERED_BATCHES, Checkpoints
from greenroom.adapters.journal import write_group
from greenroom.adapters.schema import MIGRATIONS
from greenroom.core.journal import Group, Origin, Past
from greenroom.errors import DecodeError
from greenroom.messages.checkpoint import Checkpoint, WorkerRecord
from greenroom.messages.codec import encode
from greenroom.messages.ids import GuardID, Incarnation, ParticipantID, RoomID, RoomName, WorkerKey
from greenroom.messages.stats import FlushTick
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.stored import HeldJob, StoreBench
from greenroom.testing.strategies import messages


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = new_database()
    yield connection
    connection.close()


def new_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statements in MIGRATIONS:
        for statement in statements:
            connection.execute(statement)
    return connection


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    bench = StoreBench(tmp_path)
    bench.open_store()
    yield bench
    bench.end()


def worker(incarnation: int, *, connected: bool = False) -> WorkerRecord:
    key = WorkerKey(RoomID("RM_1"), ParticipantID(f"PA_{incarnation}"))
    guards = (GuardID(incarnation),)
    return WorkerRecord(
        *(key, Incarnation(incarnation), RoomName("lobby"), connected, True, False),
        *(0, 1, guards, ()),
    )


def checkpoint(
    position: int, *changed: WorkerRecord, gone: tuple[int, ...] = (), next_delivery: int = 1
) -> Checkpoint:
    return Checkpoint(
        *(position, 10 * position, 3, 9, next_delivery, b"metrics"),
        changed,
        tuple(map(Incarnation, gone)),
    )


def journal(database: sqlite3.Connection, *sizes: int, first: int = 1) -> None:
    """Rows of so many ticks."""
    for size in sizes:
        ticks = [FlushTick(number) for number in range(first, first + size)]
        journal_rows.insert(database, first, 10 * first, ticks)
        first += size


def firsts(database: sqlite3.Connection) -> list[int]:
    return [one for (one,) in database.execute("SELECT first FROM journal ORDER BY first")]


def put_output(database: sqlite3.Connection, number: int, *, is_handed: bool) -> None:
    values = (number, f"key {number}", is_handed)
    database.execute("INSERT INTO outputs VALUES (?, ?, 'event', ?, x'')", values)


def outputs(database: sqlite3.Connection) -> list[int]:
    return [one for (one,) in database.execute("SELECT id FROM outputs ORDER BY id")]


# ── what is loaded ──────────────────────────────────────────────────────────────────────────


def test_an_empty_directory_has_no_past(database: sqlite3.Connection) -> None:
    past = checkpoints.load(database)

    assert past == Past()
    assert past.is_empty


@settings(max_examples=40)
@given(
    st.lists(messages(Checkpoint).filter(lambda one: one.position < 2**62), min_size=1, max_size=3)
)
def test_the_last_checkpoint_comes_back_with_all_workers_that_are_not_gone(
    saved: list[Checkpoint],
) -> None:
    database = new_database()
    workers: dict[int, WorkerRecord] = {}
    for one in saved:
        checkpoints.write(database, one)
        workers |= {record.incarnation: record for record in one.changed}
        for number in one.gone:
            workers.pop(number, None)

    found = checkpoints.load(database).checkpoint

    last = saved[-1]
    assert found is not None
    assert found.changed == tuple(workers[number] for number in sorted(workers))
    assert found.gone == ()
    assert (found.position, found.at_ns, found.flush) == (last.position, last.at_ns, last.flush)
    assert (found.last_incarnation, found.metrics) == (last.last_incarnation, last.metrics)
    assert found.next_delivery == last.next_delivery
    database.close()


def test_a_worker_that_changed_is_as_it_was_last(database: sqlite3.Connection) -> None:
    checkpoints.write(database, checkpoint(1, worker(1), worker(2)))
    checkpoints.write(database, checkpoint(2, worker(2, connected=True), gone=(1,)))

    found = checkpoints.load(database).checkpoint

    assert found is not None
    assert found.changed == (worker(2, connected=True),)


def test_the_next_life_goes_on_behind_the_journal_and_the_checkpoint(
    database: sqlite3.Connection,
) -> None:
    journal(database, 2, 3)
    past = checkpoints.load(database)
    assert (past.position, past.at_ns, past.rows) == (5, 30, 2)
    assert not past.is_empty

    checkpoints.write(database, checkpoint(7))
    past = checkpoints.load(database)
    assert (past.position, past.at_ns) == (7, 70)
    assert not past.is_empty, "there are workers and metrics"

    journal(database, 4, first=8)
    past = checkpoints.load(database)
    assert (past.position, past.at_ns) == (11, 80)


def test_webhooks_that_the_inputs_of_the_journal_made_are_known(
    database: sqlite3.Connection,
) -> None:
    for number in (1, 2, 3):
        database.execute(
            "INSERT INTO deliveries (id, endpoint, key, sequence, event_id, event, room, "
            "queued_at_ns, body) VALUES (?, 'primary', 'lobby', ?, ?, 'e', 'r', ?, x'')",
            (number, number, f"EV_{number}", 10 * number),
        )
    assert checkpoints.load(database).kept == frozenset(), "nothing can make them again"
    journal(database, 1, 1, 1, first=2)
    assert checkpoints.load(database).kept == {("primary", "EV_2"), ("primary", "EV_3")}

    checkpoints.write(database, checkpoint(2, next_delivery=3))

    assert checkpoints.load(database).kept == {("primary", "EV_3")}


# ── what goes ───────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.integers(1, 4), max_size=8), st.integers(0, 40))
def test_a_row_goes_if_all_of_it_is_behind_the_checkpoint(sizes: list[int], position: int) -> None:
    database = new_database()
    journal(database, *sizes)
    before = journal_positions(database)

    checkpoints.write(database, checkpoint(position))

    kept = journal_positions(database)
    assert [one for one in kept if one > position] == [one for one in before if one > position]
    behind = [first for first in firsts(database) if first <= position]
    assert len(behind) <= 1, "one that may have something beyond it"
    database.close()


def journal_positions(database: sqlite3.Connection) -> list[int]:
    return [
        position
        for row in journal_rows.select(database)
        if isinstance(row, journal_rows.JournalRow)
        for position in range(row.first, row.last + 1)
    ]


def test_analytics_go_when_they_were_handed_over_before_the_checkpoint_before(
    database: sqlite3.Connection,
) -> None:
    put_output(database, 1, is_handed=True)
    put_output(database, 2, is_handed=False)
    checkpoints.write(database, checkpoint(1))
    assert outputs(database) == [1, 2], "the inputs of some may still be in the journal"

    put_output(database, 3, is_handed=True)
    checkpoints.write(database, checkpoint(2))
    assert outputs(database) == [2, 3]

    database.execute("UPDATE outputs SET is_handed = 1")
    checkpoints.write(database, checkpoint(3))
    assert outputs(database) == []


def test_of_each_client_the_last_batches_are_remembered(database: sqlite3.Connection) -> None:
    count = REMEMBERED_BATCHES + 5
    origins: list[Origin] = [
        (client, number, ["here"] if number % 2 else None)
        for client in (b"a", b"b")
        for number in range(1, count + 1)
    ]
    write_group(database, Group(1, 0, [], [*origins, (b"c", 1, None)], []))

    checkpoints.write(database, checkpoint(1))

    expected = [origin for origin in origins if origin[1] > count - REMEMBERED_BATCHES]
    assert checkpoints.load(database).batches == [*expected, (b"c", 1, None)]


def test_what_is_over_is_forgotten_but_for_what_the_sink_has_not_had(
    database: sqlite3.Connection,
) -> None:
    journal(database, 2)
    write_group(database, Group(3, 0, [FlushTick(1)], [(b"a", 1, None)], []))
    checkpoints.write(database, checkpoint(1, worker(1)))
    put_output(database, 1, is_handed=True)
    put_output(database, 2, is_handed=False)

    checkpoints.forget(database)

    assert checkpoints.load(database) == Past()
    assert outputs(database) == [2]


# ── damage ──────────────────────────────────────────────────────────────────────────────────

DAMAGE = [
    "UPDATE checkpoint SET state = ?",
    "UPDATE checkpoint_workers SET body = ?",
    "UPDATE batches SET routes = ?",
]


@pytest.mark.parametrize("statement", DAMAGE)
@given(body=st.binary(max_size=32) | st.just(encode(FlushTick(1))) | st.text(max_size=4))
def test_damage_is_named_and_nothing_else_is_raised(statement: str, body: bytes | str) -> None:
    database = new_database()
    checkpoints.write(database, checkpoint(1, worker(1)))
    write_group(database, Group(1, 0, [], [(b"a", 1, None)], []))
    database.execute(statement, (body,))

    try:
        checkpoints.load(database)
    except DecodeError:
        pass
    else:
        assert "batches" in statement, "it has no checksum, and small numbers are msgpack"
    finally:
        database.close()


# ── when it is saved ────────────────────────────────────────────────────────────────────────


def test_it_is_saved_when_all_that_it_stands_for_is_on_the_disk(bench: StoreBench) -> None:
    asked: list[tuple[str, Callable[[], None]]] = []
    store = Checkpoints(
        bench.store,
        (lambda then: asked.append(("outbox", then)), lambda then: asked.append(("sink", then))),
    )
    assert not store.is_busy

    store.save(checkpoint(4))
    assert store.is_busy
    assert [name for name, _ in asked] == ["outbox"]
    asked[0][1]()
    assert [name for name, _ in asked] == ["outbox", "sink"]
    assert bench.store.wait_idle(PATIENCE_SECONDS)
    assert bench.store.read(checkpoints.load).is_empty
    asked[1][1]()

    wait_until(lambda: not store.is_busy)
    assert bench.store.read(checkpoints.load).position == 4


def test_it_is_busy_until_it_is_on_the_disk(bench: StoreBench) -> None:
    job = HeldJob()
    bench.store.submit(job)
    store = Checkpoints(bench.store, ())

    store.save(checkpoint(4))

    assert store.is_busy
    job.let_go.set()
    wait_until(lambda: not store.is_busy)
    assert bench.store.read(checkpoints.load).position == 4


def test_a_disk_that_refuses_it_is_tried_again(bench: StoreBench) -> None:
    store = Checkpoints(bench.store, ())
    bench.refuse_writes()
    store.save(checkpoint(4))
    wait_until(lambda: bench.store.statistics().failed)
    assert store.is_busy
    assert bench.dropped("store_failed") == 0

    bench.allow_writes()

    wait_until(lambda: not store.is_busy)
    assert bench.store.read(checkpoints.load).position == 4


def test_a_store_that_is_closed_keeps_nobody_busy(bench: StoreBench) -> None:
    store = Checkpoints(bench.store, ())
    assert bench.store.close(PATIENCE_SECONDS)

    store.save(checkpoint(4))

    assert not store.is_busy
