"""A host that makes random calls, for `greenroom.testing.simulation`."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Final, NamedTuple

from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType
from livekit.protocol.models import ParticipantInfo, Room

from ..messages import calls
from ..messages.calls import Call
from ..messages.ids import GuardID, NodeID, RoomID, RoomName, StatsKey

SAMPLES_PER_TRACK: Final = 60  # each is one bit of a counter whose range is 63 bits


class Track(NamedTuple):
    """Whose samples are merged with each other; `kind` is a number of livekit.StreamType."""

    room_id: str
    participant_id: str
    track_id: str
    kind: int


class SimulatedHost:
    """Makes calls such as a server makes, some of them odd, and remembers what must come of them.

    Attributes:
        samples: How many each track reported; sample i counts 2**i bytes.
        webhooks: What each room's webhooks tell, in order.
    """

    def __init__(self, chance: random.Random) -> None:
        self.samples: Counter[Track] = Counter()
        self.webhooks: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._random = chance
        self._rooms = [Room(sid=f"RM_{i}", name=f"room-{i}") for i in range(chance.randint(1, 3))]
        self._people = [
            ParticipantInfo(sid=f"PA_{i}", identity=f"guest-{i}")
            for i in range(chance.randint(1, 4))
        ]
        self._guards = 0
        self._held: list[tuple[Room, ParticipantInfo, GuardID]] = []

    def next_call(self) -> Call:
        """Any call, statistics more often than others."""
        room, person = self._random.choice(self._rooms), self._random.choice(self._people)
        make = self._random.choice(
            (
                self._track_stats,
                self._track_stats,
                self._track_stats,
                self._joined,
                self._active,
                self._left,
                self._resumed,
                self._room_started,
                self._flush,
            )
        )
        return make(room, person)

    def last_calls(self) -> list[Call]:
        """Everybody who is there leaves."""
        gone = [self._left(*held[:2], guard=held[2]) for held in list(self._held)]
        for room in self._rooms:
            for person in self._people:  # one who was resumed, or has no guard: joins and leaves
                gone.append(self._joined(room, person, always_guarded=True))
                gone.append(self._left(room, person, guard=self._held[-1][2]))
        for room in self._rooms:
            self.webhooks[room.name].append(("room_finished", ""))
            gone.append(calls.RoomEnded(room))
        return gone

    def _guard(self, room: Room, person: ParticipantInfo, *, always: bool) -> GuardID | None:
        if not always and self._random.random() < 0.2:
            return None
        if self._held and not always and self._random.random() < 0.2:
            return self._random.choice(self._held)[2]  # once more, perhaps of somebody else
        self._guards += 1
        self._held.append((room, person, GuardID(self._guards)))
        return GuardID(self._guards)

    def _joined(
        self, room: Room, person: ParticipantInfo, *, always_guarded: bool = False
    ) -> Call:
        guard = self._guard(room, person, always=always_guarded)
        return calls.ParticipantJoined(
            room, person, None, None, should_send_event=True, guard=guard
        )

    def _active(self, room: Room, person: ParticipantInfo) -> Call:
        is_migration = self._random.random() < 0.2
        if not is_migration:
            self.webhooks[room.name].append(("participant_joined", person.identity))
        guard = self._guard(room, person, always=False)
        return calls.ParticipantActive(room, person, None, is_migration, guard)

    def _resumed(self, room: Room, person: ParticipantInfo) -> Call:
        return calls.ParticipantResumed(room, person, NodeID("ND_1"), 0)

    def _left(self, room: Room, person: ParticipantInfo, *, guard: GuardID | None = None) -> Call:
        if guard is None and self._held:
            room, person, guard = self._random.choice(self._held)
        self._held = [held for held in self._held if held[2] != guard]
        self.webhooks[room.name].append(("participant_left", person.identity))
        return calls.ParticipantLeft(room, person, should_send_event=True, guard=guard)

    def _room_started(self, room: Room, person: ParticipantInfo) -> Call:
        self.webhooks[room.name].append(("room_started", ""))
        return calls.RoomStarted(room)

    def _flush(self, room: Room, person: ParticipantInfo) -> Call:
        return calls.FlushStats()

    def _track_stats(self, room: Room, person: ParticipantInfo) -> Call:
        kind = self._random.choice((StreamType.UPSTREAM, StreamType.DOWNSTREAM))
        name = self._random.choice(("TR_1", "TR_2"))
        track = Track(room.sid, person.sid, name, kind)
        if self.samples[track] == SAMPLES_PER_TRACK:
            return calls.FlushStats()
        stream = AnalyticsStream(primary_packets=1, primary_bytes=1 << self.samples[track])
        self.samples[track] += 1
        return calls.TrackStats(
            RoomID(room.sid),
            RoomName(room.name),
            StatsKey.for_data("DE", kind, person.sid, name),
            AnalyticsStat(streams=[stream]).SerializeToString(),
        )
