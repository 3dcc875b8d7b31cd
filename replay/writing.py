"""Calls as the lines of a recording: what `arguments` and `recording` read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

from google.protobuf.json_format import Error as JsonFormatError
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsStat

from ..core.times import NS_PER_SECOND
from ..messages.calls import CALLS, Call
from ..messages.ids import KEY_ENUMS, StatsKey
from .arguments import ENUMS
from .recording import LINE_BYTES_MAX

KEYS_KEPT: Final = 10_000  # tracks whose key is written out once
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_WORD_BEGINS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# the method of `TelemetryService` that makes the message: APICall, api_call
METHODS: Final[Mapping[type, str]] = {
    kind: _WORD_BEGINS.sub("_", kind.__name__).lower() for kind in CALLS
}


def call_line(call: Call, at_ns: int) -> str:
    """One line of a recording, with its line break.

    Args:
        call: Any call.
        at_ns: When it was made, since the recording began.

    Raises:
        ValueError: It has no form in JSON, such as a time after the year 9999, or one that is
            longer than a recording's lines may be.
    """
    at = at_ns / NS_PER_SECOND  # read back exactly for a hundred days
    line = {"at": at, "call": METHODS[type(call)], "args": to_json(call)}
    text = _encode(line) + "\n"  # ASCII: a character is a byte
    if len(text) > LINE_BYTES_MAX:
        raise ValueError(f"a line of {len(text)} bytes; {LINE_BYTES_MAX} can be read")
    return text


def to_json(call: Call) -> dict[str, object]:
    """A call's arguments as `arguments.to_arguments` takes them.

    Raises:
        ValueError: One has no form in JSON; the text names it.
    """
    return {field.name: _plain(getattr(call, field.name), field.name) for field in fields(call)}


def _plain(value: object, name: str) -> object:
    if isinstance(value, bytes):
        return _stat(value, name)
    if isinstance(value, Message):
        return _message(value, name)
    if isinstance(value, StatsKey):
        return _key(value)
    if isinstance(value, tuple):
        return [_plain(item, name) for item in value]
    return enum_name(ENUMS[name], value) if name in ENUMS else value


def _stat(wire: bytes, name: str) -> object:
    try:
        return _message(AnalyticsStat.FromString(wire), name)
    except ProtobufDecodeError as error:
        raise ValueError(f"{name}: no AnalyticsStat") from error


def _message(value: Message, name: str) -> object:
    try:
        return MessageToDict(value, preserving_proto_field_name=True)
    except (JsonFormatError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{name}: {error}") from error


@lru_cache(KEYS_KEPT)
def _key(key: StatsKey) -> dict[str, object]:
    named = {field.name: getattr(key, field.name) for field in fields(key)}
    return named | {name: enum_name(enum, named[name]) for name, enum in KEY_ENUMS.items()}


def enum_name(enum: Any, number: Any) -> str | int:
    """The name of an enum's value; its number where this version of LiveKit has no name."""
    try:
        return str(enum.Name(number))
    except ValueError:
        return int(number)
