"""The numbers of a shard as bytes, and back: the next life goes on counting where this one was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream

from greenroom.core import metrics_state
from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten
from greenroom.messages.ids import StatsKey
from greenroom.messages.sample import sample_of
from greenroom.testing.strategies import INT32, UINT32, UINT64, protobufs, stats_keys

Count: Any = Callable[[Metrics], None]

TEXTS: Final = st.text(
    st.characters(categories=["Cs", "L"]), max_size=8
)  # lone surrogates too: an error may have them
SIMPLE: Final[list[Count]] = [
    lambda metrics: metrics.participant_opened(joined=True),
    lambda metrics: metrics.participant_opened(joined=False),
    lambda metrics: metrics.participant_closed(),
    lambda metrics: metrics.track_subscribe_requested(),
    lambda metrics: metrics.failed("StatsWorker"),
    lambda metrics: metrics.restarted("Notifier"),
    lambda metrics: metrics.sink_error("send_event"),
    lambda metrics: metrics.store_error("disk_full"),
]


def with_number(name: str) -> st.SearchStrategy[Count]:
    return INT32.map(lambda number: lambda metrics: getattr(metrics, name)(number))


def track_stats() -> st.SearchStrategy[Count]:
    def count(key: StatsKey, stat: AnalyticsStat) -> Count:
        return lambda metrics: metrics.track_stats(key, sample_of(stat))

    return st.builds(count, stats_keys(), protobufs(AnalyticsStat))


COUNTS: Final = st.one_of(
    st.sampled_from(SIMPLE),
    track_stats(),
    *map(
        with_number,
        ("track_publish_requested", "track_published", "track_unpublished", "track_subscribed"),
    ),
    with_number("track_unsubscribed"),
    st.builds(
        lambda error, user: lambda metrics: metrics.track_subscribe_failed(error, user),
        TEXTS,
        st.booleans(),
    ),
    st.builds(lambda reason, count: lambda metrics: metrics.dropped(reason, count), TEXTS, UINT32),
    st.builds(lambda reason: lambda metrics: metrics.webhook_dispatched("drop", reason), TEXTS),
    st.integers(0, 100_000).map(lambda length: lambda metrics: metrics.webhook_queued(length)),
)


def carried_over(metrics: Metrics) -> Metrics:
    restored = Metrics()
    metrics_state.restore(restored, metrics_state.pack(metrics))
    return restored


def assert_same(one: Metrics, other: Metrics) -> None:
    assert one.snapshot() == other.snapshot()
    assert one.series({}) == other.series({})
    assert one.node_stats() == other.node_stats()
    assert one.lost() == other.lost()


@given(st.lists(COUNTS, max_size=12), st.lists(COUNTS, max_size=6))
def test_the_numbers_are_the_same_and_go_on_as_if_nothing_had_been(
    before: list[Count], after: list[Count]
) -> None:
    metrics = Metrics()
    for count in before:
        count(metrics)

    restored = carried_over(metrics)

    assert_same(restored, metrics)
    for count in after:
        count(metrics)
        count(restored)
    assert_same(restored, metrics)
    assert_same(carried_over(carried_over(restored)), metrics)


@given(UINT64, UINT64, st.integers(1, 3))
@example(2**64 - 1, 2**64 - 1, 2)
def test_numbers_may_be_larger_than_any_single_one(sent: int, again: int, times: int) -> None:
    metrics = Metrics()
    stream = AnalyticsStream(primary_bytes=sent, retransmit_bytes=again, packets_lost=2**32 - 1)
    key = StatsKey.for_track("DE", 1, "PA_1", "TR_1", 1, 1)
    for _ in range(times):
        metrics.track_stats(key, sample_of(AnalyticsStat(streams=[stream])))

    assert_same(carried_over(metrics), metrics)


def test_what_another_life_finds_in_its_disk_is_not_carried_over() -> None:
    metrics = Metrics()
    metrics.store_failed(failed=True)

    assert flatten(carried_over(metrics).snapshot(), {}).get("greenroom_store_failed", 0) == 0


@given(st.binary(max_size=64))
@example(msgpack.packb(5))
@example(msgpack.packb([1, [["no such family", [[1]]]], [], [], 0, [[], 0]]))
@example(msgpack.packb([1, [["livekit_participant_total", [1]]], [], [], 0, [[], 0]]))
@example(msgpack.packb([1, [], [[["a", "b"], 7]], [], 0, [[], 0]]))
@example(msgpack.packb([1, [], [[["a", "b"], [7]]], [], 0, [[], 0]]))
@example(msgpack.packb([1, [], [], [], 0, [1, 2, 3]]))
@example(msgpack.packb([2, [], [], [], 0, [[], 0]]))
@example(msgpack.packb([1, [], [], [], 0, [[], 0], "more"]))
def test_other_bytes_are_refused_by_name(packed: bytes) -> None:
    with pytest.raises(ValueError, match="metrics"):
        metrics_state.restore(Metrics(), packed)
