"""One AnalyticsService in front of several."""

from __future__ import annotations

from collections.abc import Sequence

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from ..core.ports import AnalyticsService


class AnalyticsSinks:
    """Passes everything on to each of the services, in their order."""

    def __init__(self, services: Sequence[AnalyticsService]) -> None:
        self._services = tuple(services)

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """One worker's statistics of one flush."""
        for service in self._services:
            service.send_stats(stats)

    def send_event(self, event: AnalyticsEvent) -> None:
        """One event."""
        for service in self._services:
            service.send_event(event)

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """The state of a node's rooms."""
        for service in self._services:
            service.send_node_room_states(node_rooms)

    def room_project_reporter(self) -> object:
        """There is none."""
        return None
