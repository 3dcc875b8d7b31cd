"""What is in a batch: calls, each as two values of one flat msgpack array.

    head: bytes, stat: bytes          a `TrackStats`: its ids and key packed, and its statistic
    route: str,  call: bytes          any other call, as `messages.codec` writes it

`head` is the array [room_id, room_name, country, stream_type, participant_id, track_id,
track_source, track_type, track], and comes with every statistic of a track: the one who reads
them remembers it. `route` decides which shard the call belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

import msgpack

from ..core.placement import room_route
from ..errors import DecodeError
from ..messages import calls as calls_of
from ..messages.calls import CALLS, Call, TrackStats
from ..messages.codec import MAX_BYTES, decode, encode
from ..messages.ids import (
    ParticipantID,
    RoomID,
    RoomName,
    StatsKey,
    TrackID,
    checked_text,
)

AT_ONCE_BYTES: Final = 1024 * 1024  # a batch of a well-behaved client is far below
HEADS: Final = 65_536  # remembered; some 600 bytes each
HEAD_BYTES: Final = 1_024  # a longer one is read anew each time, so that memory is bounded
EVERYWHERE: Final = "*"  # the route of what concerns all shards; no room's: see `route_of`
_SHAPE: Final = 9
_CALLS: Final = frozenset(CALLS)

Item = tuple[bytes | str, bytes]


class Head(NamedTuple):
    """What the statistics of a track have in common."""

    room_id: RoomID
    room_name: RoomName
    key: StatsKey


def route_of(call: Call) -> str:
    """What decides where a call belongs: its room, else the egress or ingress it is about.

    "" means that any shard will do. A prefix keeps names of rooms apart from ids and `EVERYWHERE`.
    """
    if isinstance(call, calls_of.FlushStats):
        return EVERYWHERE
    room = getattr(call, "room", None)
    if room is not None:
        return room_route(room.name, room.sid)
    name = getattr(call, "room_name", None)
    if name is not None:
        return room_route(name, call.room_id)  # type: ignore[union-attr]  # who has one has both
    info = getattr(call, "info", None)
    if info is None or isinstance(call, calls_of.LocalRoomState):
        return ""
    if info.room_name:
        return room_route(info.room_name, "")
    return f"id:{getattr(info, 'egress_id', '') or getattr(info, 'ingress_id', '')}"


def route_of_head(head: Head) -> str:
    """As `route_of`, of a statistic."""
    return room_route(head.room_name, head.room_id)


class Packer:
    """Turns calls into items, and items into payloads."""

    __slots__ = ("_pack",)

    def __init__(self) -> None:
        self._pack = msgpack.Packer(autoreset=True).pack

    def item(self, call: Call) -> Item:
        """The two values of a call.

        Raises:
            ValueError: It cannot travel: it is longer than the codec allows.
        """
        if type(call) is TrackStats:
            key = call.key
            head: bytes = self._pack(
                (
                    call.room_id,
                    call.room_name,
                    key.country,
                    key.stream_type,
                    key.participant_id,
                    key.track_id,
                    key.track_source,
                    key.track_type,
                    key.track,
                )
            )
            size = len(head) + len(call.stat)
            item: Item = (head, call.stat)
        else:
            body = encode(call)
            size = len(body)
            item = (route_of(call), body)
        if size > MAX_BYTES:
            raise ValueError(f"{type(call).__name__}: {size} bytes; {MAX_BYTES} are allowed")
        return item

    def payload(self, flat: list[bytes | str]) -> bytes:
        """The payload of the items that were put behind each other into one list."""
        packed: bytes = self._pack(flat)
        return packed


def count_of(payload: bytes) -> int:
    """How many items a payload says it has, by its first bytes alone; -1: it is no payload."""
    values = msgpack.Unpacker(max_buffer_size=16)
    values.feed(payload[:8])
    try:
        size: int = values.read_array_header()
    except (ValueError, msgpack.UnpackException):
        return -1
    return -1 if size % 2 else size // 2


class Unpacker:
    """Reads payloads; remembers heads, so that a track's key is decoded and checked once."""

    __slots__ = ("_heads", "known")

    def __init__(self) -> None:
        self._heads: dict[bytes | str, Head] = {}
        self.known = self._heads.get  # the head of bytes that were met before; quick

    def items(self, payload: bytes) -> Iterator[Item]:
        """The items of a payload, unread: `call` and `route` judge them one by one.

        Raises:
            DecodeError: It is no payload, from here on.
        """
        if len(payload) <= AT_ONCE_BYTES:
            with suppress(ValueError, msgpack.UnpackException):  # then as far as it goes, below
                flat = msgpack.unpackb(payload, use_list=False, max_map_len=0, max_ext_len=0)
                if type(flat) is tuple:
                    yield from zip(flat[::2], flat[1::2], strict=False)
                    return
        # value by value, as no limit of `unpackb` keeps 16 MB from being millions of tuples
        values = msgpack.Unpacker(
            max_buffer_size=max(1, len(payload)), max_array_len=0, max_map_len=0, max_ext_len=0
        )
        values.feed(payload)
        try:
            left = values.read_array_header() // 2
            while left:
                left -= 1
                yield values.unpack(), values.unpack()
        except (ValueError, msgpack.UnpackException) as error:
            raise _malformed(type(error).__name__, payload) from None

    def call(self, first: bytes | str, second: bytes) -> Call:
        """The call that an item is.

        Raises:
            DecodeError: It is none.
        """
        if type(second) is not bytes:
            raise DecodeError("malformed batch: an item of other types", length=0)
        if type(first) is bytes:
            head = self._heads.get(first) or self._learn(first)
            return TrackStats(head.room_id, head.room_name, head.key, second)
        if type(first) is not str:
            raise DecodeError("malformed batch: an item of other types", length=0)
        call = decode(second)
        if type(call) not in _CALLS or type(call) is TrackStats:
            raise DecodeError("not a call", tag=type(call).__name__, length=len(second))
        return call  # type: ignore[return-value]  # it is one of CALLS

    def route(self, first: bytes | str) -> str:
        """Which shard an item belongs to, as `route_of` says of its call.

        Raises:
            DecodeError: Its head is malformed.
        """
        if type(first) is bytes:
            return route_of_head(self._heads.get(first) or self._learn(first))
        if type(first) is str:
            return first
        raise DecodeError("malformed batch: an item of other types", length=0)

    def _learn(self, packed: bytes) -> Head:
        try:
            fields = msgpack.unpackb(packed, max_array_len=_SHAPE, max_map_len=0, max_ext_len=0)
            if type(fields) is not list or len(fields) != _SHAPE:
                raise _malformed("a head of another shape", packed)
            room_id, room_name, country, stream, participant, track_id, source, kind, track = (
                fields
            )
            head = Head(
                RoomID(checked_text(room_id, "room_id")),
                RoomName(checked_text(room_name, "room_name")),
                StatsKey(
                    country,
                    stream,
                    ParticipantID(participant),
                    TrackID(track_id),
                    source,
                    kind,
                    track,
                ),
            )
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise _malformed(f"{type(error).__name__}", packed) from None
        if len(packed) > HEAD_BYTES:
            return head
        if len(self._heads) >= HEADS:
            for old in [*self._heads][: HEADS // 2]:  # those that were learnt first
                del self._heads[old]
        self._heads[packed] = head
        return head


def _malformed(why: str, data: bytes) -> DecodeError:
    return DecodeError(f"malformed batch: {why}", length=len(data))
