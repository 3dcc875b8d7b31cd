"""What one sample says in six numbers, over all of its streams.

Source: livekit pkg/telemetry/statsworker.go, CondenseStat.
"""

from __future__ import annotations

from dataclasses import dataclass

from livekit.protocol.analytics import AnalyticsStat

from .coalesce import is_valid
from .times import NS_PER_SECOND, ZERO_TIME_NS
from .widths import UINT32, UINT64


@dataclass(frozen=True, slots=True)
class CondensedStat:
    """The sum of a sample's streams.

    Args:
        start_ns: The earliest start in Unix ns; 0001-01-01, Go's zero time, without any stream.
        end_ns: The latest end, likewise.
        bytes: Primary bytes, modulo 2**64.
        packets: Primary packets, modulo 2**32.
        packets_lost: Modulo 2**32.
        frames: Modulo 2**32.
    """

    start_ns: int
    end_ns: int
    bytes: int
    packets: int
    packets_lost: int
    frames: int


def condense(stat: AnalyticsStat) -> CondensedStat | None:
    """Add up the streams of `stat`, which is not modified; None if it is not valid.

    An absent Timestamp is 1970, as in Go. Kept quirk: a start of 0001-01-01 means "none yet",
    so the next one replaces it.
    """
    if not is_valid(stat):
        return None
    start_ns = end_ns = ZERO_TIME_NS
    octets = packets = packets_lost = frames = 0
    for stream in stat.streams:
        time = stream.start_time
        stream_start_ns = time.seconds * NS_PER_SECOND + time.nanos
        time = stream.end_time
        stream_end_ns = time.seconds * NS_PER_SECOND + time.nanos
        if start_ns == ZERO_TIME_NS or stream_start_ns < start_ns:
            start_ns = stream_start_ns
        if stream_end_ns > end_ns:
            end_ns = stream_end_ns
        octets += stream.primary_bytes
        packets += stream.primary_packets
        packets_lost += stream.packets_lost
        frames += stream.frames
    return CondensedStat(
        start_ns=start_ns,
        end_ns=end_ns,
        bytes=octets & UINT64,
        packets=packets & UINT32,
        packets_lost=packets_lost & UINT32,
        frames=frames & UINT32,
    )
