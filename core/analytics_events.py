"""From a call to the analytics event that it causes.

Source: livekit pkg/telemetry/events.go at b81bac0ec3. Every builder takes the call and the time
of its execution (Unix ns) and makes a new message; nothing of the call is shared with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import AnalyticsClientMeta, AnalyticsEvent, AnalyticsEventType
from livekit.protocol.models import ParticipantInfo, Room, TrackInfo

from ..messages import calls, track_calls
from ..messages.calls import Call
from ..messages.ids import RoomID, RoomName
from .times import timestamp

Builder = Callable[[Call, int], AnalyticsEvent]
C = TypeVar("C", bound=Call)


def _event(kind: int, at_ns: int, **fields: Message | str | int | None) -> AnalyticsEvent:
    """`None` leaves a field out, as Go's nil does."""
    return AnalyticsEvent(type=kind, timestamp=timestamp(at_ns), **fields)  # type: ignore[arg-type]


def minimal_room(room_id: RoomID, room_name: RoomName) -> Room:
    """A room of which only id and name are known."""
    return Room(sid=room_id, name=room_name)


def _participant_event(
    kind: int,
    call: calls.ParticipantJoined
    | calls.ParticipantActive
    | calls.ParticipantResumed
    | calls.ParticipantLeft,
    at_ns: int,
    **more: Message | None,
) -> AnalyticsEvent:
    return _event(
        kind,
        at_ns,
        room=call.room,
        room_id=call.room.sid,
        participant=call.participant,
        participant_id=call.participant.sid,
        **more,
    )


TrackCall = (
    track_calls.TrackPublishRequested
    | track_calls.TrackPublished
    | track_calls.TrackUnpublished
    | track_calls.TrackSubscribeRequested
    | track_calls.TrackSubscribed
    | track_calls.TrackUnsubscribed
    | track_calls.TrackMuted
    | track_calls.TrackUnmuted
    | track_calls.TrackPublishedUpdate
    | track_calls.TrackMaxSubscribedVideoQuality
)


def _track_event(
    kind: int,
    call: TrackCall | track_calls.TrackSubscribeFailed,
    track: TrackInfo | None,
    at_ns: int,
    *,
    identity: str = "",
    **more: Message | str | int | None,
) -> AnalyticsEvent:
    return _event(
        kind,
        at_ns,
        room=minimal_room(call.room_id, call.room_name),
        room_id=call.room_id,
        participant=ParticipantInfo(sid=call.participant_id, identity=identity),
        participant_id=call.participant_id,
        track=track,
        track_id=track.sid if track is not None else "",
        **more,
    )


def room_started(call: calls.RoomStarted, at_ns: int) -> AnalyticsEvent:
    """ROOM_CREATED carries the room's own time, in whole seconds, and no room_id."""
    created = Timestamp(seconds=call.room.creation_time)
    return AnalyticsEvent(type=AnalyticsEventType.ROOM_CREATED, timestamp=created, room=call.room)


def room_ended(call: calls.RoomEnded, at_ns: int) -> AnalyticsEvent:
    """ROOM_ENDED, now."""
    return _event(AnalyticsEventType.ROOM_ENDED, at_ns, room=call.room, room_id=call.room.sid)


def participant_joined(call: calls.ParticipantJoined, at_ns: int) -> AnalyticsEvent:
    """PARTICIPANT_JOINED with what is known of the client."""
    return _participant_event(
        AnalyticsEventType.PARTICIPANT_JOINED,
        call,
        at_ns,
        client_info=call.client_info,
        client_meta=call.client_meta,
    )


def participant_active(call: calls.ParticipantActive, at_ns: int) -> AnalyticsEvent:
    """PARTICIPANT_ACTIVE."""
    kind = AnalyticsEventType.PARTICIPANT_ACTIVE
    return _participant_event(kind, call, at_ns, client_meta=call.client_meta)


def participant_resumed(call: calls.ParticipantResumed, at_ns: int) -> AnalyticsEvent:
    """PARTICIPANT_RESUMED; its client_meta has the node and the reason only."""
    meta = AnalyticsClientMeta(node=call.node_id, reconnect_reason=call.reason)  # type: ignore[arg-type]
    kind = AnalyticsEventType.PARTICIPANT_RESUMED
    return _participant_event(kind, call, at_ns, client_meta=meta)


def participant_left(
    call: calls.ParticipantLeft, at_ns: int, *, was_connected: bool
) -> AnalyticsEvent:
    """PARTICIPANT_LEFT, or PARTICIPANT_CONNECTION_ABORTED when it was never connected."""
    left = AnalyticsEventType.PARTICIPANT_LEFT
    aborted = AnalyticsEventType.PARTICIPANT_CONNECTION_ABORTED
    return _participant_event(left if was_connected else aborted, call, at_ns)


def _of_kind(kind: int) -> Callable[[TrackCall, int], AnalyticsEvent]:
    """A builder for a track event with nothing of its own."""

    def build(call: TrackCall, at_ns: int) -> AnalyticsEvent:
        return _track_event(kind, call, call.track, at_ns)

    return build


def track_publish_requested(call: track_calls.TrackPublishRequested, at_ns: int) -> AnalyticsEvent:
    """TRACK_PUBLISH_REQUESTED, with the publisher's identity."""
    kind = AnalyticsEventType.TRACK_PUBLISH_REQUESTED
    return _track_event(kind, call, call.track, at_ns, identity=call.identity)


def track_published(call: track_calls.TrackPublished, at_ns: int) -> AnalyticsEvent:
    """TRACK_PUBLISHED, with the publisher's identity (TRACK_UNPUBLISHED has none)."""
    kind = AnalyticsEventType.TRACK_PUBLISHED
    return _track_event(kind, call, call.track, at_ns, identity=call.identity)


def track_subscribed(call: track_calls.TrackSubscribed, at_ns: int) -> AnalyticsEvent:
    """TRACK_SUBSCRIBED, with the publisher."""
    kind = AnalyticsEventType.TRACK_SUBSCRIBED
    return _track_event(kind, call, call.track, at_ns, publisher=call.publisher)


def track_subscribe_failed(call: track_calls.TrackSubscribeFailed, at_ns: int) -> AnalyticsEvent:
    """TRACK_SUBSCRIBE_FAILED, with the error's text; only the track's id is known."""
    kind = AnalyticsEventType.TRACK_SUBSCRIBE_FAILED
    return _track_event(kind, call, TrackInfo(sid=call.track_id), at_ns, error=call.error)


def track_max_quality(
    call: track_calls.TrackMaxSubscribedVideoQuality, at_ns: int
) -> AnalyticsEvent:
    """TRACK_MAX_SUBSCRIBED_VIDEO_QUALITY."""
    return _track_event(
        AnalyticsEventType.TRACK_MAX_SUBSCRIBED_VIDEO_QUALITY,
        call,
        call.track,
        at_ns,
        max_subscribed_video_quality=call.max_quality,
        mime=call.mime,
    )


def _rtp_stats(
    kind: int,
    call: track_calls.TrackPublishRTPStats | track_calls.TrackSubscribeRTPStats,
    at_ns: int,
    layer: int,
) -> AnalyticsEvent:
    return _event(
        kind,
        at_ns,
        room=minimal_room(call.room_id, call.room_name),
        room_id=call.room_id,
        participant_id=call.participant_id,
        track_id=call.track_id,
        mime=call.mime_type,
        video_layer=layer,
        rtp_stats=call.stats,
    )


def track_publish_rtp_stats(call: track_calls.TrackPublishRTPStats, at_ns: int) -> AnalyticsEvent:
    """TRACK_PUBLISH_STATS: participant_id only, no participant."""
    return _rtp_stats(AnalyticsEventType.TRACK_PUBLISH_STATS, call, at_ns, call.layer)


def track_subscribe_rtp_stats(
    call: track_calls.TrackSubscribeRTPStats, at_ns: int
) -> AnalyticsEvent:
    """TRACK_SUBSCRIBE_STATS: as TRACK_PUBLISH_STATS, without a layer."""
    return _rtp_stats(AnalyticsEventType.TRACK_SUBSCRIBE_STATS, call, at_ns, 0)


EgressCall = calls.EgressStarted | calls.EgressUpdated | calls.EgressEnded
IngressCall = (
    calls.IngressCreated
    | calls.IngressDeleted
    | calls.IngressStarted
    | calls.IngressUpdated
    | calls.IngressEnded
)


def _of_egress(kind: int) -> Callable[[EgressCall, int], AnalyticsEvent]:
    def build(call: EgressCall, at_ns: int) -> AnalyticsEvent:
        info = call.info
        return _event(kind, at_ns, egress=info, egress_id=info.egress_id, room_id=info.room_id)

    return build


def _of_ingress(kind: int) -> Callable[[IngressCall, int], AnalyticsEvent]:
    def build(call: IngressCall, at_ns: int) -> AnalyticsEvent:
        return _event(kind, at_ns, ingress=call.info, ingress_id=call.info.ingress_id)

    return build


def report(call: calls.Report, at_ns: int) -> AnalyticsEvent:
    """REPORT, the info as it is."""
    return _event(AnalyticsEventType.REPORT, at_ns, report=call.report_info)


def api_call(call: calls.APICall, at_ns: int) -> AnalyticsEvent:
    """API_CALL, the info as it is."""
    return _event(AnalyticsEventType.API_CALL, at_ns, api_call=call.api_call_info)


def webhook(call: calls.Webhook, at_ns: int) -> AnalyticsEvent:
    """WEBHOOK, the info as it is."""
    return _event(AnalyticsEventType.WEBHOOK, at_ns, webhook=call.webhook_info)


BUILDERS: Final[dict[type[Call], Callable[..., AnalyticsEvent]]] = {
    calls.RoomStarted: room_started,
    calls.RoomEnded: room_ended,
    calls.ParticipantJoined: participant_joined,
    calls.ParticipantActive: participant_active,
    calls.ParticipantResumed: participant_resumed,
    track_calls.TrackPublishRequested: track_publish_requested,
    track_calls.TrackPublished: track_published,
    track_calls.TrackUnpublished: _of_kind(AnalyticsEventType.TRACK_UNPUBLISHED),
    track_calls.TrackSubscribeRequested: _of_kind(AnalyticsEventType.TRACK_SUBSCRIBE_REQUESTED),
    track_calls.TrackSubscribed: track_subscribed,
    track_calls.TrackUnsubscribed: _of_kind(AnalyticsEventType.TRACK_UNSUBSCRIBED),
    track_calls.TrackSubscribeFailed: track_subscribe_failed,
    track_calls.TrackMuted: _of_kind(AnalyticsEventType.TRACK_MUTED),
    track_calls.TrackUnmuted: _of_kind(AnalyticsEventType.TRACK_UNMUTED),
    track_calls.TrackPublishedUpdate: _of_kind(AnalyticsEventType.TRACK_PUBLISHED_UPDATE),
    track_calls.TrackMaxSubscribedVideoQuality: track_max_quality,
    track_calls.TrackPublishRTPStats: track_publish_rtp_stats,
    track_calls.TrackSubscribeRTPStats: track_subscribe_rtp_stats,
    calls.EgressStarted: _of_egress(AnalyticsEventType.EGRESS_STARTED),
    calls.EgressUpdated: _of_egress(AnalyticsEventType.EGRESS_UPDATED),
    calls.EgressEnded: _of_egress(AnalyticsEventType.EGRESS_ENDED),
    calls.IngressCreated: _of_ingress(AnalyticsEventType.INGRESS_CREATED),
    calls.IngressDeleted: _of_ingress(AnalyticsEventType.INGRESS_DELETED),
    calls.IngressStarted: _of_ingress(AnalyticsEventType.INGRESS_STARTED),
    calls.IngressUpdated: _of_ingress(AnalyticsEventType.INGRESS_UPDATED),
    calls.IngressEnded: _of_ingress(AnalyticsEventType.INGRESS_ENDED),
    calls.Report: report,
    calls.APICall: api_call,
    calls.Webhook: webhook,
}


def event_of(call: Call, at_ns: int) -> AnalyticsEvent:
    """The analytics event of a call that always has the same one.

    `ParticipantLeft` is not among them: see `participant_left`.

    Raises:
        KeyError: This type of call causes no event by itself.
    """
    return BUILDERS[type(call)](call, at_ns)
