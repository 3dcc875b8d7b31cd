"""Hypothesis strategies for everything that greenroom is told: messages, keys and protobufs.

Needs the `testing` extra. What they make is valid: whatever is drawn can be encoded, and told to
the actor that it is for. They follow the types' own declarations, so a new message or field is
covered without a word here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st
from livekit.protocol.analytics import AnalyticsStat, StreamType
from livekit.protocol.models import TrackSource, TrackType

from ..config import POLICIES
from ..messages.calls import CALLS, Call, TrackStats
from ..messages.codec import MESSAGE_TYPES
from ..messages.endpoints import Endpoint, Origin
from ..messages.ids import StatsKey
from ..messages.sample import Sample, sample_of

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MAX_DEPTH: Final = 2  # of messages in messages: LiveKit's nest deeper, to no one's profit here
MAX_FIELDS: Final = 5  # set at a time, of up to 70
MAX_ITEMS: Final = 3

INT32: Final = st.integers(-(2**31), 2**31 - 1)
INT64: Final = st.integers(-(2**63), 2**63 - 1)
UINT32: Final = st.integers(0, 2**32 - 1)
UINT64: Final = st.integers(0, 2**64 - 1)

_SCALARS: Final[Mapping[int, st.SearchStrategy[object]]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=12),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),  # NaN is not equal to itself
    FieldDescriptor.TYPE_FIXED32: UINT32,
    FieldDescriptor.TYPE_FIXED64: UINT64,
    FieldDescriptor.TYPE_FLOAT: st.floats(allow_nan=False, width=32),
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_INT64: INT64,
    FieldDescriptor.TYPE_SFIXED32: INT32,
    FieldDescriptor.TYPE_SFIXED64: INT64,
    FieldDescriptor.TYPE_SINT32: INT32,
    FieldDescriptor.TYPE_SINT64: INT64,
    FieldDescriptor.TYPE_STRING: st.text(max_size=12),
    FieldDescriptor.TYPE_UINT32: UINT32,
    FieldDescriptor.TYPE_UINT64: UINT64,
}


def messages(kind: type[T]) -> st.SearchStrategy[T]:
    """Any message of one type of `greenroom.messages`."""
    return _records(kind)


def any_message() -> st.SearchStrategy[object]:
    """Any message of any type."""
    return st.sampled_from(MESSAGE_TYPES).flatmap(messages)


def calls() -> st.SearchStrategy[Call]:
    """Any call of a host."""
    return st.sampled_from(CALLS).flatmap(messages)


def stats_keys() -> st.SearchStrategy[StatsKey]:
    """Any key, its enums by the numbers that LiveKit knows."""
    return st.builds(
        StatsKey,
        country=st.sampled_from(["", "DE", "BR"]),
        stream_type=st.sampled_from(StreamType.values()),
        participant_id=st.text(max_size=12),
        track_id=st.text(max_size=12),
        track_source=st.sampled_from(TrackSource.values()),
        track_type=st.sampled_from(TrackType.values()),
        track=st.booleans(),
    )


def endpoints() -> st.SearchStrategy[Endpoint]:
    """Any endpoint, valid whether its URL and keys are or not."""
    texts = st.lists(st.text(max_size=12), max_size=MAX_ITEMS)
    policy = st.builds(
        replace,
        st.sampled_from([*POLICIES.values()]),
        max_attempts=st.integers(1, 99),
        retry_client_errors=st.frozensets(st.integers(400, 499), max_size=MAX_ITEMS),
    )
    return st.builds(
        Endpoint,
        url=st.text(max_size=12),
        keys=texts,
        secrets=st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=MAX_ITEMS),
        include_events=texts,
        exclude_events=texts,
        rooms=texts,
        policy=st.sampled_from(list(POLICIES)) | policy,
        rate_per_second=st.none() | st.floats(0.001, 1e6),
        allow_private=st.booleans(),
        is_enabled=st.booleans(),
        id=st.text(max_size=12),
        origin=st.sampled_from(Origin),
    )


def protobufs(kind: type[M], max_depth: int = MAX_DEPTH) -> st.SearchStrategy[M]:
    """Any message of a protobuf type, a few of its fields set.

    Args:
        kind: The class.
        max_depth: How deep messages may nest in it.
    """
    descriptor = cast("Descriptor", kind.DESCRIPTOR)  # the C implementation's has the same form
    subsets = _field_subsets(list(descriptor.fields))

    @st.composite
    def build(draw: st.DrawFn) -> M:
        made = kind()
        for field in draw(subsets):
            _set(draw, made, field, max_depth)
        return made

    return build()


def _field_subsets(every: list[FieldDescriptor]) -> st.SearchStrategy[list[FieldDescriptor]]:
    if not every:
        return st.just([])
    return st.lists(st.sampled_from(every), unique=True, max_size=MAX_FIELDS)


def _set(draw: st.DrawFn, made: Message, field: FieldDescriptor, depth: int) -> None:
    kind = field.message_type
    if kind is not None and depth == 0:
        return
    if kind is not None and kind.GetOptions().map_entry:
        _fill_map(draw, getattr(made, field.name), kind, depth)
    elif field.is_repeated:
        items = draw(st.lists(_values(field, depth), max_size=MAX_ITEMS))
        getattr(made, field.name).extend(items)
    elif kind is not None:
        getattr(made, field.name).CopyFrom(draw(_values(field, depth)))
    else:
        setattr(made, field.name, draw(_values(field, depth)))


def _fill_map(draw: st.DrawFn, target: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    pairs = st.dictionaries(_values(key, depth), _values(value, depth), max_size=MAX_ITEMS)
    for name, item in draw(pairs).items():
        if value.message_type is None:
            target[name] = item
        else:
            target[name].CopyFrom(item)


def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return protobufs(GetMessageClass(field.message_type), depth - 1)
    if field.enum_type is not None:
        return _enum_numbers(field.enum_type)
    return _SCALARS[field.type]


def _enum_numbers(enum: EnumDescriptor) -> st.SearchStrategy[int]:
    """Mostly known ones; a newer peer may send others."""
    return st.sampled_from([value.number for value in enum.values]) | INT32


def _records(kind: type[T]) -> st.SearchStrategy[T]:
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)] if is_dataclass(kind) else list(hints)
    return st.builds(kind, **{name: _field(kind, name, hints[name]) for name in names})


def _field(owner: type, name: str, hint: object) -> st.SearchStrategy[Any]:
    if owner is TrackStats and name == "stat":
        return protobufs(AnalyticsStat).map(AnalyticsStat.SerializeToString)
    if (
        name in ("layer", "max_quality", "reason", "stream_type") and hint is not str
    ):  # enums and the like, by number
        return INT32
    return _typed(hint)


def _typed(hint: Any) -> st.SearchStrategy[Any]:
    hint = getattr(hint, "__supertype__", hint)
    if hint is Sample:
        return protobufs(AnalyticsStat).map(sample_of)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if get_origin(hint) in (Union, UnionType):
        return st.sampled_from(get_args(hint)).flatmap(_typed)
    if get_origin(hint) is tuple:
        return st.lists(_typed(get_args(hint)[0]), max_size=MAX_ITEMS).map(tuple)
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    if issubclass(hint, Message):
        return protobufs(hint)
    made = _MADE.get(hint)
    return _records(hint) if made is None else made()


_MADE: Final[Mapping[type, Callable[[], st.SearchStrategy[object]]]] = {
    Endpoint: endpoints,
    StatsKey: stats_keys,
}
_PLAIN: Final[Mapping[Callable[..., object], st.SearchStrategy[object]]] = {
    NoneType: st.none(),
    bool: st.booleans(),
    bytes: st.binary(max_size=64),
    int: INT64,
    str: st.text(max_size=12),
}
