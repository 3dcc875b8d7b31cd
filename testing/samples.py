"""One small call to test with: a room, two participants, and the messages that they cause.

The protobufs are built anew for each use, so a test may change what it got.
"""

from __future__ import annotations

from typing import Final

from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream
from livekit.protocol.models import ParticipantInfo, Room

from ..messages import calls
from ..messages.ids import GuardID, NodeID, ParticipantID, RoomID, RoomName, StatsKey, WorkerKey
from ..service.protocol import TelemetryService

ALICE: Final = "PA_alice"
BOB: Final = "PA_bob"
ROOM_ID: Final = RoomID("RM_1")
ROOM_NAME: Final = RoomName("lobby")
ALICES_WORKER: Final = WorkerKey(ROOM_ID, ParticipantID(ALICE))
FIRST_GUARD: Final = GuardID(1)


def room() -> Room:
    """The room of all samples."""
    return Room(sid=ROOM_ID, name=ROOM_NAME)


def participant(sid: str = ALICE) -> ParticipantInfo:
    """A participant; its identity is its sid without the prefix."""
    return ParticipantInfo(sid=sid, identity=sid.removeprefix("PA_"))


def stat(packets: int = 3) -> AnalyticsStat:
    """A report of one stream with this many packets."""
    return AnalyticsStat(streams=[AnalyticsStream(primary_packets=packets)])


def key(sid: str = ALICE, track_id: str = "TR_1", stream_type: int = 0) -> StatsKey:
    """The key of a participant's data channel."""
    return StatsKey.for_data("DE", stream_type, sid, track_id)


def join(telemetry: TelemetryService, *sids: str) -> None:
    """Let these participants join, each with a guard of its own."""
    for sid in sids:
        guard = telemetry.guard()
        telemetry.participant_joined(
            room(), participant(sid), None, None, should_send_event=False, guard=guard
        )


def report(telemetry: TelemetryService, sid: str, *packets: int) -> None:
    """Report the data channel of a participant, once for each number of packets."""
    for count in packets:
        telemetry.track_stats(ROOM_ID, ROOM_NAME, key(sid), stat(count))


def joined(
    sid: str = ALICE, guard: int | None = FIRST_GUARD, *, announce: bool = False
) -> calls.ParticipantJoined:
    """A participant has a signal connection."""
    held = None if guard is None else GuardID(guard)
    return calls.ParticipantJoined(room(), participant(sid), None, None, announce, held)


def active(
    sid: str = ALICE, guard: int | None = FIRST_GUARD, *, is_migration: bool = False
) -> calls.ParticipantActive:
    """A participant has a media connection."""
    held = None if guard is None else GuardID(guard)
    return calls.ParticipantActive(room(), participant(sid), None, is_migration, held)


def resumed(sid: str = ALICE) -> calls.ParticipantResumed:
    """A participant's connection was resumed."""
    return calls.ParticipantResumed(room(), participant(sid), NodeID("ND_1"), 0)


def left(
    sid: str = ALICE, guard: int | None = FIRST_GUARD, *, announce: bool = True
) -> calls.ParticipantLeft:
    """A collector of a participant's statistics ended."""
    held = None if guard is None else GuardID(guard)
    return calls.ParticipantLeft(room(), participant(sid), announce, held)


def track_stats(sid: str = ALICE, packets: int = 3) -> calls.TrackStats:
    """A track's report."""
    return calls.TrackStats(ROOM_ID, ROOM_NAME, key(sid), stat(packets).SerializeToString())
