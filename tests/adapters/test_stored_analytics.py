"""Analytics on their way: in order, none twice, whatever the sink does and in the next life."""

from __future__ import annotations

from typing import Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from greenroom.adapters.stored_analytics import PAGE
from greenroom.testing.analytics_bench import AnalyticsBench, numbered
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

ERRORS: Final = 'greenroom_analytics_errors_total{method="send_event"}'


def test_everything_is_handed_over_once_and_in_order(analytics_bench: AnalyticsBench) -> None:
    outputs = analytics_bench.open()
    outputs.put("a", "stats", (AnalyticsStat(mime="1"), AnalyticsStat(mime="2")))
    outputs.put("b", "event", AnalyticsEvent(room_id="RM_1"))
    outputs.put("c", "node_rooms", AnalyticsNodeRooms(node_id="ND_1"))
    outputs.put("d", "node_rooms", None)
    outputs.put("e", "stats", ())

    assert outputs.wait_idle(PATIENCE_SECONDS)

    assert analytics_bench.sink.sends == [
        ("send_stats", (AnalyticsStat(mime="1"), AnalyticsStat(mime="2"))),
        ("send_event", AnalyticsEvent(room_id="RM_1")),
        ("send_node_room_states", AnalyticsNodeRooms(node_id="ND_1")),
        ("send_node_room_states", None),
        ("send_stats", ()),
    ]
    assert analytics_bench.held == 0


def test_more_than_a_page_keeps_its_order(analytics_bench: AnalyticsBench) -> None:
    outputs = analytics_bench.open()
    rooms = numbered(3 * PAGE + 1)
    analytics_bench.put(*rooms)

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == rooms


def test_a_key_that_was_put_before_is_ignored_in_the_next_life_as_well(
    analytics_bench: AnalyticsBench,
) -> None:
    outputs = analytics_bench.open()
    analytics_bench.put("RM_1", "RM_1")
    assert outputs.wait_idle(PATIENCE_SECONDS)
    analytics_bench.put("RM_1", "RM_2")
    assert analytics_bench.close()
    analytics_bench.open()
    analytics_bench.put("RM_1", "RM_2", "RM_3")
    assert analytics_bench.close()

    assert analytics_bench.sink.rooms == ["RM_1", "RM_2", "RM_3"]
    assert analytics_bench.held == 0


# ── a sink in trouble ───────────────────────────────────────────────────────────────────────


def test_a_sink_that_was_down_for_long_gets_everything_once_and_in_order(
    analytics_bench: AnalyticsBench,
) -> None:
    outputs = analytics_bench.open()
    analytics_bench.put(*numbered(3))
    assert outputs.wait_idle(PATIENCE_SECONDS)
    analytics_bench.sink.trouble = ConnectionError("down")
    analytics_bench.put(*numbered(20, start=3))
    wait_until(lambda: analytics_bench.sink.attempts >= 6)
    assert analytics_bench.sink.rooms == numbered(3)
    assert analytics_bench.series(ERRORS) >= 2

    analytics_bench.sink.trouble = None
    wait_until(lambda: len(analytics_bench.sink.rooms) >= 23)

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == numbered(23)


def test_nobody_waits_for_a_sink_that_is_down(analytics_bench: AnalyticsBench) -> None:
    analytics_bench.sink.trouble = SystemExit("a sink may raise whatever it likes")
    outputs = analytics_bench.open(retry_seconds=3_600.0)
    analytics_bench.put("RM_1")

    assert outputs.wait_idle(PATIENCE_SECONDS), "it is on the disk"
    analytics_bench.put("RM_2")
    assert outputs.wait_idle(PATIENCE_SECONDS)

    assert analytics_bench.held == 0, "virtual time would wait for an hour"
    assert analytics_bench.sink.rooms == []


@pytest.mark.parametrize("error", [TypeError("a"), ValueError("b")], ids=["type", "value"])
def test_what_a_sink_cannot_take_is_counted_and_skipped(
    analytics_bench: AnalyticsBench, error: Exception
) -> None:
    analytics_bench.sink.disliked = {"RM_1": error}
    outputs = analytics_bench.open()
    analytics_bench.put(*numbered(3))

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == ["RM_0", "RM_2"]
    assert analytics_bench.series(ERRORS) == 1
    assert analytics_bench.close()
    analytics_bench.open()
    assert analytics_bench.close()
    assert analytics_bench.sink.attempts == 3


def test_what_is_damaged_on_the_disk_is_counted_and_skipped(
    analytics_bench: AnalyticsBench,
) -> None:
    analytics_bench.sink.trouble = ConnectionError("down")
    analytics_bench.open()
    analytics_bench.put(*numbered(3))
    analytics_bench._opened[-1].put("stats", "stats", (AnalyticsStat(),))
    assert analytics_bench.close()
    store = analytics_bench.open_store()
    analytics_bench.run("UPDATE outputs SET body = x'ff' WHERE id IN (2, 4)")
    assert store.close(PATIENCE_SECONDS)
    analytics_bench.sink.trouble = None

    outputs = analytics_bench.open()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.sends == [
        ("send_event", AnalyticsEvent(room_id=room)) for room in ("RM_0", "RM_2")
    ]
    assert analytics_bench.dropped("analytics_damaged") == 2


# ── the next life ───────────────────────────────────────────────────────────────────────────


def test_what_the_sink_had_not_had_it_gets_in_the_next_life(
    analytics_bench: AnalyticsBench,
) -> None:
    rooms = numbered(PAGE + 20)
    analytics_bench.open()
    analytics_bench.put(*rooms[:5])
    wait_until(lambda: len(analytics_bench.sink.rooms) == 5)
    analytics_bench.sink.trouble = ConnectionError("down")
    analytics_bench.put(*rooms[5:])
    assert analytics_bench.close()
    assert analytics_bench.sink.rooms == rooms[:5]
    analytics_bench.sink.trouble = None

    outputs = analytics_bench.open()
    analytics_bench.put("RM_last")

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == [*rooms, "RM_last"]
    assert analytics_bench.held == 0


def test_what_it_had_before_it_went_down_it_does_not_get_again(
    analytics_bench: AnalyticsBench,
) -> None:
    analytics_bench.sink.may_go_on.clear()
    analytics_bench.open()
    analytics_bench.put(*numbered(4))
    analytics_bench.sink.disliked = {"RM_2": ConnectionError("down")}
    analytics_bench.sink.may_go_on.set()
    wait_until(lambda: analytics_bench.sink.attempts >= 4)
    handed = "SELECT count(*) FROM outputs WHERE is_handed = 1"
    wait_until(
        lambda: analytics_bench.run(handed) == [(2,)]
    )  # a crash now would not hand it over twice
    assert analytics_bench.close()
    analytics_bench.sink.disliked = {}
    analytics_bench.open()
    assert analytics_bench.close()

    assert analytics_bench.sink.rooms == numbered(4)


def test_what_it_had_is_remembered_although_the_disk_refused_to_know(
    analytics_bench: AnalyticsBench,
) -> None:
    analytics_bench.sink.may_go_on.clear()
    outputs = analytics_bench.open()
    analytics_bench.put(*numbered(2))
    wait_until(lambda: analytics_bench.sink.attempts == 1)
    analytics_bench.refuse_writes()
    analytics_bench.sink.may_go_on.set()
    wait_until(lambda: len(analytics_bench.sink.rooms) == 2)
    assert analytics_bench.store.wait_idle(PATIENCE_SECONDS)
    analytics_bench.allow_writes()
    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.close()
    analytics_bench.open()
    assert analytics_bench.close()

    assert analytics_bench.sink.rooms == numbered(2)
    assert analytics_bench.dropped("store_failed") == 0, "nothing is lost"
