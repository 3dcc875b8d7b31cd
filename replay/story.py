"""What happened in a call, kept for a picture: lifelines, bitrates and webhooks.

Everything is taken from what greenroom sends to its analytics service, so the picture shows
what came out, not what went in. Times are seconds since the start of the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsEventType,
    AnalyticsNodeRooms,
    AnalyticsStat,
    StreamType,
    WebhookInfo,
)
from livekit.protocol.models import TrackSource

from ..core.metrics import enum_label
from ..core.ports import Clock
from ..core.times import NS_PER_SECOND

BITS: Final = 8
KILO: Final = 1_000


@dataclass(slots=True)
class Span:
    """From when to when; None: not seen, or not over yet."""

    begin: float | None = None
    end: float | None = None


@dataclass(slots=True)
class RoomLife(Span):
    """One room, from its start to its end."""

    name: str = ""


@dataclass(slots=True)
class ParticipantLife(Span):
    """One participant, from joining to leaving.

    Args:
        room: The room's name.
        identity: The participant's.
        active: When it got its media connection.
        resumed: When it was resumed.
        aborted: It left without ever having been active.
    """

    room: str = ""
    identity: str = ""
    active: float | None = None
    resumed: list[float] = field(default_factory=list)
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """One coalesced statistic: what a track carried between two times."""

    begin: float
    end: float
    kbps: float
    loss_percent: float


@dataclass(slots=True)
class TrackLife:
    """What one track carried, upstream (by its publisher) or downstream (to all subscribers).

    Args:
        room: The room's name.
        identity: The publisher's; empty while not known.
        source: Name of the `TrackSource`, such as CAMERA.
        upstream: Measures in order of arrival.
        downstream: The same, of every subscriber.
    """

    room: str = ""
    identity: str = ""
    source: str = ""
    upstream: list[Measure] = field(default_factory=list)
    downstream: list[Measure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WebhookMark:
    """A webhook that came to its end; `outcome` is delivered, failed or dropped."""

    at: float
    room: str
    event: str
    outcome: str


class Story:
    """An AnalyticsService that remembers; it grows with the call.

    Args:
        clock: Tells when something was sent.
        start_ns: Unix time of second 0.
    """

    def __init__(self, clock: Clock, start_ns: int) -> None:
        self._clock = clock
        self._start_ns = start_ns
        self.rooms: dict[str, RoomLife] = {}
        self.participants: dict[tuple[str, str], ParticipantLife] = {}
        self.tracks: dict[tuple[str, str], TrackLife] = {}
        self.webhooks: list[WebhookMark] = []

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return (self._clock.now_ns() - self._start_ns) / NS_PER_SECOND

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Keep bitrate and loss of every media track."""
        for stat in stats:
            measure = self._measure(stat)
            if measure is not None:
                track = self._track(stat.room_id, stat.track_id)
                track.room = stat.room_name
                downstream = stat.kind == StreamType.DOWNSTREAM
                (track.downstream if downstream else track.upstream).append(measure)

    def send_event(self, event: AnalyticsEvent) -> None:
        """Keep what is about rooms, participants, tracks and webhooks."""
        if event.type == AnalyticsEventType.WEBHOOK:
            self._webhook(event.webhook)
        elif event.type in (AnalyticsEventType.ROOM_CREATED, AnalyticsEventType.ROOM_ENDED):
            self._room(event)
        elif event.type == AnalyticsEventType.TRACK_PUBLISHED:
            track = self._track(event.room_id, event.track_id)
            track.room = event.room.name
            track.identity = event.participant.identity
            track.source = enum_label(TrackSource, event.track.source)
        elif event.HasField("participant") and not event.HasField("track"):
            self._participant(event)

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Not shown."""

    def room_project_reporter(self) -> object:
        """There is none."""
        return None

    def _room(self, event: AnalyticsEvent) -> None:
        room = self.rooms.setdefault(event.room.sid, RoomLife(name=event.room.name))
        if event.type == AnalyticsEventType.ROOM_CREATED:
            room.begin = self.now
        else:
            room.end = self.now

    def _participant(self, event: AnalyticsEvent) -> None:
        key = event.room_id, event.participant_id
        fresh = ParticipantLife(room=event.room.name, identity=event.participant.identity)
        life = self.participants.setdefault(key, fresh)
        now = self.now
        match event.type:
            case AnalyticsEventType.PARTICIPANT_JOINED:
                life.begin = now
            case AnalyticsEventType.PARTICIPANT_ACTIVE:
                life.active = now
            case AnalyticsEventType.PARTICIPANT_RESUMED:
                life.resumed.append(now)
            case AnalyticsEventType.PARTICIPANT_LEFT:
                life.end = now
            case AnalyticsEventType.PARTICIPANT_CONNECTION_ABORTED:
                life.end, life.aborted = now, True

    def _webhook(self, info: WebhookInfo) -> None:
        outcome = "failed" if info.send_error else "dropped" if info.is_dropped else "delivered"
        self.webhooks.append(WebhookMark(self.now, info.room_name, info.event, outcome))

    def _track(self, room_id: str, track_id: str) -> TrackLife:
        return self.tracks.setdefault((room_id, track_id), TrackLife())

    def _measure(self, stat: AnalyticsStat) -> Measure | None:
        """None when there is nothing to draw: signalling and data have no times of their own."""
        for stream in stat.streams:
            begin, end = self._seconds(stream.start_time), self._seconds(stream.end_time)
            packets = stream.primary_packets
            if not 0 <= begin < end or not packets:
                return None
            sent_bytes = stream.primary_bytes + stream.retransmit_bytes
            kbps = sent_bytes * BITS / KILO / (end - begin)
            return Measure(begin, end, kbps, 100 * stream.packets_lost / packets)
        return None

    def _seconds(self, at: Timestamp) -> float:
        return at.seconds - self._start_ns / NS_PER_SECOND + at.nanos / NS_PER_SECOND
