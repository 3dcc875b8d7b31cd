"""The journal's rows: what was written comes back, and nothing else is taken for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenroom.adapters.journal_rows import (
    JOURNALED,
    PAGE,
    DamagedRow,
    JournalReader,
    JournalRow,
    checksum,
    insert,
    last_stamp,
    pack,
    select,
)
from greenroom.adapters.schema import MIGRATIONS
from greenroom.messages.calls import TrackStats, TrackStatsBatch
from greenroom.messages.codec import encode
from greenroom.messages.control import Input, RestartDue
from greenroom.messages.outputs import RetryDue, SweepDue
from greenroom.messages.stats import FlushTick, Retire
from greenroom.testing.samples import track_stats
from greenroom.testing.strategies import INT64, messages

KINDS: Final = sorted(JOURNALED, key=lambda kind: kind.__name__)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for statements in MIGRATIONS:
        for statement in statements:
            connection.execute(statement)
    yield connection
    connection.close()


def read(first: int, at_ns: int, body: bytes) -> JournalRow | DamagedRow:
    return JournalReader().read(first, at_ns, checksum(first, at_ns, body), body)


def numbers(rows: Iterator[JournalRow | DamagedRow]) -> list[list[int] | None]:
    """The ticks of each row; None: it is damaged."""
    return [
        [one.number if isinstance(one, FlushTick) else 0 for one in row.inputs]
        if isinstance(row, JournalRow)
        else None
        for row in rows
    ]


def ticks(*found: int) -> Sequence[Input]:
    return [FlushTick(number) for number in found]


# ── one row ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=12)
@given(data=st.data())
def test_whatever_is_journaled_comes_back_as_it_was(kind: type[Any], data: st.DataObject) -> None:
    inputs = data.draw(st.lists(messages(kind), min_size=1, max_size=3))

    assert read(1, 2, pack(inputs)) == JournalRow(1, 2, tuple(inputs))


@given(
    st.lists(st.sampled_from(KINDS).flatmap(messages) | st.just(SweepDue(1)), max_size=6),
    INT64,
    INT64,
)
def test_a_row_of_anything_comes_back_with_its_stamps(
    inputs: list[Any], first: int, at_ns: int
) -> None:
    row = read(first, at_ns, pack(inputs))

    assert isinstance(row, JournalRow)
    assert (row.first, row.at_ns, row.last) == (first, at_ns, first + len(inputs) - 1)
    assert row.inputs == tuple(None if one == SweepDue(1) else one for one in inputs)


def test_statistics_alone_and_together_are_told_apart() -> None:
    one = track_stats()
    inputs = (one, TrackStatsBatch((one,)), TrackStatsBatch(()), TrackStatsBatch((one, one)))

    row = read(1, 2, pack(inputs))

    assert isinstance(row, JournalRow)
    assert row.inputs == inputs


def test_what_is_not_journaled_keeps_its_position() -> None:
    row = read(5, 6, pack([FlushTick(1), RetryDue(1, 1), RestartDue("a", 1, has_waited=True)]))

    assert row == JournalRow(5, 6, (FlushTick(1), None, None))
    assert isinstance(row, JournalRow)
    assert row.last == 7


# ── damage ──────────────────────────────────────────────────────────────────────────────────


@given(st.data())
def test_a_bit_that_changed_is_noticed(data: st.DataObject) -> None:
    body = pack([track_stats(), FlushTick(1)])
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    damaged = bytearray(body)
    damaged[bit // 8] ^= 1 << bit % 8

    row = JournalReader().read(1, 2, checksum(1, 2, body), bytes(damaged))

    assert row == DamagedRow(1, "its checksum is another")


@given(INT64, INT64)
def test_another_stamp_is_noticed(first: int, at_ns: int) -> None:
    body = pack([FlushTick(1)])

    row = JournalReader().read(first, at_ns, checksum(1, 2, body), body)

    assert isinstance(row, JournalRow if (first, at_ns) == (1, 2) else DamagedRow)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_row_or_are_damaged(body: bytes) -> None:
    assert isinstance(read(1, 2, body), JournalRow | DamagedRow)


PLAIN: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
    | st.text(max_size=4) | st.binary(max_size=8)
    | st.sampled_from([encode(FlushTick(1)), encode(Retire(1)), encode(SweepDue(1))])
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
    lambda inner: st.lists(inner, max_size=11) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=16,
)  # fmt: skip


@given(PLAIN)
@example({})
@example([{"a": 1}])
@example([[{"a": 1}]])
@example([dict.fromkeys("abcdefghij", 1)])
@example([[1, 2, 3, 4, 5, [6], 7, 8, 9, 10]])
@example(["abcdefghij"])
@example([encode(Retire(1))])
def test_anything_with_the_right_checksum_is_a_row_or_is_damaged(value: object) -> None:
    assert isinstance(read(1, 2, msgpack.packb(value)), JournalRow | DamagedRow)


@pytest.mark.parametrize("columns", [("x", 2, 3, b""), (1, None, 3, b""), (1, 2, "x", b"")])
def test_columns_of_another_type_are_damage(columns: tuple[Any, Any, Any, Any]) -> None:
    assert isinstance(JournalReader().read(*columns), DamagedRow)


def test_a_body_that_is_no_blob_is_damage() -> None:
    bodies: list[Any] = ["text", None, 5]
    for body in bodies:
        assert isinstance(JournalReader().read(1, 2, 3, body), DamagedRow)


# ── rows of a database ──────────────────────────────────────────────────────────────────────


def test_rows_come_in_their_order_however_many(database: sqlite3.Connection) -> None:
    count = 2 * PAGE + 3
    for number in range(count):
        insert(database, 2 * number + 1, number, ticks(number, -number))

    rows = [*select(database)]

    assert numbers(iter(rows)) == [[number, -number] for number in range(count)]
    assert last_stamp(database) == (2 * count, count - 1)


@given(st.lists(st.integers(1, 4), max_size=12), st.integers(-1, 50), st.data())
def test_rows_after_a_position_begin_with_the_one_that_has_the_next(
    sizes: list[int], after: int, data: st.DataObject
) -> None:
    database = sqlite3.connect(":memory:")
    for statement in MIGRATIONS[-1]:
        database.execute(statement)
    rows, first = [], 1
    for size in sizes:
        first += data.draw(st.integers(0, 2))  # positions that were given and left no row
        rows.append((first, size))
        insert(database, first, 0, ticks(*range(first, first + size)))
        first += size
    expected = [[*range(at, at + size)] for at, size in rows if at + size - 1 > after]

    assert numbers(select(database, after)) == expected
    limit = data.draw(st.integers(0, 5))
    assert numbers(select(database, after, limit)) == expected[:limit]
    database.close()


def test_a_damaged_row_takes_no_other_with_it(database: sqlite3.Connection) -> None:
    for first in (1, 3, 5):
        insert(database, first, 9, ticks(first, first + 1))
    database.execute("UPDATE journal SET body = x'ffff' WHERE first = 3")

    assert numbers(select(database)) == [[1, 2], None, [5, 6]]
    assert numbers(select(database, after=4)) in ([[5, 6]], [None, [5, 6]])


def test_what_is_written_while_it_is_read_is_read_as_well(database: sqlite3.Connection) -> None:
    for first in range(1, PAGE + 1):
        insert(database, first, 0, ticks(first))
    reading = select(database)
    next(reading)
    insert(database, PAGE + 1, 0, ticks(PAGE + 1))

    assert numbers(reading)[-1] == [PAGE + 1]


def test_an_empty_journal_has_no_last_stamp(database: sqlite3.Connection) -> None:
    assert last_stamp(database) == (0, 0)
    assert [*select(database)] == []


@given(st.binary(max_size=16) | st.text(max_size=4) | st.none() | INT64)
@example(b"\x90")
def test_the_last_stamp_of_a_damaged_row_is_that_of_its_first_at_least(body: object) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE journal (first INTEGER PRIMARY KEY, at_ns, checksum, body)")
    database.execute("INSERT INTO journal VALUES (7, 8, 9, ?)", (body,))

    position, at_ns = last_stamp(database)

    assert position >= 7
    assert at_ns == 8
    database.close()


def test_a_track_that_is_told_of_again_has_the_same_key() -> None:
    row = read(1, 2, pack([track_stats(packets=1), track_stats(packets=2)]))

    assert isinstance(row, JournalRow)
    one, other = row.inputs
    assert isinstance(one, TrackStats)
    assert isinstance(other, TrackStats)
    assert one.key is other.key
