"""`TrackCalls`: the part of `TelemetryCalls` that is about tracks."""

from __future__ import annotations

from livekit.protocol.models import ParticipantInfo, RTPStats, TrackInfo, VideoQuality

from ..messages import track_calls as calls
from ..messages.calls import Call
from ..messages.ids import (
    ParticipantID,
    ParticipantIdentity,
    RoomID,
    RoomName,
    TrackID,
    checked_number,
    checked_text,
)
from .checks import checked_flag, copied, copied_or_none, enum_number


class TrackCalls:
    """Calls about tracks become messages; see `TelemetryService` for arguments and errors."""

    def _tell(self, call: Call) -> None:
        """Send the message on its way; must not block."""
        raise NotImplementedError

    def track_publish_requested(
        self, room_id: str, room_name: str, participant_id: str, identity: str, track: TrackInfo
    ) -> None:
        """As `TelemetryService.track_publish_requested`."""
        self._tell(
            calls.TrackPublishRequested(
                *_place(room_id, room_name, participant_id),
                ParticipantIdentity(checked_text(identity, "identity")),
                copied(TrackInfo, track, "track"),
            )
        )

    def track_published(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        identity: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """As `TelemetryService.track_published`."""
        self._tell(
            calls.TrackPublished(
                *_place(room_id, room_name, participant_id),
                ParticipantIdentity(checked_text(identity, "identity")),
                copied(TrackInfo, track, "track"),
                checked_flag(should_send_event, "should_send_event"),
            )
        )

    def track_unpublished(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        identity: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """As `TelemetryService.track_unpublished`."""
        self._tell(
            calls.TrackUnpublished(
                *_place(room_id, room_name, participant_id),
                ParticipantIdentity(checked_text(identity, "identity")),
                copied(TrackInfo, track, "track"),
                checked_flag(should_send_event, "should_send_event"),
            )
        )

    def track_subscribe_requested(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """As `TelemetryService.track_subscribe_requested`."""
        self._tell(
            calls.TrackSubscribeRequested(
                *_place(room_id, room_name, participant_id),
                copied_or_none(TrackInfo, track, "track"),
            )
        )

    def track_subscribed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo,
        publisher: ParticipantInfo | None,
        should_send_event: bool,
    ) -> None:
        """As `TelemetryService.track_subscribed`."""
        self._tell(
            calls.TrackSubscribed(
                *_place(room_id, room_name, participant_id),
                copied(TrackInfo, track, "track"),
                copied_or_none(ParticipantInfo, publisher, "publisher"),
                checked_flag(should_send_event, "should_send_event"),
            )
        )

    def track_unsubscribed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo,
        should_send_event: bool,
    ) -> None:
        """As `TelemetryService.track_unsubscribed`."""
        self._tell(
            calls.TrackUnsubscribed(
                *_place(room_id, room_name, participant_id),
                copied(TrackInfo, track, "track"),
                checked_flag(should_send_event, "should_send_event"),
            )
        )

    def track_subscribe_failed(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        error: str,
        is_user_error: bool,
    ) -> None:
        """As `TelemetryService.track_subscribe_failed`."""
        self._tell(
            calls.TrackSubscribeFailed(
                *_place(room_id, room_name, participant_id),
                TrackID(checked_text(track_id, "track_id")),
                checked_text(error, "error"),
                checked_flag(is_user_error, "is_user_error"),
            )
        )

    def track_muted(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """As `TelemetryService.track_muted`."""
        self._tell(
            calls.TrackMuted(
                *_place(room_id, room_name, participant_id),
                copied_or_none(TrackInfo, track, "track"),
            )
        )

    def track_unmuted(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """As `TelemetryService.track_unmuted`."""
        self._tell(
            calls.TrackUnmuted(
                *_place(room_id, room_name, participant_id),
                copied_or_none(TrackInfo, track, "track"),
            )
        )

    def track_published_update(
        self, room_id: str, room_name: str, participant_id: str, track: TrackInfo | None
    ) -> None:
        """As `TelemetryService.track_published_update`."""
        self._tell(
            calls.TrackPublishedUpdate(
                *_place(room_id, room_name, participant_id),
                copied_or_none(TrackInfo, track, "track"),
            )
        )

    def track_max_subscribed_video_quality(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track: TrackInfo | None,
        mime: str,
        max_quality: int | str,
    ) -> None:
        """As `TelemetryService.track_max_subscribed_video_quality`."""
        self._tell(
            calls.TrackMaxSubscribedVideoQuality(
                *_place(room_id, room_name, participant_id),
                copied_or_none(TrackInfo, track, "track"),
                checked_text(mime, "mime"),
                enum_number(VideoQuality, max_quality, "max_quality"),
            )
        )

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
        """As `TelemetryService.track_publish_rtp_stats`."""
        self._tell(
            calls.TrackPublishRTPStats(
                *_place(room_id, room_name, participant_id),
                TrackID(checked_text(track_id, "track_id")),
                checked_text(mime_type, "mime_type"),
                checked_number(layer, "layer"),
                copied_or_none(RTPStats, stats, "stats"),
            )
        )

    def track_subscribe_rtp_stats(
        self,
        room_id: str,
        room_name: str,
        participant_id: str,
        track_id: str,
        mime_type: str,
        stats: RTPStats | None,
    ) -> None:
        """As `TelemetryService.track_subscribe_rtp_stats`."""
        self._tell(
            calls.TrackSubscribeRTPStats(
                *_place(room_id, room_name, participant_id),
                TrackID(checked_text(track_id, "track_id")),
                checked_text(mime_type, "mime_type"),
                copied_or_none(RTPStats, stats, "stats"),
            )
        )


def _place(
    room_id: object, room_name: object, participant_id: object
) -> tuple[RoomID, RoomName, ParticipantID]:
    """Whose track it is, checked."""
    return (
        RoomID(checked_text(room_id, "room_id")),
        RoomName(checked_text(room_name, "room_name")),
        ParticipantID(checked_text(participant_id, "participant_id")),
    )
