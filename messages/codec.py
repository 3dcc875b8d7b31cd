"""Messages to bytes and back: msgpack arrays, protobuf bodies as bytes, nothing executable.

    [version, tag, field, field, …]        tag = the message's class name

A field that is a message, a key or a tuple is an array in turn; where several types are possible
the array begins with the tag. Decoding checks every type, so bytes from anywhere give either a
message or `DecodeError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message

from ..errors import DecodeError, UnknownMessageError
from . import calls, checkpoint, control, deliveries, endpoints, handoff, outputs, stats
from .sample import Sample, parse_sample

VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024 * 1024  # far above the largest event; bounds what is parsed at all

T = TypeVar("T")


class _Coder(NamedTuple):
    """How one type travels: to what msgpack knows, and back with every check."""

    to_wire: Callable[[Any], Any]
    from_wire: Callable[[Any], Any]


def encode(message: object) -> bytes:
    """The wire form of any message of `greenroom.messages`.

    Raises:
        UnknownMessageError: It is not one of them.
        ValueError: A field holds what its type does not allow (an int beyond 64 bits).
    """
    coder = _CODERS.get(type(message).__name__)
    if coder is None or type(message) is not _TAGS[type(message).__name__]:
        raise UnknownMessageError(f"{type(message).__name__} is no message of greenroom")
    try:
        packed = msgpack.packb([VERSION, type(message).__name__, *coder.to_wire(message)])
    except (OverflowError, TypeError) as error:
        raise ValueError(f"{type(message).__name__}: {error}") from error
    return bytes(packed)


def decode(data: bytes, *, is_own: bool = False) -> object:
    """The message whose wire form `data` is.

    Args:
        data: The wire form.
        is_own: This greenroom wrote it, however long it is.

    Raises:
        DecodeError: `data` is anything else.
    """
    if len(data) > MAX_BYTES and not is_own:
        raise DecodeError(f"longer than {MAX_BYTES} bytes", length=len(data))
    tag = None
    try:
        frame = msgpack.unpackb(data, use_list=True, max_map_len=0, max_ext_len=0)
        version, tag, *wire = _checked(frame, list)
        if _checked(version, int) != VERSION:
            raise DecodeError(f"version {version}, expected {VERSION}", length=len(data))
        coder = _CODERS.get(_checked(tag, str))
        if coder is None:
            raise DecodeError("unknown tag", length=len(data))
        return coder.from_wire(wire)
    except DecodeError:
        raise
    except (
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        ProtobufDecodeError,
        msgpack.UnpackException,
    ) as error:
        tag = tag if isinstance(tag, str) else None
        raise DecodeError(
            f"malformed: {type(error).__name__}", tag=tag, length=len(data)
        ) from error


def _checked(value: object, kind: type[T]) -> T:
    if type(value) is not kind:  # bool is an int to isinstance, but not here
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _same(value: object) -> object:
    return value


def _coder_of(hint: Any) -> _Coder:  # type hints have no common type
    """The coder of a field's type, built once at import."""
    hint = getattr(hint, "__supertype__", hint)
    if get_origin(hint) in (Union, UnionType):
        return _union_coder(get_args(hint))
    if get_origin(hint) is tuple:
        return _sequence_coder(_coder_of(get_args(hint)[0]))
    if hint in (str, int, bool, bytes):
        return _Coder(_same, lambda wire: _checked(wire, hint))
    if issubclass(hint, StrEnum):
        return _Coder(str, lambda wire: hint(_checked(wire, str)))
    if hint is endpoints.Endpoint:
        return _Coder(endpoints.to_text, lambda wire: endpoints.from_text(_checked(wire, str)))
    if hint is Sample:
        return _Coder(lambda value: value.data, lambda wire: parse_sample(_checked(wire, bytes)))
    if issubclass(hint, Message):
        return _Coder(
            lambda value: value.SerializeToString(),
            lambda wire: hint.FromString(_checked(wire, bytes)),
        )
    return _record_coder(hint)


def _union_coder(options: tuple[Any, ...]) -> _Coder:
    named = [option for option in options if option is not NoneType]
    if len(named) == 1:
        inner = _coder_of(named[0])
        return _Coder(
            lambda value: None if value is None else inner.to_wire(value),
            lambda wire: None if wire is None else inner.from_wire(wire),
        )
    coders = {option.__name__: _coder_of(option) for option in named}

    def to_wire(value: object) -> list[object]:
        name = type(value).__name__
        return [name, *coders[name].to_wire(value)]

    def from_wire(wire: object) -> object:
        name, *rest = _checked(wire, list)
        if _checked(name, str) not in coders:
            raise ValueError("unknown tag inside")
        return coders[name].from_wire(rest)

    return _Coder(to_wire, from_wire)


def _sequence_coder(inner: _Coder) -> _Coder:
    return _Coder(
        lambda values: [inner.to_wire(value) for value in values],
        lambda wire: tuple(inner.from_wire(item) for item in _checked(wire, list)),
    )


def _record_coder(record: Any) -> _Coder:  # a dataclass or a NamedTuple
    hints = get_type_hints(record)
    names = [f.name for f in fields(record)] if is_dataclass(record) else record._fields
    coders = [(name, _coder_of(hints[name])) for name in names]

    def to_wire(value: object) -> list[object]:
        return [coder.to_wire(getattr(value, name)) for name, coder in coders]

    def from_wire(wire: object) -> object:
        items = _checked(wire, list)
        if len(items) != len(coders):
            raise ValueError(f"{len(items)} fields, expected {len(coders)}")
        pairs = zip(coders, items, strict=True)
        return record(*(coder.from_wire(item) for (_, coder), item in pairs))

    return _Coder(to_wire, from_wire)


_MESSAGES: Final = (
    *calls.CALLS,
    calls.TrackStatsBatch,
    *(stats.WorkerSpec, stats.TrackStat, stats.Close, stats.Flush, stats.Retire),
    *(stats.SampleReplayed, stats.SampleSkipped, stats.WorkerClosed),
    *(stats.FlushTick, stats.TickTaken, stats.FlushSlice, stats.SaveSlice),
    *(outputs.RecordStats, outputs.RecordEvent, outputs.RecordNodeRooms, outputs.Notify),
    *(outputs.AttemptEnded, outputs.RetryDue, outputs.LaneDue, outputs.SweepDue),
    *(deliveries.KeptDelivery, deliveries.StoredDelivery, deliveries.EndedDelivery),
    *(deliveries.Kept, deliveries.NotKept, deliveries.Loaded, deliveries.KeysLoaded),
    *(deliveries.Buried, deliveries.Requeued, endpoints.EndpointChanged),
    *(endpoints.EndpointRemoved, endpoints.StopSending),
    *(
        control.Started,
        control.Stamped,
        control.AskWorkers,
        control.WorkerStatus,
        control.Workers,
    ),
    *(checkpoint.WorkerRecord, checkpoint.Checkpoint),
    *(handoff.WorkerFacts, handoff.ReleaseRooms, handoff.AskReleased),
    *(handoff.Released, handoff.AdoptWorkers),
    *(control.ChildFailed, control.Restart, control.RestartDue, control.Drain, control.DeadLetter),
)
_TAGS: Final[dict[str, type]] = {kind.__name__: kind for kind in _MESSAGES}
_CODERS: Final[dict[str, _Coder]] = {tag: _record_coder(kind) for tag, kind in _TAGS.items()}
MESSAGE_TYPES: Final[tuple[type, ...]] = tuple(_TAGS.values())
