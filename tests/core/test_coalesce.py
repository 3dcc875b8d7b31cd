from __future__ import annotations

import gzip
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, AnalyticsVideoLayer

from greenroom.core.coalesce import TrackAccumulator, coalesce, is_valid
from greenroom.messages.sample import Sample, sample_of

VECTORS: Final = Path(__file__).resolve().parents[1] / "data" / "coalesce.jsonl.gz"
WIDTHS: Final = {
    "primary_packets": 32,
    "primary_bytes": 64,
    "retransmit_packets": 32,
    "retransmit_bytes": 64,
    "padding_packets": 32,
    "padding_bytes": 64,
    "packets_lost": 32,
    "packets_out_of_order": 32,
    "frames": 32,
    "nacks": 32,
    "plis": 32,
    "firs": 32,
}
LAYER_WIDTHS: Final = {"packets": 32, "bytes": 64, "frames": 32}
GO_ZERO_SECONDS: Final = -62_135_596_800


def vectors() -> list[Any]:
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        return [pytest.param(line, id=line["name"]) for line in map(json.loads, lines)]


def counters(widths: dict[str, int]) -> dict[str, st.SearchStrategy[int]]:
    return {
        name: st.integers(0, 3000) | st.integers(0, 2 ** (width - 1) - 1)
        for name, width in widths.items()
    }


uint32s = st.integers(0, 2**32 - 1)
scores = st.floats(0.5, 5.0, width=32)
timestamps = st.none() | st.builds(
    Timestamp,
    # the end of year 1 is as early as a time may be without being "none yet"
    seconds=st.integers(GO_ZERO_SECONDS + 31_536_000, 253_402_300_799),
    nanos=st.integers(0, 999_999_999),
)
layers = st.builds(AnalyticsVideoLayer, layer=st.integers(0, 3), **counters(LAYER_WIDTHS))
streams = st.builds(
    AnalyticsStream,
    ssrc=uint32s,
    rtt=uint32s,
    jitter=uint32s,
    start_time=timestamps,
    end_time=timestamps,
    video_layers=st.lists(layers, max_size=3),
    **counters(WIDTHS),
)
stats = st.builds(
    AnalyticsStat,
    score=st.just(0.0) | scores,
    streams=st.lists(streams, max_size=3),
    mime=st.sampled_from(["", "audio/red", "video/VP8"]),
)
samples = st.lists(stats, min_size=1, max_size=8)


def merged(samples: list[AnalyticsStat]) -> AnalyticsStat:
    result = coalesce(samples)
    assert result is not None
    return result


def invalid(mime: str) -> AnalyticsStat:
    bad = AnalyticsStream(primary_packets=7, frames=2**31)
    return AnalyticsStat(score=1.0, mime=mime, streams=[AnalyticsStream(nacks=1), bad])


@pytest.mark.parametrize("vector", vectors())
def test_the_result_is_that_of_livekit(vector: dict[str, Any]) -> None:
    samples = [ParseDict(stat, AnalyticsStat()) for stat in vector["stats"]]

    result = coalesce(samples)

    expected = vector["expect"]
    assert result == (None if expected is None else ParseDict(expected, AnalyticsStat()))


@given(samples)
def test_sums_are_preserved_modulo_the_width_of_the_field(samples: list[AnalyticsStat]) -> None:
    result = merged(samples).streams[0]

    parts = [stream for stat in samples for stream in stat.streams]
    sums = {name: sum(getattr(part, name) for part in parts) for name in WIDTHS}
    assert {name: getattr(result, name) for name in WIDTHS} == {
        name: number % 2 ** WIDTHS[name] for name, number in sums.items()
    }


@given(samples)
def test_only_the_highest_layer_is_told_and_all_of_it(samples: list[AnalyticsStat]) -> None:
    result = merged(samples).streams[0].video_layers

    parts = [part for stat in samples for one in stat.streams for part in one.video_layers]
    highest = max((part.layer for part in parts), default=None)
    assert [part.layer for part in result] == ([] if highest is None else [highest])
    for name, width in LAYER_WIDTHS.items():
        total = sum(getattr(part, name) for part in parts if part.layer == highest)
        assert all(getattr(part, name) == total % 2**width for part in result)


def test_the_highest_of_several_negative_layers_is_told() -> None:
    below = [AnalyticsVideoLayer(layer=number, packets=1) for number in (-3, -1, -2)]

    result = merged([AnalyticsStat(streams=[AnalyticsStream(video_layers=below)])])

    assert [layer.layer for layer in result.streams[0].video_layers] == [-1]


@given(st.lists(st.floats(0, width=32, allow_nan=False), min_size=1))
def test_the_median_lies_between_the_least_and_the_greatest_score(given: list[float]) -> None:
    result = merged([AnalyticsStat(score=score) for score in given])

    real = [score for score in given if score > 0]
    assert result.min_score == min(real, default=0.0)
    assert result.min_score <= result.median_score
    # two great float32 may add up to infinity before they are halved
    assert result.median_score <= max(real, default=0.0) or math.isinf(result.median_score)


@given(st.lists(scores, min_size=1))
def test_the_score_is_the_mean_but_for_rounding(given: list[float]) -> None:
    result = merged([AnalyticsStat(score=score) for score in given])

    assert result.score == pytest.approx(math.fsum(given) / len(given), rel=len(given) * 2**-23)


@given(samples, st.randoms(use_true_random=False))
def test_order_matters_to_the_mime_type_and_the_last_bit_of_the_score(
    samples: list[AnalyticsStat], random: Any
) -> None:
    shuffled = samples.copy()
    random.shuffle(shuffled)

    one, other = merged(samples), merged(shuffled)

    assert other.score == pytest.approx(one.score, rel=len(samples) * 2**-23)
    assert (one.mime, other.mime) == (samples[-1].mime, shuffled[-1].mime)
    for result in (one, other):
        result.ClearField("score")
        result.ClearField("mime")
    assert one == other


@given(samples, st.data())
def test_of_an_invalid_sample_only_the_mime_type_counts(
    samples: list[AnalyticsStat], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(samples)))
    with_invalid = [*samples[:place], invalid("audio/opus"), *samples[place:]]

    result = merged(with_invalid)

    expected = merged(samples)
    expected.mime = with_invalid[-1].mime
    assert result == expected


@pytest.mark.parametrize("width", WIDTHS.items())
def test_a_counter_is_valid_up_to_the_signed_maximum(width: tuple[str, int]) -> None:
    name, bits = width
    stat = AnalyticsStat(streams=[AnalyticsStream(), AnalyticsStream()])

    setattr(stat.streams[1], name, 2 ** (bits - 1) - 1)
    assert is_valid(stat)
    setattr(stat.streams[1], name, 2 ** (bits - 1))
    assert not is_valid(stat)


@given(st.lists(stats | st.just(invalid("")), max_size=8))
def test_samples_are_only_read(samples: list[AnalyticsStat]) -> None:
    before = [stat.SerializeToString(deterministic=True) for stat in samples]

    coalesce(samples)

    assert [stat.SerializeToString(deterministic=True) for stat in samples] == before


@given(samples)
def test_what_happens_to_a_sample_or_a_result_later_does_not_leak_in(
    samples: list[AnalyticsStat],
) -> None:
    expected = merged(samples)
    accumulator = TrackAccumulator()

    for stat in samples:
        accumulator.add(sample_of(stat))
        stat.Clear()
    accumulator.result().streams[0].Clear()

    assert accumulator.result() == expected


@given(st.lists(stats | st.just(invalid("video/VP8")), max_size=8), samples)
def test_an_accumulator_that_was_reset_is_like_a_new_one(
    before: list[AnalyticsStat], samples: list[AnalyticsStat]
) -> None:
    accumulator = TrackAccumulator()
    for stat in before:
        accumulator.add(sample_of(stat))
    accumulator.reset()
    assert accumulator.result() == TrackAccumulator().result()
    assert accumulator.statistics() == TrackAccumulator().statistics()

    for stat in samples:
        accumulator.add(sample_of(stat))

    assert accumulator.result() == merged(samples)


def torn_sample(good_streams: int) -> Sample:
    """Its last stream has a layer without numbers; one that was read cannot be so."""
    sample = sample_of(
        AnalyticsStat(
            score=3.0, mime="video/AV1", streams=[AnalyticsStream(frames=1)] * (good_streams + 1)
        )
    )
    *good, (numbers, start_ns, end_ns, _) = sample.streams
    torn = (numbers, start_ns, end_ns, ((1,),))
    return sample._replace(streams=(*good, torn))  # type: ignore[arg-type]  # it is torn


@pytest.mark.parametrize("good_streams", [0, 1, 2])
def test_a_sample_that_is_torn_changes_nothing(good_streams: int) -> None:
    accumulator = TrackAccumulator()
    accumulator.add(
        sample_of(AnalyticsStat(score=4.0, mime="video/VP8", streams=[AnalyticsStream()]))
    )
    result, statistics = accumulator.result(), accumulator.statistics()

    with pytest.raises(ValueError, match="unpack"):
        accumulator.add(torn_sample(good_streams))

    assert (accumulator.result(), accumulator.statistics()) == (result, statistics)


def test_a_time_of_zero_gives_way_even_to_one_before_it() -> None:
    zero, before = (Timestamp(seconds=GO_ZERO_SECONDS - earlier) for earlier in (0, 1))
    parts = [AnalyticsStream(start_time=time, end_time=time) for time in (zero, before)]

    result = merged([AnalyticsStat(streams=parts)]).streams[0]

    assert (result.start_time, result.end_time) == (before, before)


def test_nanoseconds_may_carry_the_seconds_over_their_edge() -> None:
    edge = Timestamp(seconds=2**63 - 1, nanos=2_000_000_000)

    result = merged([AnalyticsStat(streams=[AnalyticsStream(start_time=edge, end_time=edge)])])

    assert result.streams[0].end_time == Timestamp(seconds=-(2**63) + 1)


def test_an_accumulator_says_what_it_was_given() -> None:
    accumulator = TrackAccumulator()

    assert accumulator.add(sample_of(AnalyticsStat(score=4.0, mime="video/VP8")))
    assert accumulator.add(sample_of(AnalyticsStat(mime="video/VP8")))
    assert not accumulator.add(sample_of(invalid("video/VP9")))

    statistics = accumulator.statistics()
    assert (statistics.samples, statistics.skipped, statistics.scores) == (3, 1, 1)
    assert repr(accumulator) == "<TrackAccumulator: 3 samples, 1 skipped, mime 'video/VP9'>"


def grown_by(samples: int, stat: AnalyticsStat) -> int:
    """Bytes of one accumulator with so many samples."""
    tracemalloc.start()
    try:
        accumulator = TrackAccumulator()
        for _ in range(samples):
            accumulator.add(sample_of(stat))
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_samples_but_with_the_scores() -> None:
    stream = AnalyticsStream(primary_packets=500, primary_bytes=2**40, frames=150, jitter=9000)
    stat = AnalyticsStat(mime="video/VP8", streams=[stream])
    grown_by(1, stat)  # whatever is made on first use

    few, many = grown_by(10, stat), grown_by(10_000, stat)
    stat.score = 3.5
    with_scores = grown_by(10_000, stat)

    assert few < 1_000
    assert many - few < 200  # a longer int here and there
    assert with_scores - many < 5 * 10_000
