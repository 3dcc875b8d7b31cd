"""The work on which the original was measured: 10,000 participants, 30,000 tracks, real stats.

`data/stats-3k.bin` holds 3,000 AnalyticsStat messages, each preceded by its length as a varint.
Call i carries message i mod 3000 for track i mod 3 of participant (i div 3) mod 10000.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livekit.protocol.analytics import AnalyticsStat, StreamType
from livekit.protocol.models import ParticipantInfo, Room, TrackSource, TrackType

from greenroom import StatsKey, TelemetryService

TRACKS: Final = (
    (StreamType.UPSTREAM, TrackSource.CAMERA, TrackType.VIDEO),
    (StreamType.UPSTREAM, TrackSource.MICROPHONE, TrackType.AUDIO),
    (StreamType.DOWNSTREAM, TrackSource.CAMERA, TrackType.VIDEO),
)


@dataclass(frozen=True, slots=True)
class Participant:
    """One of them, with its room and the keys of its three tracks."""

    room: Room
    info: ParticipantInfo
    keys: tuple[StatsKey, ...]


def participants(count: int) -> list[Participant]:
    """`count` participants, ten to a room."""
    return [_participant(number) for number in range(count)]


def _participant(number: int) -> Participant:
    room = Room(sid=f"RM_bench{number // 10:06d}", name=f"bench-room-{number // 10:06d}")
    sid = f"PA_bench{number:06d}"
    keys = tuple(
        StatsKey.for_track("US", stream, sid, f"TR_bench{number:06d}_{track}", source, kind)
        for track, (stream, source, kind) in enumerate(TRACKS)
    )
    return Participant(room, ParticipantInfo(sid=sid, identity=f"bench-{number}"), keys)


def join_all(telemetry: TelemetryService, everybody: list[Participant]) -> None:
    """Make a worker for each, without events."""
    for each in everybody:
        guard = telemetry.guard()
        telemetry.participant_joined(each.room, each.info, None, None, False, guard)


def load_stats() -> list[AnalyticsStat]:
    """The 3,000 messages."""
    data = (Path(__file__).parent / "data" / "stats-3k.bin").read_bytes()
    return [AnalyticsStat.FromString(body) for body in _split(data)]


def _split(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        length = shift = 0
        while True:
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield data[position : position + length]
        position += length


def track_calls(
    everybody: list[Participant], stats: list[AnalyticsStat], count: int
) -> Iterator[tuple[str, str, StatsKey, AnalyticsStat]]:
    """The arguments of `count` calls of `track_stats`, in order."""
    for index in range(count):
        each = everybody[(index // 3) % len(everybody)]
        yield each.room.sid, each.room.name, each.keys[index % 3], stats[index % len(stats)]
