"""The calls about tracks; `calls` has the others and the union of all.

Source: livekit pkg/telemetry/telemetryservice.go, TelemetryService.
"""

from __future__ import annotations

from typing import TypeAlias

from livekit.protocol.models import ParticipantInfo, RTPStats, TrackInfo

from ._message import message
from .ids import ParticipantID, ParticipantIdentity, RoomID, RoomName, TrackID


@message
class TrackPublishRequested:
    """A publication attempt was received."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    identity: ParticipantIdentity
    track: TrackInfo


@message
class TrackPublished:
    """A publication attempt was successful."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    identity: ParticipantIdentity
    track: TrackInfo
    should_send_event: bool


@message
class TrackUnpublished:
    """A participant unpublished a track."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    identity: ParticipantIdentity
    track: TrackInfo
    should_send_event: bool


@message
class TrackSubscribeRequested:
    """A participant asked to subscribe to a track."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo | None


@message
class TrackSubscribed:
    """A participant subscribed to a track."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo
    publisher: ParticipantInfo | None
    should_send_event: bool


@message
class TrackUnsubscribed:
    """A participant unsubscribed from a track."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo
    should_send_event: bool


@message
class TrackSubscribeFailed:
    """A subscription failed; `error` is the error's text."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track_id: TrackID
    error: str
    is_user_error: bool


@message
class TrackMuted:
    """The publisher muted the track."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo | None


@message
class TrackUnmuted:
    """The publisher unmuted the track."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo | None


@message
class TrackPublishedUpdate:
    """A published track's metadata changed."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo | None


@message
class TrackMaxSubscribedVideoQuality:
    """The highest quality that subscribers want; `max_quality` is a number of `VideoQuality`."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track: TrackInfo | None
    mime: str
    max_quality: int


@message
class TrackPublishRTPStats:
    """RTP statistics of a published track's layer, at its end."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track_id: TrackID
    mime_type: str
    layer: int
    stats: RTPStats | None


@message
class TrackSubscribeRTPStats:
    """RTP statistics of a subscription, at its end."""

    room_id: RoomID
    room_name: RoomName
    participant_id: ParticipantID
    track_id: TrackID
    mime_type: str
    stats: RTPStats | None


TrackCall: TypeAlias = (
    TrackPublishRequested
    | TrackPublished
    | TrackUnpublished
    | TrackSubscribeRequested
    | TrackSubscribed
    | TrackUnsubscribed
    | TrackSubscribeFailed
    | TrackMuted
    | TrackUnmuted
    | TrackPublishedUpdate
    | TrackMaxSubscribedVideoQuality
    | TrackPublishRTPStats
    | TrackSubscribeRTPStats
)
