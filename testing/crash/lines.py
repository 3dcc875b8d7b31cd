"""An AnalyticsService that appends lines, and reading such files although writers were killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

_BEGIN: Final = '{"at":'


class LineAnalytics:
    """Each send is a line at the end of the file, in two halves: a kill may leave a torn one.

    Args:
        path: Made, or gone on with.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # its writer was killed

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """One line for all of them."""
        self._write("stats", "stats", [_plain(stat) for stat in stats])

    def send_event(self, event: AnalyticsEvent) -> None:
        """One line."""
        self._write("event", "event", _plain(event))

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """One line."""
        self._write("node_room_states", "node_rooms", None)

    def room_project_reporter(self) -> object:
        """There is none."""
        return None

    def _write(self, send: str, name: str, value: object) -> None:
        line = json.dumps({"at": 0, "send": send, name: value}, separators=(",", ":")) + "\n"
        half = len(line) // 2
        os.write(self._file, line[:half].encode())
        os.write(self._file, line[half:].encode())


def _plain(message: Message) -> dict[str, object]:
    plain: dict[str, object] = MessageToDict(message, preserving_proto_field_name=True)
    return plain


def whole(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The sends in these lines; of a torn one only what another writer has put behind it."""
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            _, begin, rest = line.rpartition(_BEGIN)
            try:
                yield json.loads(begin + rest)
            except ValueError:
                continue  # it comes again
