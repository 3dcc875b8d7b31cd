"""An AnalyticsService of your own, and time under your control.

python examples/own_analytics.py
"""

from __future__ import annotations

from collections.abc import Sequence

from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsEventType,
    AnalyticsNodeRooms,
    AnalyticsStat,
    AnalyticsStream,
    StreamType,
)
from livekit.protocol.models import ParticipantInfo, Room

import greenroom


class Printer:
    """Prints what it is given; it runs on a thread of its own."""

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """One participant's statistics of one flush."""
        for stat in stats:
            print("statistics", stat.participant_id, stat.streams[0].primary_packets, "packets")

    def send_event(self, event: AnalyticsEvent) -> None:
        """One event."""
        print("event", AnalyticsEventType.Name(event.type))

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Not used here."""

    def room_project_reporter(self) -> object:
        """Not used here."""
        return None


def main() -> None:
    """Two samples become one, half a minute later, at once."""
    clock = greenroom.VirtualClock(start_ns=1_800_000_000 * 10**9)
    with greenroom.start(analytics=Printer(), clock=clock) as telemetry:
        room = Room(sid="RM_1", name="garden")
        bob = ParticipantInfo(sid="PA_1", identity="bob")
        telemetry.participant_joined(room, bob, None, None, True, telemetry.guard())
        key = greenroom.StatsKey.for_data("CH", StreamType.UPSTREAM, bob.sid, "TR_1")
        for packets in (100, 150):
            stat = AnalyticsStat(streams=[AnalyticsStream(primary_packets=packets)])
            telemetry.track_stats(room.sid, room.name, key, stat)
        telemetry.advance_to(clock.now_ns() + 30 * 10**9)  # the tick comes without waiting


if __name__ == "__main__":
    main()
