"""The numbers of a `Metrics` as bytes, and back: what they are goes on after a crash."""

from __future__ import annotations

from typing import Any, Final

import msgpack

from .metrics import Metrics
from .track_counters import Histogram

_VERSION: Final = 1
_WIDE: Final = 1  # the code of a number beyond 64 bits


def pack(metrics: Metrics) -> bytes:
    """All that inputs add up to, but for the numbers of each endpoint; on the dispatch thread."""
    packets, streams = metrics.counters()
    state = [
        _VERSION,
        [
            [name, [[*labels, value] for labels, value in tally.values().items()]]
            for name, tally in metrics.tallies().items()
        ],
        [
            [list(labels), [getattr(counter, slot) for slot in counter.__slots__]]
            for labels, counter in packets.items()
        ],
        [
            [list(labels), [_plain(getattr(counter, slot)) for slot in counter.__slots__]]
            for labels, counter in streams.items()
        ],
        metrics.subscribe_cancels,
        _plain(metrics.queue_length),
    ]
    packed: bytes = msgpack.packb(state, default=_wide, unicode_errors="surrogatepass")
    return packed


def restore(metrics: Metrics, packed: bytes) -> None:
    """Set the numbers to those that were packed; before anything is counted.

    Raises:
        ValueError: These are other bytes.
    """
    try:
        state = msgpack.unpackb(packed, ext_hook=_number, unicode_errors="surrogatepass")
        _restore(metrics, *state)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise ValueError(f"these are no metrics: {type(error).__name__}: {error}") from error


def _restore(
    metrics: Metrics,
    version: int,
    tallies: Any,
    packets: Any,
    streams: Any,
    cancels: int,
    queue_length: Any,
) -> None:
    if version != _VERSION:
        raise ValueError(f"their version is {version}, expected {_VERSION}")
    known = metrics.tallies()
    for name, values in tallies:
        for *labels, value in values:
            known[name].set(*labels, value=value)
    for labels, values in packets:
        packet_counters = metrics.packet_counters(tuple(labels))
        for slot, value in zip(packet_counters.__slots__, values, strict=True):
            setattr(packet_counters, slot, value)
    for labels, values in streams:
        stream_counters = metrics.stream_counters(tuple(labels))
        for slot, value in zip(stream_counters.__slots__, values, strict=True):
            _set(stream_counters, slot, value)
    metrics.subscribe_cancels = cancels
    _set(metrics, "queue_length", queue_length)


def _wide(number: int) -> msgpack.ExtType:
    """A sum of numbers of 64 bits may have more."""
    return msgpack.ExtType(_WIDE, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _number(code: int, data: bytes) -> int:
    if code != _WIDE:
        raise ValueError(f"an extension {code}")
    return int.from_bytes(data, "big")


def _plain(value: Any) -> object:
    return [value.buckets, value.sum] if isinstance(value, Histogram) else value


def _set(owner: Any, name: str, value: Any) -> None:
    if isinstance(value, list):
        histogram = getattr(owner, name)
        histogram.buckets[:], histogram.sum = value
    else:
        setattr(owner, name, value)
