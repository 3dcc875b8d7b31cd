"""Unix nanoseconds and protobuf timestamps."""

from __future__ import annotations

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

NS_PER_SECOND: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
ZERO_TIME_NS: Final = -62_135_596_800 * NS_PER_SECOND  # Go's time.Time{}: 0001-01-01, in Unix ns


def timestamp(at_ns: int) -> Timestamp:
    """The protobuf form of a Unix time in ns."""
    seconds, nanos = divmod(at_ns, NS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def to_ns(seconds: float) -> int:
    """Seconds as whole ns."""
    return round(seconds * NS_PER_SECOND)
