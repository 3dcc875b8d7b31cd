"""The record of one webhook's fate, for the analytics service.

Source: livekit/protocol webhook/resource_url_notifier.go and webhook/notifier.go, at the version
that webhook.py names.
"""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import WebhookInfo
from livekit.protocol.egress import EgressStatus
from livekit.protocol.ingress import IngressState
from livekit.protocol.webhook import WebhookEvent

from .delivery import QUEUE_FULL, Done, Outcome
from .metrics import enum_label
from .times import ZERO_TIME_NS, timestamp


def build_webhook_info(
    event: WebhookEvent,
    url: str,
    *,
    queued_at_ns: int | None = None,
    queue_duration_ns: int = 0,
    sent_at_ns: int | None = None,
    send_duration_ns: int = 0,
    is_dropped: bool = False,
    send_error: str = "",
) -> WebhookInfo:
    """Describe what became of `event` at `url`.

    Args:
        event: The webhook; not modified.
        url: In full, with a password if it has one.
        queued_at_ns: When it was queued (Unix ns); None: the queue did not take it.
        queue_duration_ns: How long it waited for its turn.
        sent_at_ns: When its first attempt began (Unix ns); None: there was none.
        send_duration_ns: From there to its end, waits included.
        is_dropped: True when no attempt was made.
        send_error: Why sending failed; empty when delivered, and when dropped.
    """
    info = WebhookInfo(
        event_id=event.id,
        event=event.event,
        created_at=Timestamp(seconds=event.created_at),
        queued_at=_timestamp(queued_at_ns),
        queue_duration_ns=queue_duration_ns,
        sent_at=_timestamp(sent_at_ns),
        send_duration_ns=send_duration_ns,
        url=url,
        num_dropped=event.num_dropped,
        is_dropped=is_dropped,
        send_error=send_error,
    )
    _describe_resources(info, event)
    return info


def describe(done: Done, url: str) -> WebhookInfo:
    """The record of a delivery to `url` that an outbox has ended."""
    delivery, started_at_ns = done.delivery, done.delivery.started_at_ns
    left_queue_at_ns = done.ended_at_ns if started_at_ns is None else started_at_ns
    was_queued = done.reason != QUEUE_FULL
    return build_webhook_info(
        delivery.event,
        url,
        queued_at_ns=delivery.queued_at_ns if was_queued else None,
        queue_duration_ns=left_queue_at_ns - delivery.queued_at_ns if was_queued else 0,
        sent_at_ns=started_at_ns,
        send_duration_ns=done.ended_at_ns - left_queue_at_ns,
        is_dropped=done.outcome is Outcome.DROP,
        send_error=done.send_error,
    )


def _timestamp(at_ns: int | None) -> Timestamp:
    return timestamp(ZERO_TIME_NS if at_ns is None else at_ns)


def _describe_resources(info: WebhookInfo, event: WebhookEvent) -> None:
    if event.HasField("room"):
        info.room_name, info.room_id = event.room.name, event.room.sid
    if event.HasField("participant"):
        info.participant_identity = event.participant.identity
        info.participant_id = event.participant.sid
    if event.HasField("track"):
        info.track_id = event.track.sid
    if event.HasField("egress_info"):
        egress = event.egress_info
        info.egress_id = egress.egress_id
        info.service_status = enum_label(EgressStatus, egress.status)
        if egress.error:
            info.service_error, info.service_error_code = egress.error, egress.error_code
    if event.HasField("ingress_info"):
        ingress = event.ingress_info
        info.ingress_id = ingress.ingress_id
        if ingress.HasField("state"):  # overrides what an egress said, as in the original
            info.service_status = enum_label(IngressState.Status, ingress.state.status)
            info.service_error = ingress.state.error
