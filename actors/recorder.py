"""Recorder: hands analytics to the sink, in the order in which it is told.

Told by the supervisor (events, node rooms) and the workers (statistics). Lives as long
as the supervisor, and holds nothing.
"""

from __future__ import annotations

from ..core.ids import derive_output_id
from ..core.ports import AnalyticsService, OutputStore
from ..messages.outputs import RecordEvent, RecordNodeRooms, RecordStats
from ._base import ActorAddress, Configure, GreenroomActor, told


class Recorder(GreenroomActor):
    """A thin shell over the analytics port."""

    analytics: AnalyticsService
    outputs: OutputStore | None = None  # None: the sink gets all at once

    def on_configure(self, configure: Configure) -> None:
        """Take the sink."""
        self.analytics = configure.ports.analytics
        self.outputs = configure.ports.outputs
        self.settings = configure.settings

    @told(RecordStats)
    def on_record_stats(self, record: RecordStats, sender: ActorAddress) -> None:
        """One worker's statistics of one flush."""
        if self.outputs is None:
            self.analytics.send_stats(record.stats)
            return
        for index, stat in enumerate(record.stats):
            stat.id = self._id_of("AS_", record.key, index)
        self.outputs.put(record.key, "stats", record.stats)

    @told(RecordEvent)
    def on_record_event(self, record: RecordEvent, sender: ActorAddress) -> None:
        """One event."""
        if self.outputs is None:
            self.analytics.send_event(record.event)
            return
        record.event.id = self._id_of("AE_", record.key)
        self.outputs.put(record.key, "event", record.event)

    @told(RecordNodeRooms)
    def on_record_node_rooms(self, record: RecordNodeRooms, sender: ActorAddress) -> None:
        """The state of the node's rooms."""
        if self.outputs is None:
            self.analytics.send_node_room_states(record.info)
        else:
            self.outputs.put(record.key, "node_rooms", record.info)

    def _id_of(self, prefix: str, key: str, index: int = 0) -> str:
        return derive_output_id(prefix, self.settings.node_id, self.settings.shard, key, index)
