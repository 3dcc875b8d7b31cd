"""What a report of a track's statistics changes in the metrics."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType
from livekit.protocol.models import TrackSource, TrackType

from greenroom.core.metrics import Metrics
from greenroom.core.series import flatten
from greenroom.messages.ids import StatsKey
from greenroom.messages.sample import Sample, sample_of

UINT32: Final = 2**32
UINT64: Final = 2**64
STREAM_LABELS: Final = 'country="US",direction="incoming",source="CAMERA",type="VIDEO"'
COUNTERS: Final = (
    "primary_packets",
    "padding_packets",
    "retransmit_packets",
    "packets_lost",
    "packets_out_of_order",
    "nacks",
    "plis",
    "firs",
    "rtt",
    "jitter",
)


def up() -> StatsKey:
    return StatsKey.for_track(
        "US", StreamType.UPSTREAM, "PA_a", "TR_v", TrackSource.CAMERA, TrackType.VIDEO
    )


def down() -> StatsKey:
    return StatsKey.for_track(
        "US", StreamType.DOWNSTREAM, "PA_a", "TR_v", TrackSource.CAMERA, TrackType.VIDEO
    )


def report(**counters: int) -> Sample:
    stream = AnalyticsStream()
    for name, value in counters.items():
        setattr(stream, name, value)
    return sample_of(AnalyticsStat(streams=[stream]))


def counted(key: StatsKey, *samples: Sample) -> dict[str, float]:
    """All series, those that are 0 too, after these reports."""
    metrics = Metrics()
    for sample in samples:
        metrics.track_stats(key, sample)
    return flatten(metrics.snapshot(), {})


def test_a_report_without_packets_still_makes_the_series_of_initial_packets() -> None:
    series = counted(up(), report())

    labels = '{country="US",direction="incoming",transmission="initial"}'
    assert series[f"livekit_packet_total{labels}"] == 0
    assert series[f"livekit_packet_bytes{labels}"] == 0
    assert not any("retransmit" in name for name in series)
    assert not any(
        name.startswith(("livekit_nack", "livekit_pli", "livekit_fir")) for name in series
    )
    assert not any(name.startswith(("livekit_packet_loss", "livekit_rtt")) for name in series)


def test_upstream_retransmitted_packets_count_as_initial_ones() -> None:
    metrics = Metrics()
    sample = report(
        primary_packets=100,
        padding_packets=10,
        retransmit_packets=5,
        primary_bytes=1000,
        padding_bytes=100,
        retransmit_bytes=50,
    )
    metrics.track_stats(up(), sample)

    assert {name: n for name, n in metrics.series({}).items() if "packet_" in name} == {
        'livekit_packet_bytes{country="US",direction="incoming",transmission="initial"}': 1150,
        'livekit_packet_total{country="US",direction="incoming",transmission="initial"}': 115,
        **percent_buckets("loss", zeros=1),
        **percent_buckets("out_of_order", zeros=1),
    }
    assert metrics.node_stats()["packets_in"] == 115
    assert metrics.node_stats()["bytes_in"] == 1150


def percent_buckets(what: str, *, zeros: int) -> dict[str, int]:
    edges = ("0", "0.1", "0.3", "0.5", "0.7", "1", "5", "10", "40", "100", "+Inf")
    name = f"livekit_packet_{what}_percent"
    buckets = {f'{name}_bucket{{{STREAM_LABELS},le="{edge}"}}': zeros for edge in edges}
    return {**buckets, f"{name}_count{{{STREAM_LABELS}}}": zeros}


def test_downstream_retransmitted_packets_count_apart_and_in_the_nodes_totals() -> None:
    metrics = Metrics()
    metrics.track_stats(down(), report(primary_packets=100, retransmit_packets=5))
    metrics.track_stats(down(), report(primary_bytes=7, retransmit_bytes=2))

    series = metrics.series({})
    initial = '{country="US",direction="outgoing",transmission="initial"}'
    retransmit = '{country="US",direction="outgoing",transmission="retransmit"}'
    assert series[f"livekit_packet_total{initial}"] == 100
    assert series[f"livekit_packet_total{retransmit}"] == 5
    assert series[f"livekit_packet_bytes{initial}"] == 7
    assert series[f"livekit_packet_bytes{retransmit}"] == 2
    stats = metrics.node_stats()
    assert (stats["packets_out"], stats["bytes_out"]) == (105, 9)
    assert (stats["retransmit_packets_out"], stats["retransmit_bytes_out"]) == (5, 2)
    assert (stats["packets_in"], stats["bytes_in"]) == (0, 0)


def test_an_unknown_stream_type_is_incoming() -> None:
    key = StatsKey.for_track("US", 9, "PA_a", "TR_v", TrackSource.CAMERA, TrackType.VIDEO)

    series = counted(key, report(primary_packets=1))

    name = 'livekit_packet_total{country="US",direction="incoming",transmission="initial"}'
    assert series[name] == 1


def test_a_data_key_counts_packets_and_feedback_but_no_quality() -> None:
    key = StatsKey.for_data("US", StreamType.UPSTREAM, "PA_a", "TR_d")

    series = counted(key, report(**dict.fromkeys(COUNTERS, 1)))

    assert {name.partition("{")[0] for name in series if STREAM_LABELS[:12] in name} == {
        "livekit_packet_total",
        "livekit_packet_bytes",
        "livekit_nack_total",
        "livekit_pli_total",
        "livekit_fir_total",
    }


def test_sums_of_packets_wrap_at_32_bits_within_one_report() -> None:
    stream = AnalyticsStream(primary_packets=UINT32 - 1, nacks=UINT32 - 1, plis=UINT32 - 1)
    two = AnalyticsStat(streams=[stream, AnalyticsStream(primary_packets=3, nacks=1, plis=2)])

    series = counted(up(), sample_of(two), report(primary_packets=UINT32 - 1))

    packets = 'livekit_packet_total{country="US",direction="incoming",transmission="initial"}'
    assert series[packets] == 2 + UINT32 - 1
    assert 'livekit_nack_total{country="US",direction="incoming"}' not in series
    assert series['livekit_pli_total{country="US",direction="incoming"}'] == 1


def test_a_sum_that_wraps_to_nothing_makes_no_series_of_retransmitted_packets() -> None:
    half = AnalyticsStream(retransmit_packets=UINT32 // 2, retransmit_bytes=UINT64 // 2)

    series = counted(down(), sample_of(AnalyticsStat(streams=[half, half])))

    assert not any("retransmit" in name for name in series)


def test_sums_of_bytes_wrap_at_64_bits() -> None:
    stream = AnalyticsStream(primary_bytes=UINT64 - 1, padding_bytes=11)
    metrics = Metrics()
    metrics.track_stats(up(), sample_of(AnalyticsStat(streams=[stream])))

    name = 'livekit_packet_bytes{country="US",direction="incoming",transmission="initial"}'
    assert metrics.series({})[name] == 10
    metrics.track_stats(up(), report(primary_bytes=UINT64 - 10))
    assert name not in metrics.series({})
    assert metrics.node_stats()["bytes_in"] == 0


def test_loss_is_measured_against_the_packets_of_a_stream_wrapped_at_32_bits() -> None:
    series = counted(up(), report(primary_packets=UINT32 - 1, padding_packets=5, packets_lost=8))

    assert series[f"livekit_packet_loss_percent_sum{{{STREAM_LABELS}}}"] == 200
    assert series[f'livekit_packet_loss_percent_bucket{{{STREAM_LABELS},le="100"}}'] == 0
    assert series[f'livekit_packet_loss_percent_bucket{{{STREAM_LABELS},le="+Inf"}}'] == 1


def test_loss_without_packets_is_counted_but_not_observed() -> None:
    series = counted(up(), report(packets_lost=4, packets_out_of_order=5))

    assert series[f"livekit_packet_loss_total{{{STREAM_LABELS}}}"] == 4
    assert series[f"livekit_packet_out_of_order_total{{{STREAM_LABELS}}}"] == 5
    assert not any("percent" in name for name in series)


@pytest.mark.parametrize(
    ("lost", "packets", "bucket"),
    [
        (0, 7, "0"),
        (1, 1000, "0.1"),
        (3, 1000, "0.3"),
        (7, 1000, "1"),  # 7 / 1000 * 100 is 0.7000000000000001
        (1, 100, "1"),
        (100, 100, "100"),
        (101, 100, "+Inf"),
    ],
)
@pytest.mark.parametrize(
    ("field", "family"),
    [("packets_lost", "packet_loss"), ("packets_out_of_order", "packet_out_of_order")],
)
def test_a_percentage_is_computed_in_gos_order(
    field: str, family: str, lost: int, packets: int, bucket: str
) -> None:
    series = counted(up(), report(primary_packets=packets, **{field: lost}))

    assert first_bucket(series, f"livekit_{family}_percent") == bucket


@pytest.mark.parametrize(
    ("field", "family", "value", "bucket"),
    [
        ("rtt", "livekit_rtt_ms", 1, "50"),
        ("rtt", "livekit_rtt_ms", 50, "50"),
        ("rtt", "livekit_rtt_ms", 51, "100"),
        ("rtt", "livekit_rtt_ms", 10000, "10000"),
        ("rtt", "livekit_rtt_ms", 10001, "+Inf"),
        ("jitter", "livekit_jitter_us", 1000, "1000"),
        ("jitter", "livekit_jitter_us", 1_000_000, "1e+06"),
        ("jitter", "livekit_jitter_us", UINT32 - 1, "+Inf"),
    ],
)
def test_an_upper_edge_belongs_to_its_bucket(
    field: str, family: str, value: int, bucket: str
) -> None:
    series = counted(up(), report(**{field: value}))

    assert first_bucket(series, family) == bucket
    assert series[f"{family}_sum{{{STREAM_LABELS}}}"] == value


def first_bucket(series: dict[str, float], family: str) -> str:
    """The smallest `le` under which something was counted."""
    start = f'{family}_bucket{{{STREAM_LABELS},le="'
    buckets = [name.removeprefix(start)[:-2] for name, n in series.items() if start in name and n]
    return buckets[0]


def test_a_sum_of_percentages_is_added_as_doubles_in_order_of_arrival() -> None:
    reports = [(1, 3), (2, 7), (1, 11), (5, 13)]
    in_order = 0.0
    for lost, packets in reports:
        in_order += lost / packets * 100

    series = counted(up(), *(report(primary_packets=p, packets_lost=n) for n, p in reports))

    assert series[f"livekit_packet_loss_percent_sum{{{STREAM_LABELS}}}"] == in_order


def test_unknown_enum_numbers_are_labels_in_decimal() -> None:
    key = StatsKey.for_track("", StreamType.UPSTREAM, "PA_a", "TR_v", 77, -3)
    metrics = Metrics()
    metrics.track_published(9)
    metrics.track_stats(key, report(packets_lost=1))

    labels = '{country="",direction="incoming",source="77",type="-3"}'
    assert metrics.series({})[f"livekit_packet_loss_total{labels}"] == 1
    assert metrics.series({})['livekit_track_published_total{kind="9"}'] == 1


uint32s = st.integers(0, UINT32 - 1) | st.integers(0, 2000)
streams = st.builds(AnalyticsStream, **dict.fromkeys(COUNTERS, uint32s))


@given(st.lists(st.lists(streams, max_size=3), max_size=5), st.sampled_from([up(), down()]))
def test_packets_are_neither_lost_nor_made_up(
    reports: list[list[AnalyticsStream]], key: StatsKey
) -> None:
    metrics = Metrics()
    for several in reports:
        metrics.track_stats(key, sample_of(AnalyticsStat(streams=several)))

    stats = metrics.node_stats()
    again = [sum(s.retransmit_packets for s in several) % UINT32 for several in reports]
    first = [sum(s.primary_packets + s.padding_packets for s in several) for several in reports]
    if key == down():
        assert stats["packets_out"] == sum(n % UINT32 for n in first) + sum(again)
        assert stats["retransmit_packets_out"] == sum(again)
    else:
        assert stats["packets_in"] == sum(
            (n + m) % UINT32 for n, m in zip(first, again, strict=True)
        )
    assert stats["nack_total"] == sum(sum(s.nacks for s in r) % UINT32 for r in reports)


@given(st.lists(streams, min_size=1, max_size=8))
def test_a_histogram_counts_each_value_once(several: list[AnalyticsStream]) -> None:
    series = counted(up(), sample_of(AnalyticsStat(streams=several)))

    for field, family in (("rtt", "livekit_rtt_ms"), ("jitter", "livekit_jitter_us")):
        values = [getattr(stream, field) for stream in several if getattr(stream, field)]
        for name, count in series.items():
            if name.startswith(f"{family}_bucket"):
                edge = float(name.rpartition('le="')[2].removesuffix('"}'))
                assert count == sum(value <= edge for value in values)
        assert series.get(f"{family}_count{{{STREAM_LABELS}}}", 0) == len(values)
