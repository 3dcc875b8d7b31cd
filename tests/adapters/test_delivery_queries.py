from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from greenroom.adapters.database import open_beside
from greenroom.adapters.delivery_queries import (
    DeliveryFilter,
    DeliveryRecord,
    count_by_endpoint,
    find_delivery,
    mark_deliveries,
    mark_sequences,
    oldest_pending,
    read_body,
    select_deliveries,
)
from greenroom.errors import ConfigError
from greenroom.messages.deliveries import DeliveryState, KeptDelivery
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import OutboxBench, dead, delivered, kept_delivery

PENDING, REPLAY = DeliveryState.PENDING, DeliveryState.REPLAY
DELIVERED, DEAD = DeliveryState.DELIVERED, DeliveryState.DEAD


@pytest.fixture
def beside(outbox_bench: OutboxBench) -> Iterator[sqlite3.Connection]:
    """Eight deliveries of four queues, as another process sees them while this one runs.

    id         1      2      3        4      5      6        7      8
    endpoint   a      a      b        a      b      a        a      b
    key        x      y      x        x      x      x        x      x
    state      deliv  dead   pending  dead   deliv  waiting  pend.  pending
    """
    outbox = outbox_bench.open()
    for delivery_id, queue in enumerate(["ax", "ay", "bx", "ax", "bx", "ax", "ax", "bx"], 1):
        endpoint, key = queue[0], queue[1]
        outbox.keep([kept_delivery(delivery_id, key, endpoint)], "notifier")
    outbox_bench.door.kept(8)
    for ended in (delivered(1), dead(2), dead(4), delivered(5)):
        outbox.end(ended)
    outbox.postpone(6, 3, 9_000, 503, "busy", 2_500)
    assert outbox.wait_idle(PATIENCE_SECONDS)
    with closing(open_beside(outbox_bench.directory, write=True)) as connection:
        yield connection


def states(connection: sqlite3.Connection) -> str:
    """One letter for each delivery, by id."""
    letters = {PENDING: "p", REPLAY: "r", DELIVERED: "d", DEAD: "x"}
    return "".join(letters[one.state] for one in reversed(select_deliveries(connection, ALL)))


ALL = DeliveryFilter()


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (ALL, [8, 7, 6, 5, 4, 3, 2, 1]),
        (DeliveryFilter(endpoint="a"), [7, 6, 4, 2, 1]),
        (DeliveryFilter(key="y"), [2]),
        (DeliveryFilter(room="y"), [2]),
        (DeliveryFilter(event="room_finished"), []),
        (DeliveryFilter(event="room_started", state=DEAD), [4, 2]),
        (DeliveryFilter(state=PENDING, endpoint="b"), [8, 3]),
        (DeliveryFilter(state=DELIVERED, key="x"), [5, 1]),
        (DeliveryFilter(state=REPLAY), []),
        (DeliveryFilter(since_ns=1_003, until_ns=1_005), [4, 3]),
    ],
)
def test_the_list_has_what_agrees_with_all_that_is_given_newest_first(
    beside: sqlite3.Connection, wanted: DeliveryFilter, ids: list[int]
) -> None:
    assert [one.id for one in select_deliveries(beside, wanted)] == ids


def test_the_list_is_read_in_pages(beside: sqlite3.Connection) -> None:
    wanted = DeliveryFilter(endpoint="a")

    first = select_deliveries(beside, wanted, limit=2)
    second = select_deliveries(beside, wanted, limit=2, before_id=first[-1].id)

    assert [one.id for one in first + second] == [7, 6, 4, 2]


def test_one_is_shown_with_all_that_is_known(beside: sqlite3.Connection) -> None:
    assert find_delivery(beside, 4) == DeliveryRecord(
        id=4,
        endpoint="a",
        key="x",
        sequence=2,
        event_id="EV_4",
        event="room_started",
        room="x",
        queued_at_ns=1_004,
        state=DEAD,
        attempts=22,
        next_at_ns=0,
        started_at_ns=2_000,
        ended_at_ns=3_004,
        status=None,
        error="refused",
    )
    assert read_body(beside, 4) == b"{}"
    assert find_delivery(beside, 99) is None
    assert read_body(beside, 99) is None


def test_every_state_of_every_endpoint_is_counted(beside: sqlite3.Connection) -> None:
    mark_deliveries(beside, [4, 5])

    counts = {(one.endpoint, one.state): one.count for one in count_by_endpoint(beside)}

    assert counts == {
        ("a", PENDING): 2,
        ("a", REPLAY): 1,
        ("a", DELIVERED): 1,
        ("a", DEAD): 1,
        ("b", PENDING): 2,
        ("b", REPLAY): 1,
        ("b", DELIVERED): 0,
        ("b", DEAD): 0,
    }


def test_the_oldest_pending_one_of_each_endpoint_is_named(beside: sqlite3.Connection) -> None:
    assert {name: one.id for name, one in oldest_pending(beside).items()} == {"a": 6, "b": 3}


def test_what_is_over_begins_anew_and_what_waits_is_due_at_once(
    beside: sqlite3.Connection,
) -> None:
    assert mark_deliveries(beside, [1, 2, 3, 6, 99]).count == 3  # 3 is due, and 99 is not there

    assert states(beside) == "rrpxdrpp"
    anew, waiting = find_delivery(beside, 2), find_delivery(beside, 6)
    assert anew is not None
    assert waiting is not None
    assert (anew.attempts, anew.started_at_ns, anew.ended_at_ns) == (0, 0, 0)
    assert (waiting.attempts, waiting.started_at_ns, waiting.next_at_ns) == (3, 2_500, 0)
    assert mark_deliveries(beside, [1, 2]).count == 0  # they are marked


def test_a_stretch_of_a_queue_is_marked(beside: sqlite3.Connection) -> None:
    assert mark_sequences(
        beside, known="ab", endpoint="a", key="x", from_sequence=2, to_sequence=3
    ).by_endpoint == {"a": 2}

    assert states(beside) == "dxprdrpp"


def test_a_room_is_marked_at_every_endpoint(beside: sqlite3.Connection) -> None:
    marked = mark_sequences(beside, known="ab", room="x")

    assert (marked.by_endpoint, marked.left_out, marked.count) == ({"a": 3, "b": 1}, {}, 4)
    assert states(beside) == "rxprrrpp"


def test_of_a_room_what_was_for_removed_endpoints_is_not_marked(
    beside: sqlite3.Connection,
) -> None:
    marked = mark_sequences(beside, known="a", room="x")

    assert (marked.by_endpoint, marked.left_out, marked.count) == ({"a": 3}, {"b": 1}, 3)
    assert states(beside) == "rxprdrpp"


def test_a_stretch_without_a_room_or_a_key_is_refused(beside: sqlite3.Connection) -> None:
    with pytest.raises(ConfigError, match="needs a room or a key"):
        mark_sequences(beside, known="ab", endpoint="a")


def test_a_long_stretch_lets_the_running_process_write_in_between(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    rows: list[KeptDelivery] = [kept_delivery(one) for one in range(1, 2_502)]
    outbox.keep(rows, "notifier")
    for row in rows:
        outbox.end(delivered(row.id))
    assert outbox.wait_idle(PATIENCE_SECONDS)

    with closing(open_beside(outbox_bench.directory, write=True)) as connection:
        commits: list[str] = []
        connection.set_trace_callback(lambda text: commits.append(text))
        assert mark_sequences(connection, known=["primary"], key="lobby").count == 2_501

    assert commits.count("COMMIT") == 3
