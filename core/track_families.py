"""From the counters of tracks to metric families: which number is which series, and if it is one.

Source: livekit pkg/telemetry/prometheus/packets.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import metric_specs as specs
from .families import Distribution, Family, FamilySpec, LabelValues
from .track_counters import Histogram, PacketCounters, StreamCounters
from .widths import UINT64


def packet_families(counters: Mapping[LabelValues, PacketCounters]) -> Iterator[Family]:
    """Families of packets, bytes and feedback; the mapping's keys are (country, direction).

    Initial packets and bytes are series as soon as there is a counter, the others when not 0.
    """
    packets: dict[LabelValues, float] = {}
    octets: dict[LabelValues, float] = {}
    for labels, counter in counters.items():
        packets[*labels, "initial"] = _double(counter.initial_packets)
        octets[*labels, "initial"] = _double(counter.initial_bytes)
        if counter.retransmit_packets:
            packets[*labels, "retransmit"] = _double(counter.retransmit_packets)
        if counter.retransmit_bytes:
            octets[*labels, "retransmit"] = _double(counter.retransmit_bytes)
    yield specs.PACKET_TOTAL.family(packets)
    yield specs.PACKET_BYTES.family(octets)
    yield _touched(specs.NACK_TOTAL, {labels: c.nacks for labels, c in counters.items()})
    yield _touched(specs.PLI_TOTAL, {labels: c.plis for labels, c in counters.items()})
    yield _touched(specs.FIR_TOTAL, {labels: c.firs for labels, c in counters.items()})


def stream_families(counters: Mapping[LabelValues, StreamCounters]) -> Iterator[Family]:
    """Families of quality; the mapping's keys are (country, direction, source, type)."""
    items = counters.items()
    yield _touched(specs.PACKET_LOSS_TOTAL, {labels: c.lost for labels, c in items})
    yield _touched(
        specs.PACKET_OUT_OF_ORDER_TOTAL, {labels: c.out_of_order for labels, c in items}
    )
    yield _observed(specs.PACKET_LOSS_PERCENT, {labels: c.lost_percent for labels, c in items})
    yield _observed(
        specs.PACKET_OUT_OF_ORDER_PERCENT,
        {labels: c.out_of_order_percent for labels, c in items},
    )
    yield _observed(specs.RTT_MS, {labels: c.rtt_ms for labels, c in items})
    yield _observed(specs.JITTER_US, {labels: c.jitter_us for labels, c in items})


def _touched(spec: FamilySpec, numbers: Mapping[LabelValues, int]) -> Family:
    return spec.family({labels: _double(number) for labels, number in numbers.items() if number})


def _observed(spec: FamilySpec, histograms: Mapping[LabelValues, Histogram]) -> Family:
    standing: dict[LabelValues, Distribution] = {}
    for labels, histogram in histograms.items():
        distribution = histogram.distribution()
        if any(distribution.buckets):
            standing[labels] = distribution
    return spec.family(standing)


def _double(number: int) -> float:
    # client_golang keeps a counter's whole part as uint64 and rounds it when it is read
    return float(number & UINT64)
