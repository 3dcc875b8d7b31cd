"""The journal in the database: stamped inputs, as many in a row as were committed together.

    first     position of the first input of the row; the others follow
    at_ns     when they came (Unix ns), all of them
    checksum  CRC-32 of the three others
    body      a msgpack array with one entry for each position:
              nil    an input that is not journaled; its position is given away all the same
              array  a `TrackStats`: room_id, room_name, country, stream_type, participant_id,
                     track_id, track_source, track_type, track, the serialized AnalyticsStat
              array of such arrays: a `TrackStatsBatch`
              bytes  any other input, as `messages.codec` writes it

Statistics are nearly all there is. They have a form of their own because it takes a third of the
time.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from ..errors import DecodeError
from ..messages.calls import CALLS, TrackStats, TrackStatsBatch
from ..messages.codec import decode, encode
from ..messages.control import Input, Started
from ..messages.handoff import AdoptWorkers, ReleaseRooms
from ..messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID
from ..messages.outputs import Notify, RecordEvent, RecordNodeRooms, RecordStats
from ..messages.stats import FlushTick, SampleReplayed

# What the state of a shard follows from. The other inputs are answers of the outbox and of
# endpoints, whose facts are in tables of their own.
JOURNALED: Final = frozenset(
    {
        *(*CALLS, TrackStatsBatch, FlushTick, Started, ReleaseRooms, AdoptWorkers),
        *(SampleReplayed, RecordStats, RecordEvent, RecordNodeRooms, Notify),
    }
)
PAGE: Final = 64  # rows read at a time
_STAMP: Final = struct.Struct("<qq")
_SHAPE: Final = 10


@dataclass(frozen=True, slots=True)
class JournalRow:
    """Inputs that were committed together; None in place of one that was not journaled."""

    first: int
    at_ns: int
    inputs: tuple[Input | None, ...]

    @property
    def last(self) -> int:
        """The position of the last one."""
        return self.first + len(self.inputs) - 1


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row that is not what was written."""

    first: int
    error: str


def insert(
    connection: sqlite3.Connection, first: int, at_ns: int, inputs: Sequence[Input]
) -> None:
    """Write a row; inputs that are not `JOURNALED` are left out of it."""
    body = pack(inputs)
    connection.execute(
        "INSERT INTO journal (first, at_ns, checksum, body) VALUES (?, ?, ?, ?)",
        (first, at_ns, checksum(first, at_ns, body), body),
    )


def select(
    connection: sqlite3.Connection, after: int = 0, limit: int = -1
) -> Iterator[JournalRow | DamagedRow]:
    """The rows in their order, from the one with the first position beyond `after` on.

    Reads a page at a time: between two, others may write.
    """
    reader = JournalReader()
    start = connection.execute(
        "SELECT coalesce(max(first), 0) FROM journal WHERE first <= ?", (after + 1,)
    ).fetchone()[0]
    while limit:
        page = connection.execute(
            "SELECT first, at_ns, checksum, body FROM journal WHERE first >= ? "
            "ORDER BY first LIMIT ?",
            (start, PAGE if limit < 0 else min(PAGE, limit)),
        ).fetchall()
        if not page:
            return
        for row in page:
            found = reader.read(*row)
            if isinstance(found, DamagedRow) or found.last > after:
                limit -= limit > 0
                yield found
        start = page[-1][0] + 1


def last_stamp(connection: sqlite3.Connection) -> tuple[int, int]:
    """The last position that a row has, and its time (Unix ns); 0, 0: there is none."""
    row = connection.execute(
        "SELECT first, at_ns, body FROM journal ORDER BY first DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return 0, 0
    first, at_ns, body = row
    try:
        count = msgpack.Unpacker(max_buffer_size=len(body) + 1)
        count.feed(body)
        size = count.read_array_header()
    except (ValueError, msgpack.UnpackException, TypeError):
        size = 1  # it is damaged; its inputs are lost, and so are their positions
    return first + max(size, 1) - 1, at_ns  # the next row must not have its first position


def checksum(first: int, at_ns: int, body: bytes) -> int:
    """What protects a row from being taken for what it is not."""
    return zlib.crc32(body, zlib.crc32(_STAMP.pack(first, at_ns)))


def pack(inputs: Sequence[Input]) -> bytes:
    """The body of a row."""
    packer = msgpack.Packer(autoreset=False)  # one entry at a time: no object outlives its own
    packer.pack_array_header(len(inputs))
    for one in inputs:
        packer.pack(_entry(one))
    packed: bytes = packer.bytes()
    return packed


def _entry(one: Input) -> object:
    if type(one) is TrackStats:
        return _stats(one)
    if type(one) is TrackStatsBatch:
        return [_stats(each) for each in one.calls]
    return encode(one) if type(one) in JOURNALED else None


def _stats(call: TrackStats) -> tuple[object, ...]:
    key = call.key
    return (
        call.room_id,
        call.room_name,
        key.country,
        key.stream_type,
        key.participant_id,
        key.track_id,
        key.track_source,
        key.track_type,
        key.track,
        call.stat,
    )


class JournalReader:
    """Reads rows; a track's key is made and checked once."""

    def __init__(self) -> None:
        self._keys: dict[tuple[Any, ...], StatsKey] = {}

    def read(
        self, first: int, at_ns: int, written_checksum: int, body: bytes
    ) -> JournalRow | DamagedRow:
        """The row that these columns are."""
        try:
            if checksum(first, at_ns, body) != written_checksum:
                return DamagedRow(first, "its checksum is another")
            entries = msgpack.unpackb(body, use_list=False)
            return JournalRow(first, at_ns, tuple(map(self._input, entries)))
        except (
            DecodeError,
            ValueError,
            TypeError,
            LookupError,
            OverflowError,
            struct.error,
            msgpack.UnpackException,
        ) as error:
            return DamagedRow(first, f"{type(error).__name__}: {error}")

    def _input(self, entry: Any) -> Input | None:
        if entry is None:
            return None
        if type(entry) is bytes:
            found: Any = decode(entry, is_own=True)
            if type(found) not in JOURNALED:
                raise ValueError(f"{type(found).__name__} is no input that is journaled")
            journaled: Input = found
            return journaled
        if not entry or type(entry[0]) is tuple:
            return TrackStatsBatch(tuple(map(self._call, entry)))
        return self._call(entry)

    def _call(self, entry: tuple[Any, ...]) -> TrackStats:
        if len(entry) != _SHAPE:
            raise ValueError(f"{len(entry)} values, expected {_SHAPE}")
        room_id, room_name, *fields, stat = entry
        packed = tuple(fields)
        key = self._keys.get(packed)
        if key is None:
            country, stream_type, participant_id, track_id, source, kind, track = fields
            key = self._keys[packed] = StatsKey(
                country,
                stream_type,
                ParticipantID(participant_id),
                TrackID(track_id),
                source,
                kind,
                track,
            )
        return TrackStats(RoomID(room_id), RoomName(room_name), key, stat)
