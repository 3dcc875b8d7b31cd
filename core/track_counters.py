"""What the statistics of tracks add up to: the hot path of the metrics.

One thread adds, any thread may read: each number changes in one step, numbers only ever grow, and
a histogram keeps no count beside its buckets that could disagree with them. A reader in the midst
of an addition may miss its later half and sees that half the next time.

Source: livekit pkg/telemetry/stats.go, TrackStats; pkg/telemetry/prometheus/packets.go.
"""

from __future__ import annotations

from bisect import bisect_left

from ..messages.sample import Sample
from . import metric_specs as specs
from .families import Distribution
from .widths import UINT32, UINT64


class Histogram:
    """Counts values by bucket; an edge belongs to the bucket below it."""

    __slots__ = ("buckets", "edges", "sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.buckets = [0] * (len(edges) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count `value` in the first bucket whose edge is not below it."""
        self.buckets[bisect_left(self.edges, value)] += 1
        self.sum += value

    def distribution(self) -> Distribution:
        """Where it stands; from any thread."""
        total = self.sum  # before the buckets: so it never has a value that they do not have
        return Distribution(tuple(self.buckets), total)


class PacketCounters:
    """Packets, bytes and feedback of one direction and country."""

    __slots__ = (
        "firs",
        "initial_bytes",
        "initial_packets",
        "nacks",
        "plis",
        "retransmit_bytes",
        "retransmit_packets",
    )

    def __init__(self) -> None:
        self.initial_packets = 0
        self.initial_bytes = 0
        self.retransmit_packets = 0
        self.retransmit_bytes = 0
        self.nacks = 0
        self.plis = 0
        self.firs = 0


class StreamCounters:
    """Quality of the media streams of one direction, country, source and type."""

    __slots__ = (
        "jitter_us",
        "lost",
        "lost_percent",
        "out_of_order",
        "out_of_order_percent",
        "rtt_ms",
    )

    def __init__(self) -> None:
        self.lost = 0
        self.out_of_order = 0
        self.lost_percent = Histogram(specs.PERCENT_EDGES)
        self.out_of_order_percent = Histogram(specs.PERCENT_EDGES)
        self.rtt_ms = Histogram(specs.RTT_MS_EDGES)
        self.jitter_us = Histogram(specs.JITTER_US_EDGES)


class TrackCounters:
    """Everything that statistics with the same labels are added to.

    Args:
        downstream: Retransmitted packets count apart; upstream they count as initial ones.
        packets: May be shared with other labels.
        streams: None for data channels, which have no loss, jitter or round-trip time.
    """

    __slots__ = ("_downstream", "_packets", "_streams")

    def __init__(
        self, *, downstream: bool, packets: PacketCounters, streams: StreamCounters | None
    ) -> None:
        self._downstream = downstream
        self._packets = packets
        self._streams = streams

    def add(self, sample: Sample) -> None:
        """Count one report of a track, all of its streams."""
        packets = octets = again_packets = again_octets = nacks = plis = firs = 0
        quality = self._streams
        for numbers, _, _, _ in sample.streams:
            (
                primary_packets,
                primary_bytes,
                retransmit_packets,
                retransmit_bytes,
                padding_packets,
                padding_bytes,
                lost,
                late,
                _,
                stream_nacks,
                stream_plis,
                stream_firs,
                rtt,
                jitter,
            ) = numbers
            first = primary_packets + padding_packets
            packets += first
            octets += primary_bytes + padding_bytes
            again_packets += retransmit_packets
            again_octets += retransmit_bytes
            nacks += stream_nacks
            plis += stream_plis
            firs += stream_firs
            if quality is None:
                continue
            first &= UINT32
            if lost:
                quality.lost += lost
                if first:
                    quality.lost_percent.observe(lost / first * 100)
            elif first:
                quality.lost_percent.buckets[0] += 1  # 0 percent adds nothing to the sum
            if late:
                quality.out_of_order += late
                if first:
                    quality.out_of_order_percent.observe(late / first * 100)
            elif first:
                quality.out_of_order_percent.buckets[0] += 1
            if rtt:
                quality.rtt_ms.observe(rtt)
            if jitter:
                quality.jitter_us.observe(jitter)
        counters = self._packets
        if self._downstream:
            if again_packets:
                counters.retransmit_packets += again_packets & UINT32
            if again_octets:
                counters.retransmit_bytes += again_octets & UINT64
        else:
            packets += again_packets
            octets += again_octets
        counters.initial_packets += packets & UINT32
        counters.initial_bytes += octets & UINT64
        if nacks:
            counters.nacks += nacks & UINT32
        if plis:
            counters.plis += plis & UINT32
        if firs:
            counters.firs += firs & UINT32
