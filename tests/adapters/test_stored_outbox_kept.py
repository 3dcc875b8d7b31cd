from __future__ import annotations

from contextlib import closing

import pytest

from greenroom.adapters.database import open_beside
from greenroom.adapters.delivery_queries import mark_deliveries
from greenroom.errors import ConfigError
from greenroom.messages.deliveries import (
    Loaded,
    Requeued,
)
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import (
    OutboxBench,
    dead,
    delivered,
    kept_deliveries,
    kept_delivery,
    stored_delivery,
)

# ── how much stays ──────────────────────────────────────────────────────────────────────────


def test_the_oldest_delivered_ones_are_deleted_and_nothing_else_is(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(keep_delivered=10)
    outbox.keep(kept_deliveries(range(1, 1_001)), "notifier")
    outbox_bench.door.kept(1_000)
    outbox.end(dead(1))

    for delivery_id in range(3, 1_001):  # 2 is still pending
        outbox.end(delivered(delivery_id))
    assert outbox.wait_idle(PATIENCE_SECONDS)

    ids = [one for (one,) in outbox_bench.run("SELECT id FROM deliveries ORDER BY id")]
    assert ids == [1, 2, *range(991, 1_001)]


def test_a_smaller_limit_is_reached_little_by_little(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    outbox.keep(kept_deliveries(range(1, 6_001)), "notifier")
    outbox_bench.door.kept(6_000)
    for delivery_id in range(1, 6_001):
        outbox.end(delivered(delivery_id))
    outbox = outbox_bench.reopen(keep_delivered=100)

    counts = []
    for delivery_id in range(6_001, 6_005):
        outbox.keep([kept_delivery(delivery_id)], "notifier")
        assert outbox.wait_idle(PATIENCE_SECONDS)
        ((count,),) = outbox_bench.run("SELECT count(*) FROM deliveries WHERE state = 'delivered'")
        counts.append(count)

    assert counts == [4_000, 2_000, 100, 100]


def test_what_others_marked_is_not_counted_among_the_delivered_ones(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(keep_delivered=10)
    outbox.watch("notifier")
    outbox.keep(kept_deliveries(range(1, 26)), "notifier")
    outbox_bench.door.kept(25)
    for delivery_id in range(1, 21):
        outbox.end(delivered(delivery_id))
    assert outbox.wait_idle(PATIENCE_SECONDS)
    with closing(open_beside(outbox_bench.directory, write=True)) as other:
        assert mark_deliveries(other, range(1, 16)).count == 15
    assert len(outbox_bench.door.next(Requeued).rows) == 15

    for delivery_id in range(21, 26):
        outbox.end(delivered(delivery_id))
    assert outbox.wait_idle(PATIENCE_SECONDS)

    ids = [one for (one,) in outbox_bench.run("SELECT id FROM deliveries ORDER BY id")]
    assert ids == list(range(1, 26))


def test_it_can_keep_none_but_not_fewer(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(keep_delivered=0)
    outbox.keep([kept_delivery(1)], "notifier")
    outbox_bench.door.kept(1)
    outbox.end(delivered(1))
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert outbox_bench.run("SELECT count(*) FROM deliveries") == [(0,)]
    assert outbox_bench.close()

    with pytest.raises(ConfigError, match="keep_delivered"):
        outbox_bench.open(keep_delivered=-1)


# ── what others ask for ─────────────────────────────────────────────────────────────────────


def test_what_is_marked_beside_it_comes_in_order_and_is_pending_from_then_on(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    outbox.keep(kept_deliveries([1, 2, 3, 4]), "notifier")
    outbox_bench.door.kept(4)
    outbox.end(dead(2))
    outbox.end(delivered(1))
    outbox.postpone(3, 5, 9_000, 503, "busy", 2_500)
    assert outbox.wait_idle(PATIENCE_SECONDS)
    outbox.watch("notifier")

    with closing(open_beside(outbox_bench.directory, write=True)) as other:
        assert mark_deliveries(other, [3, 2, 1, 4, 99]).count == 3  # 4 is due anyway

    again = stored_delivery(3, 3, attempts=5, started_at_ns=2_500)
    assert outbox_bench.door.next(Requeued).rows == (
        stored_delivery(1, 1),
        stored_delivery(2, 2),
        again,
    )
    outbox.load("primary", "lobby", 0, 10, "notifier")
    assert [row.id for row in outbox_bench.door.next(Loaded).rows] == [1, 2, 3, 4]
    assert outbox_bench.run("SELECT count(*) FROM deliveries WHERE state = 'replay'") == [(0,)]


def test_what_is_loaded_before_the_watcher_looks_does_not_come_twice(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    outbox.keep(kept_deliveries([1, 2]), "notifier")
    outbox_bench.door.kept(2)
    outbox.end(delivered(1))
    assert outbox_bench.close()
    with closing(open_beside(outbox_bench.directory, write=True)) as other:
        assert mark_deliveries(other, [1]).count == 1

    outbox = outbox_bench.open()
    assert sum(outbox.pending.values()) == 2
    outbox.load("primary", "lobby", 0, 10, "notifier")
    assert [row.id for row in outbox_bench.door.next(Loaded).rows] == [1, 2]
    outbox.watch("notifier")
    assert outbox_bench.close()

    assert outbox_bench.door.is_empty


def test_many_marked_ones_come_in_pages(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    outbox.keep(kept_deliveries(range(1, 1_201)), "notifier")
    outbox_bench.door.kept(1_200)
    for delivery_id in range(1, 1_201):
        outbox.end(delivered(delivery_id))
    assert outbox_bench.close()
    with closing(open_beside(outbox_bench.directory, write=True)) as other:
        assert mark_deliveries(other, range(1, 1_201)).count == 1_200

    outbox_bench.open().watch("notifier")

    pages = [outbox_bench.door.next(Requeued).rows for _ in range(3)]
    assert [len(page) for page in pages] == [500, 500, 200]
    assert [row.sequence for page in pages for row in page] == list(range(1, 1_201))
