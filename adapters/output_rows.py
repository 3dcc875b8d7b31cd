"""The rows of analytics that are on their way, as the database has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgpack
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from ..errors import DecodeError

Row: TypeAlias = tuple[int, str, bytes]  # id, kind, body

_INSERT: Final = "INSERT OR IGNORE INTO outputs (key, kind, body) VALUES (?, ?, ?)"
_NEXT: Final = (
    "SELECT id, kind, body FROM outputs INDEXED BY outputs_waiting "
    "WHERE is_handed = 0 AND id > ? ORDER BY id LIMIT ?"
)
_COUNT: Final = "SELECT count(*) FROM outputs INDEXED BY outputs_waiting WHERE is_handed = 0"
_HAND: Final = "UPDATE outputs SET is_handed = 1 WHERE id = ?"


def count(connection: sqlite3.Connection) -> int:
    """How many the service has not had."""
    return int(connection.execute(_COUNT).fetchone()[0])


def select(connection: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    """The next ones that the service has not had, in their order."""
    return connection.execute(_NEXT, (after, limit)).fetchall()


def insert(connection: sqlite3.Connection, outputs: Iterable[tuple[str, str, object]]) -> int:
    """Write outputs (key, kind, value); how many of them have a new key."""
    rows = [(key, kind, pack(value)) for key, kind, value in outputs]
    return connection.executemany(_INSERT, rows).rowcount if rows else 0


def mark_handed(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """The service had these."""
    connection.executemany(_HAND, ((number,) for number in numbers))


def pack(value: object) -> bytes:
    """One message in its wire form, None as nothing, several as a msgpack array of theirs."""
    if value is None:
        return b""
    if isinstance(value, Message):
        return value.SerializeToString()
    assert isinstance(value, Sequence)
    packed: bytes = msgpack.packb([one.SerializeToString() for one in value])
    return packed


def unpack(kind: str, body: bytes) -> object:
    """What the service gets.

    Raises:
        DecodeError: It is not what was written.
    """
    try:
        if kind == "stats":
            return tuple(map(AnalyticsStat.FromString, msgpack.unpackb(body)))
        if kind == "event":
            return AnalyticsEvent.FromString(body)
        return AnalyticsNodeRooms.FromString(body) if body else None
    except (ValueError, TypeError, ProtobufDecodeError, msgpack.UnpackException) as error:
        raise DecodeError(f"malformed: {type(error).__name__}", tag=kind) from error
