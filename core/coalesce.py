"""Many samples of one track become one, with Go's arithmetic.

Knows no clock, no track and no worker. Source: livekit pkg/telemetry/statsworker.go (coalesce,
isValid) and pkg/utils/math.go (MedianFloat32).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import le
from struct import Struct
from sys import intern
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import AnalyticsStat

from ..messages.sample import EPOCH_S, NUMBERS, Sample, Stream, sample_of
from .times import NS_PER_SECOND, ZERO_TIME_NS
from .widths import INT32_MAX, INT64_MAX, UINT32, UINT64

_NO_LAYER: Final = -(2**31) - 1  # below every int32
_NO_START: Final = 2**100  # later than every Timestamp, so that any start replaces it …
_NO_END: Final = -(2**100)  # … and earlier, for the end
_EPOCH_NS: Final = EPOCH_S * NS_PER_SECOND
_ZERO_TIME_NS: Final = ZERO_TIME_NS - _EPOCH_NS
# The most that a valid sample may have of each of its numbers; rtt and jitter are not looked at.
_MOST: Final = tuple(
    UINT32 if name in ("rtt", "jitter") else INT64_MAX if name.endswith("_bytes") else INT32_MAX
    for name in NUMBERS
)
_FLOAT: Final = Struct("f")
# Bytes of scores from which on they are kept in an array: bytes are copied at each addition.
_MANY_SCORES: Final = 64 * _FLOAT.size


def coalesce(stats: Sequence[AnalyticsStat]) -> AnalyticsStat | None:
    """Merge one track's samples of one flush window into a single sample.

    Args:
        stats: Samples in arrival order, not modified. Packet and byte fields are counts since
            the previous sample; rtt in ms, jitter in µs, score in MOS points with 0 meaning
            "no score".

    Returns:
        What `TrackAccumulator.result` tells of them, or None if there are none.
    """
    if not stats:
        return None
    accumulator = TrackAccumulator()
    for stat in stats:
        accumulator.add(sample_of(stat))
    return accumulator.result()


def is_valid(stat: AnalyticsStat) -> bool:
    """Whether every counter of `stat` is in the signed range of its width.

    One beyond it is a difference that was negative. Not looked at: ssrc, rtt, jitter, number of
    the layer, times and score. Source: statsworker.go, isValid.
    """
    return all(map(_is_valid_stream, sample_of(stat).streams))


@dataclass(frozen=True, slots=True)
class TrackStatistics:
    """What a `TrackAccumulator` was given.

    Args:
        samples: How many, the skipped ones included.
        skipped: How many were not valid.
        scores: How many scores are held for the median.
    """

    samples: int
    skipped: int
    scores: int


class TrackAccumulator:
    """The samples of one track, merged as they come.

    Holds no sample, only sums and extremes, and 4 bytes a score (a median needs them all): in
    all about 0.6 KB after ten samples. `samples` says how many; read it only.

    Kept quirks: sums wrap at the field's width; scores add up in float32; a sample that is not
    valid is skipped, yet the MIME type is that of the last sample, valid or not; a time of zero
    (year 1) means "none yet", an absent Timestamp is 1970.
    Decided here: of several layers below 0 the highest stays; the original takes any.
    """

    __slots__ = (
        "_end_ns",
        "_firs",
        "_frames",
        "_jitter",
        "_layer",
        "_layer_bytes",
        "_layer_frames",
        "_layer_packets",
        "_mime",
        "_nacks",
        "_packets_lost",
        "_packets_out_of_order",
        "_padding_bytes",
        "_padding_packets",
        "_plis",
        "_primary_bytes",
        "_primary_packets",
        "_retransmit_bytes",
        "_retransmit_packets",
        "_rtt",
        "_scores",
        "_skipped",
        "_start_ns",
        "samples",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every sample: it is like a new one."""
        # sums grow without bound, result() cuts them to the field's width
        self._primary_packets = self._primary_bytes = 0
        self._retransmit_packets = self._retransmit_bytes = 0
        self._padding_packets = self._padding_bytes = 0
        self._packets_lost = self._packets_out_of_order = 0
        self._frames = self._nacks = self._plis = self._firs = 0
        self._rtt = self._jitter = 0
        self._start_ns = _NO_START
        self._end_ns = _NO_END
        self._layer = _NO_LAYER  # the highest so far: only it will be told
        self._layer_packets = self._layer_bytes = self._layer_frames = 0
        self._scores: bytes | array[float] = b""  # float32 each; few take half as much in bytes
        self._mime = ""
        self.samples = 0
        self._skipped = 0

    def __repr__(self) -> str:
        return (
            f"<TrackAccumulator: {self.samples} samples, {self._skipped} skipped, "
            f"mime {self._mime!r}>"
        )

    def statistics(self) -> TrackStatistics:
        """What it was given so far."""
        scores = array("f", self._scores)
        return TrackStatistics(self.samples, self._skipped, len(scores))

    def add(self, sample: Sample) -> bool:
        """Merge one sample: all of it, or nothing on an error.

        Returns:
            False if it is not valid: then only its MIME type counts.
        """
        _, mime, score, streams = sample
        # tracks share a few types: one text for all of them
        mime = self._mime if mime == self._mime else intern(mime)
        if len(streams) == 1:
            valid = self._add_stream(streams[0])
        elif valid := all(map(_is_valid_stream, streams)):
            for stream in streams:
                self._add_stream(stream)
        if not valid:
            self._skipped += 1
        elif score > 0:  # neither for 0, "no score", nor for NaN
            scores = self._scores
            if isinstance(scores, bytes):
                scores += _FLOAT.pack(score)
                self._scores = scores if len(scores) < _MANY_SCORES else array("f", scores)
            else:
                scores.append(score)
        self._mime = mime
        self.samples += 1
        return valid

    def result(self) -> AnalyticsStat:
        """A new sample with one stream, and with the highest layer if there was any.

        Set are the scores (the mean as `score`, the least, the median), `mime` and `streams`.
        """
        stat = AnalyticsStat()
        stat.mime = self._mime
        if self._scores:
            _set_scores(stat, array("f", self._scores))
        stream = stat.streams.add()
        stream.primary_packets = self._primary_packets & UINT32
        stream.primary_bytes = self._primary_bytes & UINT64
        stream.retransmit_packets = self._retransmit_packets & UINT32
        stream.retransmit_bytes = self._retransmit_bytes & UINT64
        stream.padding_packets = self._padding_packets & UINT32
        stream.padding_bytes = self._padding_bytes & UINT64
        stream.packets_lost = self._packets_lost & UINT32
        stream.packets_out_of_order = self._packets_out_of_order & UINT32
        stream.frames = self._frames & UINT32
        stream.nacks = self._nacks & UINT32
        stream.plis = self._plis & UINT32
        stream.firs = self._firs & UINT32
        stream.rtt = self._rtt
        stream.jitter = self._jitter
        start_ns, end_ns = self._start_ns, self._end_ns
        _set_time(stream.start_time, _ZERO_TIME_NS if start_ns == _NO_START else start_ns)
        _set_time(stream.end_time, _ZERO_TIME_NS if end_ns == _NO_END else end_ns)
        if self._layer != _NO_LAYER:
            layer = stream.video_layers.add()
            layer.layer = self._layer
            layer.packets = self._layer_packets & UINT32
            layer.bytes = self._layer_bytes & UINT64
            layer.frames = self._layer_frames & UINT32
        return stat

    def _add_stream(self, stream: Stream) -> bool:
        """Merge a stream unless it is not valid. All is looked at before anything changes."""
        numbers, start_ns, end_ns, layers = stream
        everything = sum(numbers)
        highest = self._layer
        highest_packets = self._layer_packets
        highest_bytes = self._layer_bytes
        highest_frames = self._layer_frames
        for layer, layer_packets, layer_bytes, layer_frames in layers:
            everything += layer_packets + layer_bytes + layer_frames
            if layer == highest:
                highest_packets += layer_packets
                highest_bytes += layer_bytes
                highest_frames += layer_frames
            elif layer > highest:
                highest = layer
                highest_packets = layer_packets
                highest_bytes = layer_bytes
                highest_frames = layer_frames
        # nothing is below 0: if all numbers together are in range, so is each of them
        if everything > INT32_MAX and not _is_valid_stream(stream):
            return False

        (
            primary_packets,
            primary_bytes,
            retransmit_packets,
            retransmit_bytes,
            padding_packets,
            padding_bytes,
            packets_lost,
            packets_out_of_order,
            frames,
            nacks,
            plis,
            firs,
            rtt,
            jitter,
        ) = numbers
        self._primary_packets += primary_packets
        self._primary_bytes += primary_bytes
        self._retransmit_packets += retransmit_packets
        self._retransmit_bytes += retransmit_bytes
        self._padding_packets += padding_packets
        self._padding_bytes += padding_bytes
        self._packets_lost += packets_lost
        self._packets_out_of_order += packets_out_of_order
        self._frames += frames
        self._nacks += nacks
        self._plis += plis
        self._firs += firs
        if rtt > self._rtt:
            self._rtt = rtt
        if jitter > self._jitter:
            self._jitter = jitter
        if start_ns < self._start_ns:
            self._start_ns = _NO_START if start_ns == _ZERO_TIME_NS else start_ns
        if end_ns > self._end_ns:
            self._end_ns = _NO_END if end_ns == _ZERO_TIME_NS else end_ns
        self._layer = highest
        # a stream with one layer: two equal numbers become one object
        total = self._primary_packets
        self._layer_packets = total if highest_packets == total else highest_packets
        total = self._primary_bytes
        self._layer_bytes = total if highest_bytes == total else highest_bytes
        self._layer_frames = highest_frames
        return True


def _is_valid_stream(stream: Stream) -> bool:
    numbers, _, _, layers = stream
    return all(map(le, numbers, _MOST)) and all(
        packets <= INT32_MAX and octets <= INT64_MAX and frames <= INT32_MAX
        for _, packets, octets, frames in layers
    )


def _set_scores(stat: AnalyticsStat, scores: array[float]) -> None:
    """Set mean, least and median. What is put into an array of "f" is rounded to float32."""
    number = array("f", (0.0,))
    for score in scores:
        number[0] += score
    ranked = sorted(scores)
    count = len(ranked)
    middle = count // 2
    number[0] /= count
    stat.score = number[0]
    stat.min_score = ranked[0]
    if count % 2:
        stat.median_score = ranked[middle]
    else:
        number[0] = ranked[middle - 1] + ranked[middle]
        number[0] /= 2
        stat.median_score = number[0]


def _set_time(timestamp: Timestamp, at_ns: int) -> None:
    """Set a time that is held as ns since 2020."""
    seconds, nanos = divmod(at_ns + _EPOCH_NS, NS_PER_SECOND)
    if not -(2**63) <= seconds < 2**63:  # nanos beyond a second carried over: wraps, as in Go
        seconds = (seconds + 2**63) % 2**64 - 2**63
    timestamp.seconds = seconds
    timestamp.nanos = nanos
