"""Unix nanoseconds and protobuf timestamps."""

from __future__ import annotations

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

NS_PER_SECOND: Final = 1_000_000_000


def timestamp(at_ns: int) -> Timestamp:
    """The protobuf form of a Unix time in ns."""
    seconds, nanos = divmod(at_ns, NS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def to_ns(seconds: float) -> int:
    """Seconds as whole ns."""
    return round(seconds * NS_PER_SECOND)
