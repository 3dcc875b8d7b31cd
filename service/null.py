"""`NullTelemetryService`: does nothing, with the same signatures.

Source: livekit pkg/telemetry/telemetryservice.go, NullTelemetryService.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

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
from livekit.protocol.models import ClientInfo, ParticipantInfo, Room, RTPStats, TrackInfo

from ..messages.ids import StatsKey


class NullTelemetryService:
    """A `TelemetryService` for hosts without telemetry: no thread, no check, no effect."""

    def track_stats(
        self,
        room_id: str,
        room_name: str,
        key: StatsKey | Mapping[str, object],
        stat: AnalyticsStat,
    ) -> None:
        """Do nothing."""

    def room_started(self, room: Room) -> None:
        """Do nothing."""

    def room_ended(self, room: Room) -> None:
        """Do nothing."""

    def participant_joined(
        self,
        room: Room,
        participant: ParticipantInfo,
        client_info: ClientInfo | None,
        client_meta: AnalyticsClientMeta | None,
        should_send_event: bool,
        guard: int | None,
    ) -> None:
        """Do nothing."""

    def participant_active(
        self,
        room: Room,
        participant: ParticipantInfo,
        client_meta: AnalyticsClientMeta | None,
        is_migration: bool,
        guard: int | None,
    ) -> None:
        """Do nothing."""

    def participant_resumed(
        self, room: Room, participant: ParticipantInfo, node_id: str, reason: int | str
    ) -> None:
        """Do nothing."""

    def participant_left(
        self, room: Room, participant: ParticipantInfo, should_send_event: bool, guard: int | None
    ) -> None:
        """Do nothing."""

    def track_publish_requested(
        self, room_id: str, room_name: str, participant_id: str, identity: str, track: TrackInfo
    ) -> None:
        """Do nothing."""

    def track_published(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        identity: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """Do nothing."""

    def track_unpublished(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        identity: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """Do nothing."""

    def track_subscribe_requested(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """Do nothing."""

    def track_subscribed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo,
        publisher: ParticipantInfo | None,
        should_send_event: bool,
    ) -> None:
        """Do nothing."""

    def track_unsubscribed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """Do nothing."""

    def track_subscribe_failed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        error: str,
        is_user_error: bool,
    ) -> None:
        """Do nothing."""

    def track_muted(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """Do nothing."""

    def track_unmuted(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """Do nothing."""

    def track_published_update(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """Do nothing."""

    def track_max_subscribed_video_quality(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo | None,
        mime: str,
        max_quality: int | str,
    ) -> None:
        """Do nothing."""

    def track_publish_rtp_stats(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        mime_type: str,
        layer: int,
        stats: RTPStats | None,
    ) -> None:
        """Do nothing."""

    def track_subscribe_rtp_stats(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        mime_type: str,
        stats: RTPStats | None,
    ) -> None:
        """Do nothing."""

    def egress_started(self, info: EgressInfo) -> None:
        """Do nothing."""

    def egress_updated(self, info: EgressInfo) -> None:
        """Do nothing."""

    def egress_ended(self, info: EgressInfo) -> None:
        """Do nothing."""

    def ingress_created(self, info: IngressInfo) -> None:
        """Do nothing."""

    def ingress_deleted(self, info: IngressInfo) -> None:
        """Do nothing."""

    def ingress_started(self, info: IngressInfo) -> None:
        """Do nothing."""

    def ingress_updated(self, info: IngressInfo) -> None:
        """Do nothing."""

    def ingress_ended(self, info: IngressInfo) -> None:
        """Do nothing."""

    def local_room_state(self, info: AnalyticsNodeRooms | None) -> None:
        """Do nothing."""

    def report(self, report_info: ReportInfo | None) -> None:
        """Do nothing."""

    def api_call(self, api_call_info: APICallInfo | None) -> None:
        """Do nothing."""

    def webhook(self, webhook_info: WebhookInfo | None) -> None:
        """Do nothing."""

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Do nothing."""

    def send_event(self, event: AnalyticsEvent) -> None:
        """Do nothing."""

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Do nothing."""

    def notify_egress_event(self, event: str, info: EgressInfo | None) -> None:
        """Do nothing."""

    def flush_stats(self) -> None:
        """Do nothing."""

    def guard(self) -> int:
        """Any number serves: nothing is counted."""
        return 0

    def sync(self, timeout: float | None = None) -> bool:
        """Nothing is waited for, as with a `Telemetry` that has processed everything."""
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Nothing is to be handed over."""
        return True

    def __enter__(self) -> Self:
        """Itself, so that it can stand in for a `Telemetry`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing."""
