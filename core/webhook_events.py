"""From a call to the webhook that it causes, if any.

Source: livekit pkg/telemetry/events.go at b81bac0ec3, protocol egress/notify_options.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from livekit.protocol.egress import EgressInfo
from livekit.protocol.models import ParticipantInfo, WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..messages import calls, track_calls
from ..messages.calls import Call
from .analytics_events import minimal_room

# of LiveKit; `notify_egress_event` sends others too (protocol webhook/events.go)
EVENT_NAMES: Final = (
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
)


def participant_left(call: calls.ParticipantLeft, *, was_connected: bool) -> WebhookEvent:
    """`participant_left`, or `participant_connection_aborted` when it was never connected."""
    name = "participant_left" if was_connected else "participant_connection_aborted"
    return WebhookEvent(event=name, room=call.room, participant=call.participant)


def _track(
    name: str,
) -> Callable[[track_calls.TrackPublished | track_calls.TrackUnpublished], WebhookEvent]:
    def build(call: track_calls.TrackPublished | track_calls.TrackUnpublished) -> WebhookEvent:
        return WebhookEvent(
            event=name,
            room=minimal_room(call.room_id, call.room_name),
            participant=ParticipantInfo(sid=call.participant_id, identity=call.identity),
            track=call.track,
        )

    return build


def egress(name: str, info: EgressInfo | None) -> WebhookEvent:
    """An egress event under any name; `info` may be absent."""
    return WebhookEvent(event=name, egress_info=info)


BUILDERS: Final[dict[type[Call], Callable[..., WebhookEvent]]] = {
    calls.RoomStarted: lambda call: WebhookEvent(event="room_started", room=call.room),
    calls.RoomEnded: lambda call: WebhookEvent(event="room_finished", room=call.room),
    calls.ParticipantActive: lambda call: WebhookEvent(
        event="participant_joined", room=call.room, participant=call.participant
    ),
    track_calls.TrackPublished: _track("track_published"),
    track_calls.TrackUnpublished: _track("track_unpublished"),
    calls.EgressStarted: lambda call: egress("egress_started", call.info),
    calls.EgressUpdated: lambda call: egress("egress_updated", call.info),
    calls.EgressEnded: lambda call: egress("egress_ended", call.info),
    calls.NotifyEgressEvent: lambda call: egress(call.event, call.info),
    calls.IngressStarted: lambda call: WebhookEvent(
        event="ingress_started", ingress_info=call.info
    ),
    calls.IngressEnded: lambda call: WebhookEvent(event="ingress_ended", ingress_info=call.info),
}


def webhook_of(call: Call) -> WebhookEvent:
    """The webhook of a call that always has the same one, without id and created_at.

    Raises:
        KeyError: This type of call causes no webhook by itself.
    """
    return BUILDERS[type(call)](call)


def extra_webhooks(info: EgressInfo | None) -> tuple[WebhookConfig, ...]:
    """The webhooks that an egress request asks for, whatever kind of request it is."""
    request = info.WhichOneof("request") if info is not None else None
    return tuple(getattr(info, request).webhooks) if request else ()
