"""The load: calls that can be told apart in everything that comes of them.

Statistic n of a track has 1 packet, n bytes and n² bytes of padding: the sums over a track say
how many came, and which one is missing. Any other call has a token in the metadata of its room
or participant, or in the name of its track.
"""

from __future__ import annotations

import random
from typing import Final, Protocol

from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream
from livekit.protocol.models import ParticipantInfo, Room, TrackInfo, TrackType

from ...messages.ids import StatsKey
from ...service.protocol import TelemetryService
from .ledger import Ledger

ROOMS: Final = 4  # of each caller alone
SHARED_ROOM: Final = "shared"
PARTICIPANTS: Final = 8
TRACKS_MAX: Final = 3
STATISTICS_PART: Final = 0.8


class Synced(TelemetryService, Protocol):
    """A telemetry that says when calls took effect."""

    def sync(self, timeout: float | None = None) -> bool:
        """Whether all calls so far did within so many seconds."""


class _Participant:
    """One that has joined, and how far it is."""

    def __init__(self, sid: str, room: Room, guard: int) -> None:
        self.sid = sid
        self.room = room
        self.guard = guard
        self.is_active = False
        self.tracks: list[str] = []
        self.published = 0


class Caller:
    """Makes calls and keeps the ledger; one thread.

    Args:
        telemetry: Takes them.
        ledger: Told of each call before it is made.
        name: No other caller of the same data directory has it.
        seed: What is called when.
    """

    def __init__(self, telemetry: Synced, ledger: Ledger, name: str, seed: object) -> None:
        self._telemetry = telemetry
        self._ledger = ledger
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._tokens = 0
        self._made = 0
        self._numbers: dict[str, int] = {}
        self._participants: list[_Participant | None] = [None] * PARTICIPANTS
        names = [f"{name}-room-{number}" for number in range(ROOMS)] + [SHARED_ROOM]
        self._rooms = [Room(sid=f"RM_{each}", name=each) for each in names]

    def call(self) -> None:
        """The next one."""
        place = self._chance.randrange(PARTICIPANTS)
        participant = self._participants[place]
        if participant is None:
            self._participants[place] = self._join()
        elif participant.tracks and self._chance.random() < STATISTICS_PART / 0.9:
            self._report(
                participant.sid, participant.room, self._chance.choice(participant.tracks)
            )
        elif not participant.is_active:
            self._activate(participant)
        elif not participant.published:
            self._publish(participant)
        elif self._chance.random() < 0.2:
            self._leave(participant)
            self._participants[place] = None
        else:
            self._do_something(participant)

    def sync(self, timeout: float) -> bool:
        """Wait until all calls took effect, and say so in the ledger."""
        if not self._telemetry.sync(timeout):
            return False
        self._ledger.write("a")
        return True

    def start_room(self, name: str) -> None:
        """A room's start, of any name."""
        self._start_room(Room(sid=f"RM_{name}", name=name))

    def flush(self) -> None:
        """Have everything handed over."""
        self._telemetry.flush_stats()

    def _join(self) -> _Participant:
        self._made += 1
        sid = f"PA_{self._name}-{self._made}"
        joined = _Participant(sid, self._chance.choice(self._rooms), self._telemetry.guard())
        info = self._info(joined, "PARTICIPANT_JOINED", "-")
        self._telemetry.participant_joined(joined.room, info, None, None, True, joined.guard)  # noqa: FBT003
        return joined

    def _activate(self, who: _Participant) -> None:
        who.is_active = True
        info = self._info(who, "PARTICIPANT_ACTIVE", "participant_joined")
        self._telemetry.participant_active(who.room, info, None, False, who.guard)  # noqa: FBT003

    def _leave(self, who: _Participant) -> None:
        info = self._info(who, "PARTICIPANT_LEFT", "participant_left")
        self._telemetry.participant_left(who.room, info, True, who.guard)  # noqa: FBT003

    def _do_something(self, who: _Participant) -> None:
        if self._chance.random() < 0.2:
            self._start_room(who.room)
        elif not who.tracks or (who.published < TRACKS_MAX and self._chance.random() < 0.5):
            self._publish(who)
        elif self._chance.random() < 0.3:
            track = who.tracks.pop(self._chance.randrange(len(who.tracks)))
            info = self._track(who, track, "TRACK_UNPUBLISHED", "track_unpublished")
            self._telemetry.track_unpublished(*self._ids(who), info, True)  # noqa: FBT003
        else:
            info = self._track(who, who.tracks[0], "TRACK_MUTED", "-")
            room = who.room
            self._telemetry.track_muted(room.sid, room.name, who.sid, info)

    def _publish(self, who: _Participant) -> None:
        who.published += 1
        track = f"TR_{who.sid[3:]}-{who.published}"
        info = self._track(who, track, "TRACK_PUBLISHED", "track_published")
        self._telemetry.track_published(*self._ids(who), info, True)  # noqa: FBT003
        who.tracks.append(track)

    def _start_room(self, room: Room) -> None:
        token = self._token(room, "ROOM_CREATED", "room_started")
        named = Room(sid=room.sid, name=room.name, metadata=token)
        self._telemetry.room_started(named)

    def _report(self, sid: str, room: Room, track: str) -> None:
        number = self._numbers[track] = self._numbers.get(track, 0) + 1
        stream = AnalyticsStream(
            primary_packets=1, primary_bytes=number, padding_bytes=number * number
        )
        key = StatsKey.for_track("DE", 0, sid, track, 0, TrackType.VIDEO)
        self._ledger.write("s", track, number)
        self._telemetry.track_stats(room.sid, room.name, key, AnalyticsStat(streams=[stream]))

    def _ids(self, who: _Participant) -> tuple[str, str, str, str]:
        return who.room.sid, who.room.name, who.sid, who.sid.removeprefix("PA_")

    def _info(self, who: _Participant, kind: str, webhook: str) -> ParticipantInfo:
        token = self._token(who.room, kind, webhook)
        return ParticipantInfo(sid=who.sid, identity=who.sid.removeprefix("PA_"), metadata=token)

    def _track(self, who: _Participant, track: str, kind: str, webhook: str) -> TrackInfo:
        token = self._token(who.room, kind, webhook)
        return TrackInfo(sid=track, type=TrackType.VIDEO, name=token)

    def _token(self, room: Room, kind: str, webhook: str) -> str:
        self._tokens += 1
        token = f"{self._name}-{self._tokens}"
        self._ledger.write("e", token, room.name, kind, webhook)
        return token
