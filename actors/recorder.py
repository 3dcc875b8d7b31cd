"""Recorder: hands analytics to the sink, in the order in which it is told.

Told by the supervisor (events, node rooms) and the workers (statistics). Lives as long
as the supervisor, and holds nothing.
"""

from __future__ import annotations

from ..core.ports import AnalyticsService
from ..messages.outputs import RecordEvent, RecordNodeRooms, RecordStats
from ._base import ActorAddress, Configure, GreenroomActor, told


class Recorder(GreenroomActor):
    """A thin shell over the analytics port."""

    analytics: AnalyticsService

    def on_configure(self, configure: Configure) -> None:
        """Take the sink."""
        self.analytics = configure.ports.analytics

    @told(RecordStats)
    def on_record_stats(self, record: RecordStats, sender: ActorAddress) -> None:
        """One worker's statistics of one flush."""
        self.analytics.send_stats(record.stats)

    @told(RecordEvent)
    def on_record_event(self, record: RecordEvent, sender: ActorAddress) -> None:
        """One event."""
        self.analytics.send_event(record.event)

    @told(RecordNodeRooms)
    def on_record_node_rooms(self, record: RecordNodeRooms, sender: ActorAddress) -> None:
        """The state of the node's rooms."""
        self.analytics.send_node_room_states(record.info)
