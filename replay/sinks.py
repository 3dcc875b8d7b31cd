"""Small AnalyticsServices: one in front of several, one that looks for webhooks gone wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsEventType,
    AnalyticsNodeRooms,
    AnalyticsStat,
    WebhookInfo,
)

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


class UndeliveredWebhooks:
    """Tells of each webhook that failed or was dropped.

    Args:
        on_undelivered: Called with its record.
    """

    def __init__(self, on_undelivered: Callable[[WebhookInfo], None]) -> None:
        self._on_undelivered = on_undelivered

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Not about webhooks."""

    def send_event(self, event: AnalyticsEvent) -> None:
        """Look at it if it is the record of a webhook."""
        webhook = event.webhook
        if event.type == AnalyticsEventType.WEBHOOK and (webhook.send_error or webhook.is_dropped):
            self._on_undelivered(webhook)

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Not about webhooks."""

    def room_project_reporter(self) -> object:
        """There is none."""
        return None
