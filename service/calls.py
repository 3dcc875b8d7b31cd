"""`TelemetryCalls`: turns each method call into one message and tells it.

Checks and copies happen in the caller's thread, so that a mistake is raised where it was made
and the message is a snapshot. How the message travels is the subclass's affair.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from livekit.protocol.analytics import (
    AnalyticsClientMeta,
    AnalyticsEvent,
    AnalyticsNodeRooms,
    AnalyticsStat,
    APICallInfo,
    ReportInfo,
    WebhookInfo,
)
from livekit.protocol.egress import EgressInfo
from livekit.protocol.ingress import IngressInfo
from livekit.protocol.models import ClientInfo, ParticipantInfo, ReconnectReason, Room

from ..messages import calls
from ..messages.ids import NodeID, RoomID, RoomName, StatsKey, checked_text
from .checks import (
    checked_flag,
    checked_guard,
    copied,
    copied_all,
    copied_or_none,
    enum_number,
)
from .track_calls import TrackCalls


class TelemetryCalls(TrackCalls):
    """A `TelemetryService` whose calls become messages; see there for arguments and errors."""

    def __init__(self) -> None:
        self._guards = itertools.count(1)

    def guard(self) -> int:
        """As `TelemetryService.guard`."""
        return next(self._guards)

    def track_stats(
        self,
        room_id: str,
        room_name: str,
        key: StatsKey | Mapping[str, object],
        stat: AnalyticsStat,
    ) -> None:
        """As `TelemetryService.track_stats`; this one is called more often than all others."""
        if type(key) is not StatsKey:
            key = _stats_key(key)
        if type(stat) is not AnalyticsStat:
            raise TypeError(f"stat: expected AnalyticsStat, got {type(stat).__name__}")
        if type(room_id) is not str or not room_id.isascii():
            room_id = checked_text(room_id, "room_id")
        if type(room_name) is not str or not room_name.isascii():
            room_name = checked_text(room_name, "room_name")
        self._tell(
            calls.TrackStats(RoomID(room_id), RoomName(room_name), key, stat.SerializeToString())
        )

    def room_started(self, room: Room) -> None:
        """As `TelemetryService.room_started`."""
        self._tell(calls.RoomStarted(copied(Room, room, "room")))

    def room_ended(self, room: Room) -> None:
        """As `TelemetryService.room_ended`."""
        self._tell(calls.RoomEnded(copied(Room, room, "room")))

    def participant_joined(
        self,
        room: Room,
        participant: ParticipantInfo,
        client_info: ClientInfo | None,
        client_meta: AnalyticsClientMeta | None,
        should_send_event: bool,
        guard: int | None,
    ) -> None:
        """As `TelemetryService.participant_joined`."""
        self._tell(
            calls.ParticipantJoined(
                copied(Room, room, "room"),
                copied(ParticipantInfo, participant, "participant"),
                copied_or_none(ClientInfo, client_info, "client_info"),
                copied_or_none(AnalyticsClientMeta, client_meta, "client_meta"),
                checked_flag(should_send_event, "should_send_event"),
                checked_guard(guard),
            )
        )

    def participant_active(
        self,
        room: Room,
        participant: ParticipantInfo,
        client_meta: AnalyticsClientMeta | None,
        is_migration: bool,
        guard: int | None,
    ) -> None:
        """As `TelemetryService.participant_active`."""
        self._tell(
            calls.ParticipantActive(
                copied(Room, room, "room"),
                copied(ParticipantInfo, participant, "participant"),
                copied_or_none(AnalyticsClientMeta, client_meta, "client_meta"),
                checked_flag(is_migration, "is_migration"),
                checked_guard(guard),
            )
        )

    def participant_resumed(
        self, room: Room, participant: ParticipantInfo, node_id: str, reason: int | str
    ) -> None:
        """As `TelemetryService.participant_resumed`."""
        self._tell(
            calls.ParticipantResumed(
                copied(Room, room, "room"),
                copied(ParticipantInfo, participant, "participant"),
                NodeID(checked_text(node_id, "node_id")),
                enum_number(ReconnectReason, reason, "reason"),
            )
        )

    def participant_left(
        self, room: Room, participant: ParticipantInfo, should_send_event: bool, guard: int | None
    ) -> None:
        """As `TelemetryService.participant_left`."""
        self._tell(
            calls.ParticipantLeft(
                copied(Room, room, "room"),
                copied(ParticipantInfo, participant, "participant"),
                checked_flag(should_send_event, "should_send_event"),
                checked_guard(guard),
            )
        )

    def egress_started(self, info: EgressInfo) -> None:
        """As `TelemetryService.egress_started`."""
        self._tell(calls.EgressStarted(copied(EgressInfo, info, "info")))

    def egress_updated(self, info: EgressInfo) -> None:
        """As `TelemetryService.egress_updated`."""
        self._tell(calls.EgressUpdated(copied(EgressInfo, info, "info")))

    def egress_ended(self, info: EgressInfo) -> None:
        """As `TelemetryService.egress_ended`."""
        self._tell(calls.EgressEnded(copied(EgressInfo, info, "info")))

    def ingress_created(self, info: IngressInfo) -> None:
        """As `TelemetryService.ingress_created`."""
        self._tell(calls.IngressCreated(copied(IngressInfo, info, "info")))

    def ingress_deleted(self, info: IngressInfo) -> None:
        """As `TelemetryService.ingress_deleted`."""
        self._tell(calls.IngressDeleted(copied(IngressInfo, info, "info")))

    def ingress_started(self, info: IngressInfo) -> None:
        """As `TelemetryService.ingress_started`."""
        self._tell(calls.IngressStarted(copied(IngressInfo, info, "info")))

    def ingress_updated(self, info: IngressInfo) -> None:
        """As `TelemetryService.ingress_updated`."""
        self._tell(calls.IngressUpdated(copied(IngressInfo, info, "info")))

    def ingress_ended(self, info: IngressInfo) -> None:
        """As `TelemetryService.ingress_ended`."""
        self._tell(calls.IngressEnded(copied(IngressInfo, info, "info")))

    def local_room_state(self, info: AnalyticsNodeRooms | None) -> None:
        """As `TelemetryService.local_room_state`."""
        self._tell(calls.LocalRoomState(copied_or_none(AnalyticsNodeRooms, info, "info")))

    def report(self, report_info: ReportInfo | None) -> None:
        """As `TelemetryService.report`."""
        self._tell(calls.Report(copied_or_none(ReportInfo, report_info, "report_info")))

    def api_call(self, api_call_info: APICallInfo | None) -> None:
        """As `TelemetryService.api_call`."""
        self._tell(calls.APICall(copied_or_none(APICallInfo, api_call_info, "api_call_info")))

    def webhook(self, webhook_info: WebhookInfo | None) -> None:
        """As `TelemetryService.webhook`."""
        self._tell(calls.Webhook(copied_or_none(WebhookInfo, webhook_info, "webhook_info")))

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """As `TelemetryService.send_stats`."""
        self._tell(calls.SendStats(copied_all(AnalyticsStat, stats, "stats")))

    def send_event(self, event: AnalyticsEvent) -> None:
        """As `TelemetryService.send_event`."""
        self._tell(calls.SendEvent(copied(AnalyticsEvent, event, "event")))

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """As `local_room_state`, under the analytics service's name for it."""
        self._tell(
            calls.LocalRoomState(copied_or_none(AnalyticsNodeRooms, node_rooms, "node_rooms"))
        )

    def notify_egress_event(self, event: str, info: EgressInfo | None) -> None:
        """As `TelemetryService.notify_egress_event`."""
        self._tell(
            calls.NotifyEgressEvent(
                checked_text(event, "event"), copied_or_none(EgressInfo, info, "info")
            )
        )

    def flush_stats(self) -> None:
        """As `TelemetryService.flush_stats`."""
        self._tell(calls.FlushStats())


def _stats_key(key: object) -> StatsKey:
    if not isinstance(key, Mapping):
        raise TypeError(f"key: expected StatsKey, got {type(key).__name__}")
    return StatsKey.from_names(key)
