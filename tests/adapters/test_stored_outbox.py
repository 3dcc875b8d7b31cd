from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.messages.deliveries import (
    Kept,
    KeyCount,
    KeysLoaded,
    Loaded,
    NotKept,
)
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import (
    HeldJob,
    OutboxBench,
    dead,
    delivered,
    kept_deliveries,
    kept_delivery,
    stored_delivery,
)

# ── keeping ─────────────────────────────────────────────────────────────────────────────────


def test_each_queue_has_sequences_of_its_own_without_a_gap(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()

    outbox.keep([kept_delivery(1, "a"), kept_delivery(2, "a", "other")], "notifier")
    outbox.keep([kept_delivery(3, "b")], "notifier")
    outbox.keep([kept_delivery(4, "a"), kept_delivery(5, "a")], "notifier")

    assert outbox_bench.door.kept(5) == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)]


def test_sequences_go_on_after_a_restart_also_when_all_was_delivered_and_deleted(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(keep_delivered=0)
    outbox.keep(kept_deliveries([1, 2, 3]), "notifier")
    outbox_bench.door.kept(3)
    for delivery_id in (1, 2, 3):
        outbox.end(delivered(delivery_id))
    outbox = outbox_bench.reopen()
    assert outbox.pending == {}

    outbox.keep([kept_delivery(7)], "notifier")

    assert outbox_bench.door.kept(1) == [(7, 4)]


def test_what_was_kept_comes_back_whole_after_a_restart(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    body = b"\x00\xffbody"
    outbox.keep([kept_delivery(1, body=body)], "notifier")
    outbox_bench.door.kept(1)

    outbox_bench.reopen().load("primary", "lobby", 0, 10, "notifier")

    loaded = outbox_bench.door.next(Loaded)
    assert loaded == Loaded("primary", "lobby", (stored_delivery(1, 1, body=body),))


def test_the_next_id_is_beyond_all_that_were_kept_here_or_before(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    assert (outbox.next_id, outbox.pending) == (1, {})
    outbox.keep(kept_deliveries([4, 9, 6]), "notifier")
    assert outbox.next_id == 10

    outbox = outbox_bench.reopen()

    assert (outbox.next_id, sum(outbox.pending.values())) == (10, 3)


def test_all_that_waits_is_one_job_of_the_store(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    gate = HeldJob()
    outbox_bench.store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)
    before = outbox_bench.store.statistics()

    for delivery_id in range(1, 501):
        outbox.keep([kept_delivery(delivery_id)], "notifier")
    waiting = outbox_bench.store.statistics().waiting
    gate.let_go.set()

    assert waiting == 1
    assert outbox_bench.door.kept(500) == [(one, one) for one in range(1, 501)]
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert outbox_bench.store.statistics().written == before.written + 2


def test_a_store_without_room_has_room_for_webhooks(tmp_path: Path) -> None:
    bench = OutboxBench(tmp_path, store_capacity=1)
    outbox = bench.open()
    gate = HeldJob()
    bench.store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)
    bench.store.submit(lambda _: None)
    assert bench.store.submit(lambda _: None).exception(0.0) is not None  # it is full

    outbox.keep([kept_delivery(1)], "notifier")
    gate.let_go.set()

    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert bench.store.statistics().last_error == ""
    assert bench.door.kept(1) == [(1, 1)]
    bench.end()


def test_an_answer_never_holds_an_actor_up_for_long(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    gate = HeldJob()
    outbox_bench.store.submit(gate)
    for delivery_id in range(1, 1_001):
        outbox.keep([kept_delivery(delivery_id)], "notifier")
    gate.let_go.set()
    assert outbox.wait_idle(PATIENCE_SECONDS)

    sizes = []
    while not outbox_bench.door.is_empty:
        sizes.append(len(outbox_bench.door.next(Kept).rows))

    assert max(sizes) <= 64
    assert sum(sizes) == 1_000


def test_each_one_who_asks_is_answered_himself(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()

    outbox.keep([kept_delivery(1)], "one")
    outbox.keep([kept_delivery(2)], "another")
    outbox.keep([], "one")

    assert outbox_bench.door.next(Kept, "one").rows == ((1, 1),)
    assert outbox_bench.door.next(Kept, "another").rows == ((2, 2),)
    assert outbox_bench.door.next(Kept, "one").rows == ()


def test_many_threads_may_keep(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()

    with ThreadPoolExecutor(4) as pool:
        for delivery_id in range(1, 401):
            pool.submit(outbox.keep, [kept_delivery(delivery_id)], "notifier")

    kept = outbox_bench.door.kept(400)
    assert sorted(one for one, _ in kept) == list(range(1, 401))
    assert [sequence for _, sequence in kept] == list(range(1, 401))


def test_what_is_beyond_the_capacity_is_refused_at_once_and_counted(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(capacity=3)
    gate = HeldJob()
    outbox_bench.store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)

    outbox.keep(kept_deliveries([1, 2]), "notifier")
    outbox.keep(kept_deliveries([3, 4]), "notifier")
    refused = outbox_bench.door.next(NotKept)
    outbox.keep([kept_delivery(5)], "notifier")
    outbox.load("primary", "lobby", 0, 10, "notifier")  # what is no new delivery always has room
    gate.let_go.set()

    assert refused == NotKept(tuple(kept_deliveries([3, 4])), "outbox_full")
    assert outbox_bench.dropped("outbox_full") == 2
    assert outbox_bench.door.kept(3) == [(1, 1), (2, 2), (5, 3)]
    assert len(outbox_bench.door.next(Loaded).rows) == 3


def test_one_that_cannot_be_written_takes_no_other_with_it(
    outbox_bench: OutboxBench, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = outbox_bench.open()
    gate = HeldJob()
    outbox_bench.store.submit(gate)
    outbox.keep([kept_delivery(1)], "notifier")
    outbox.keep(kept_deliveries([1, 2]), "notifier")  # 1 is there already
    outbox.keep([kept_delivery(3)], "notifier")
    outbox.load("primary", "\ud800", 0, 10, "notifier")
    gate.let_go.set()

    assert outbox_bench.door.next(Kept).rows == ((1, 1),)
    assert outbox_bench.door.next(NotKept) == NotKept(
        tuple(kept_deliveries([1, 2])), "store_failed"
    )
    assert outbox_bench.door.next(Kept).rows == ((3, 2),)
    assert outbox_bench.door.next(Loaded).rows == ()
    assert outbox_bench.dropped("store_failed") == 2
    assert "UNIQUE constraint failed" in caplog.text


# ── what becomes of them ────────────────────────────────────────────────────────────────────


def test_what_is_loaded_includes_every_change_asked_for_before(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    gate = HeldJob()
    outbox_bench.store.submit(gate)
    outbox.keep(kept_deliveries([1, 2, 3, 4]), "notifier")
    outbox.load("primary", "lobby", 0, 10, "notifier")
    outbox.end(delivered(1))
    outbox.end(dead(2))
    outbox.postpone(3, 1, 9_000, 503, "unexpected status", 2_500)
    outbox.load("primary", "lobby", 0, 10, "notifier")
    outbox.keep([kept_delivery(5)], "notifier")
    outbox.load("primary", "lobby", 3, 1, "notifier")
    outbox.load("primary", "elsewhere", 0, 10, "notifier")
    gate.let_go.set()

    door = outbox_bench.door
    assert door.kept(4) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [row.id for row in door.next(Loaded).rows] == [1, 2, 3, 4]
    postponed = stored_delivery(3, 3, attempts=1, next_at_ns=9_000, started_at_ns=2_500)
    assert door.next(Loaded).rows == (postponed, stored_delivery(4, 4))
    assert door.kept(1) == [(5, 5)]
    assert [row.id for row in door.next(Loaded).rows] == [4]
    assert door.next(Loaded) == Loaded("primary", "elsewhere", ())


def test_the_first_attempts_start_stays_through_further_ones(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    outbox.keep([kept_delivery(1)], "notifier")
    outbox_bench.door.kept(1)

    outbox.postpone(1, 1, 9_000, None, "refused", 2_500)
    outbox.postpone(1, 2, 9_900, None, "refused", 2_900)
    outbox.load("primary", "lobby", 0, 10, "notifier")

    (row,) = outbox_bench.door.next(Loaded).rows
    assert (row.attempts, row.next_at_ns, row.started_at_ns) == (2, 9_900, 2_500)


def test_what_is_over_is_not_changed_by_a_late_word(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    outbox.keep([kept_delivery(1)], "notifier")
    outbox_bench.door.kept(1)

    outbox.end(delivered(1))
    outbox.postpone(1, 3, 9_000, 503, "late")
    outbox.end(dead(1))
    assert outbox.wait_idle(PATIENCE_SECONDS)

    assert outbox_bench.run("SELECT state, attempts, status FROM deliveries") == [
        ("delivered", 2, 200)
    ]


def test_queues_are_loaded_in_pages_by_endpoint_and_key(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    for number, (endpoint, key) in enumerate([("b", "x"), ("a", "y"), ("a", "x"), ("a", "z")]):
        ids = (10 * number, 10 * number + 1)
        outbox.keep([kept_delivery(one, key, endpoint) for one in ids], "notifier")
    outbox_bench.door.kept(8)
    outbox.end(delivered(30))
    outbox.end(delivered(31))  # nothing of (a, z) is pending any more
    outbox.end(dead(0))

    outbox.load_keys("a", "", 2, "notifier")
    outbox.load_keys("b", "", 2, "notifier")
    outbox.load_keys("a", "y", 2, "notifier")

    door = outbox_bench.door
    assert door.next(KeysLoaded).rows == (KeyCount("x", 2), KeyCount("y", 2))
    assert door.next(KeysLoaded) == KeysLoaded("b", (KeyCount("x", 1),), 2)
    assert door.next(KeysLoaded).rows == ()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("keep"), st.sampled_from("abc")),
            st.tuples(st.sampled_from(["end", "dead", "load"]), st.sampled_from("abc")),
            st.tuples(st.just("reopen"), st.just("")),
        ),
        max_size=40,
    )
)
def test_any_calls_leave_what_a_plain_list_would(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, str]]
) -> None:
    bench = OutboxBench(tmp_path_factory.mktemp("data"))
    outbox = bench.open()
    model: dict[str, list[tuple[int, int]]] = {"a": [], "b": [], "c": []}
    last = dict.fromkeys(model, 0)
    next_id = 1
    for what, key in calls:
        if what == "keep":
            outbox.keep([kept_delivery(next_id, key)], "notifier")
            last[key] += 1
            model[key].append((next_id, last[key]))
            assert bench.door.kept(1) == [(next_id, last[key])]
            next_id += 1
        elif what == "load":
            outbox.load("primary", key, 0, 100, "notifier")
            rows = bench.door.next(Loaded).rows
            assert [(row.id, row.sequence) for row in rows] == model[key]
        elif what == "reopen":
            outbox = bench.reopen()
            assert outbox.next_id == next_id
            assert sum(outbox.pending.values()) == sum(map(len, model.values()))
        elif model[key]:
            ended, _ = model[key].pop(0)
            outbox.end(delivered(ended) if what == "end" else dead(ended))
    bench.end()
