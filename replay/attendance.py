"""Who is in which room now, as far as the analytics events say; and how many there were."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsEventType,
    AnalyticsNodeRooms,
    AnalyticsStat,
)

from ..core.metrics import enum_label


@dataclass(frozen=True, slots=True)
class Change:
    """A room or participant came or went; `identity` is empty for a room."""

    what: str
    room: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class AttendanceTotals:
    """Counts over the whole replay.

    Args:
        rooms: Rooms that were started.
        rooms_max: How many there were at once.
        participants: Times that a participant joined.
        participants_max: How many were there at once.
        aborted: Participants who left before they had a media connection.
        events: Analytics events by type.
        stats: Coalesced statistics.
        batches: Sends of them: one worker at one flush.
        packets: Received or sent first, retransmissions apart, of all statistics.
        packets_lost: Of them.
    """

    rooms: int
    rooms_max: int
    participants: int
    participants_max: int
    aborted: int
    events: Mapping[str, int]
    stats: int
    batches: int
    packets: int
    packets_lost: int


OnChange: TypeAlias = Callable[[Change], None]

WORDS: Final = {
    AnalyticsEventType.ROOM_CREATED: "started",
    AnalyticsEventType.ROOM_ENDED: "ended",
    AnalyticsEventType.PARTICIPANT_JOINED: "joined",
    AnalyticsEventType.PARTICIPANT_ACTIVE: "active",
    AnalyticsEventType.PARTICIPANT_RESUMED: "resumed",
    AnalyticsEventType.PARTICIPANT_LEFT: "left",
    AnalyticsEventType.PARTICIPANT_CONNECTION_ABORTED: "aborted",
}


class Attendance:
    """An AnalyticsService that follows the events; what it keeps is bounded by who is there.

    Args:
        on_change: Told of each coming and going, in order.
    """

    def __init__(self, on_change: OnChange | None = None) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()  # sends come on one thread, a display asks on another
        self._room_names: dict[str, str] = {}
        self._present: dict[str, dict[str, str]] = {}  # room id -> participant id -> identity
        self._present_count = 0
        self._rooms_max = 0
        self._present_max = 0
        self._events: Counter[int] = Counter()
        self._batches = 0
        self._stats = 0
        self._packets = 0
        self._packets_lost = 0

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Count them."""
        with self._lock:
            self._batches += 1
            self._stats += len(stats)
            for stat in stats:
                for stream in stat.streams:
                    self._packets += stream.primary_packets
                    self._packets_lost += stream.packets_lost

    def send_event(self, event: AnalyticsEvent) -> None:
        """Count it, and follow who comes and goes."""
        word = WORDS.get(event.type)
        with self._lock:
            self._events[event.type] += 1
            if word is not None:
                self._follow(event)
        if word is not None and self._on_change is not None:
            self._on_change(Change(word, event.room.name, event.participant.identity))

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Says nothing about participants."""

    def room_project_reporter(self) -> object:
        """There is none."""
        return None

    def present(self) -> list[tuple[str, list[str]]]:
        """The rooms of this moment by name, each with its participants; in order of arrival."""
        with self._lock:
            return [
                (name, list(self._present.get(room_id, {}).values()))
                for room_id, name in self._room_names.items()
            ]

    def counts(self) -> tuple[int, int]:
        """How many rooms and participants there are now."""
        with self._lock:
            return len(self._room_names), self._present_count

    def totals(self) -> AttendanceTotals:
        """What was counted so far."""
        with self._lock:
            return AttendanceTotals(
                rooms=self._events[AnalyticsEventType.ROOM_CREATED],
                rooms_max=self._rooms_max,
                participants=self._events[AnalyticsEventType.PARTICIPANT_JOINED],
                participants_max=self._present_max,
                aborted=self._events[AnalyticsEventType.PARTICIPANT_CONNECTION_ABORTED],
                events={
                    enum_label(AnalyticsEventType, kind): count
                    for kind, count in self._events.most_common()
                },
                stats=self._stats,
                batches=self._batches,
                packets=self._packets,
                packets_lost=self._packets_lost,
            )

    def _follow(self, event: AnalyticsEvent) -> None:
        room_id, participant_id = event.room.sid, event.participant.sid
        if event.type == AnalyticsEventType.ROOM_CREATED:
            self._room_names[room_id] = event.room.name
        elif event.type == AnalyticsEventType.ROOM_ENDED:
            self._room_names.pop(room_id, None)
            self._present_count -= len(self._present.pop(room_id, {}))
        elif WORDS[event.type] in ("left", "aborted"):
            if self._present.get(room_id, {}).pop(participant_id, None) is not None:
                self._present_count -= 1
        else:
            self._room_names.setdefault(room_id, event.room.name)
            there = self._present.setdefault(room_id, {})
            self._present_count += participant_id not in there
            there[participant_id] = event.participant.identity
        self._rooms_max = max(self._rooms_max, len(self._room_names))
        self._present_max = max(self._present_max, self._present_count)
