"""Messages as plain values, for people and for JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsStat

from ..messages.calls import TrackStats
from ..messages.sample import Sample


def plain(value: object) -> object:
    """`value` as JSON knows it: messages and keys by their fields' names, bytes in hex."""
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Sample):
        return _stat(value.data)
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return named | {"stat": _stat(value.stat)} if isinstance(value, TrackStats) else named
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        items = [plain(item) for item in value]
        return items if names is None else dict(zip(names, items, strict=True))
    return value


def _stat(wire: bytes) -> object:
    """A statistic that travels in its wire form; that this is broken may be why it is here."""
    try:
        return plain(AnalyticsStat.FromString(wire))
    except ProtobufDecodeError:
        return plain(wire)
