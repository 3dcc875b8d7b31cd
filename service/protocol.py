"""`TelemetryService`: what a host may call, in LiveKit's names.

Source: livekit pkg/telemetry/telemetryservice.go, TelemetryService. The names of the parameters
are the keys of a recorded call. Contexts and result channels of the original have no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

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


class TelemetryService(Protocol):
    """Every method returns at once and never blocks.

    What is passed is copied: it may be changed or reused after the call. An enum is a number or
    its name. A guard is an id from `guard()`, shared by the calls of one statistics collector:
    it counts once in a worker's life, and the worker closes when its last guard is released by
    `participant_left`; `None` neither counts nor releases.

    Raises:
        TypeError: An argument is not of its type; the text begins with the parameter's name.
        ValueError: A text has no UTF-8 form, a number does not fit, an enum has no such name.
    """

    def track_stats(
        self,
        room_id: str,
        room_name: str,
        key: StatsKey | Mapping[str, object],
        stat: AnalyticsStat,
    ) -> None:
        """Take a track's counters since its last report.

        Called every few seconds for each track, in both directions.
        """

    def room_started(self, room: Room) -> None:
        """A room came to be."""

    def room_ended(self, room: Room) -> None:
        """A room is over."""

    def participant_joined(
        self,
        room: Room,
        participant: ParticipantInfo,
        client_info: ClientInfo | None,
        client_meta: AnalyticsClientMeta | None,
        should_send_event: bool,
        guard: int | None,
    ) -> None:
        """A participant has a signal connection to a room."""

    def participant_active(
        self,
        room: Room,
        participant: ParticipantInfo,
        client_meta: AnalyticsClientMeta | None,
        is_migration: bool,
        guard: int | None,
    ) -> None:
        """A participant has a media connection."""

    def participant_resumed(
        self, room: Room, participant: ParticipantInfo, node_id: str, reason: int | str
    ) -> None:
        """There was an ICE restart or a resume, and its signal connection is here."""

    def participant_left(
        self, room: Room, participant: ParticipantInfo, should_send_event: bool, guard: int | None
    ) -> None:
        """A participant left the room, or one of its two collectors ended."""

    def track_publish_requested(
        self, room_id: str, room_name: str, participant_id: str, identity: str, track: TrackInfo
    ) -> None:
        """A publication attempt was received."""

    def track_published(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        identity: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """A publication attempt was successful."""

    def track_unpublished(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        identity: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """A participant unpublished a track."""

    def track_subscribe_requested(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """A participant asked to subscribe to a track."""

    def track_subscribed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo,
        publisher: ParticipantInfo | None,
        should_send_event: bool,
    ) -> None:
        """A participant subscribed to a track."""

    def track_unsubscribed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """A participant unsubscribed from a track."""

    def track_subscribe_failed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        error: str,
        is_user_error: bool,
    ) -> None:
        """A subscription failed; `error` is the error's text."""

    def track_muted(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """The publisher muted the track."""

    def track_unmuted(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """The publisher unmuted the track."""

    def track_published_update(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """A published track's metadata changed."""

    def track_max_subscribed_video_quality(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo | None,
        mime: str,
        max_quality: int | str,
    ) -> None:
        """The publisher is told the highest quality that subscribers want."""

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
        """RTP statistics of a published track's layer, at its end."""

    def track_subscribe_rtp_stats(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        mime_type: str,
        stats: RTPStats | None,
    ) -> None:
        """RTP statistics of a subscription, at its end."""

    def egress_started(self, info: EgressInfo) -> None:
        """An egress started."""

    def egress_updated(self, info: EgressInfo) -> None:
        """An egress changed."""

    def egress_ended(self, info: EgressInfo) -> None:
        """An egress is over."""

    def ingress_created(self, info: IngressInfo) -> None:
        """An ingress was made."""

    def ingress_deleted(self, info: IngressInfo) -> None:
        """An ingress was deleted."""

    def ingress_started(self, info: IngressInfo) -> None:
        """An ingress began to publish."""

    def ingress_updated(self, info: IngressInfo) -> None:
        """An ingress changed."""

    def ingress_ended(self, info: IngressInfo) -> None:
        """An ingress stopped publishing."""

    def local_room_state(self, info: AnalyticsNodeRooms | None) -> None:
        """The rooms of this node, passed on to the analytics service."""

    def report(self, report_info: ReportInfo | None) -> None:
        """A usage report."""

    def api_call(self, api_call_info: APICallInfo | None) -> None:
        """A server API call was answered."""

    def webhook(self, webhook_info: WebhookInfo | None) -> None:
        """A webhook was delivered, given up or dropped."""

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Pass statistics on to the analytics service."""

    def send_event(self, event: AnalyticsEvent) -> None:
        """Pass an event on to the analytics service."""

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Pass the state of a node's rooms on to the analytics service."""

    def notify_egress_event(self, event: str, info: EgressInfo | None) -> None:
        """Send a webhook about an egress under any event name, without an analytics event."""

    def flush_stats(self) -> None:
        """Flush every worker now, without waiting for the tick."""

    def guard(self) -> int:
        """A new guard, for one collector of one participant's statistics."""
