"""Announcer: the part of the supervisor that counts and announces, and knows no worker.

Each call here becomes a webhook, an analytics event or both, in the order of the calls.

Source: livekit pkg/telemetry/events.go at b81bac0ec3.
"""

from __future__ import annotations

from livekit.protocol.analytics import AnalyticsEvent
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..core import analytics_events, webhook_events
from ..core.ids import derive_id
from ..core.metrics import Metrics
from ..core.times import NS_PER_SECOND
from ..messages import calls, track_calls
from ..messages.calls import Call
from ..messages.control import Stamped
from ..messages.endpoints import (
    EndpointChanged,
    EndpointInput,
    EndpointRemoved,
    StopSending,
)
from ..messages.outputs import (
    Notify,
    RecorderCommand,
    RecordEvent,
    RecordNodeRooms,
    RecordStats,
)
from ._base import ActorAddress, GreenroomActor, stamped


class Announcer(GreenroomActor):
    """Tells the recorder and the notifier; whoever derives from it starts both."""

    metrics: Metrics
    recorder: ActorAddress
    notifier: ActorAddress

    # ── tracks ──────────────────────────────────────────────────────────────────────────────

    @stamped(track_calls.TrackPublishRequested)
    def on_track_publish_requested(
        self, call: track_calls.TrackPublishRequested, stamp: Stamped
    ) -> None:
        """An attempt is counted."""
        self.metrics.track_publish_requested(call.track.type)
        self._announce(call, stamp)

    @stamped(track_calls.TrackPublished)
    def on_track_published(self, call: track_calls.TrackPublished, stamp: Stamped) -> None:
        """A success is counted, announced or not."""
        self.metrics.track_published(call.track.type)
        if call.should_send_event:
            self._announce(call, stamp)

    @stamped(track_calls.TrackUnpublished)
    def on_track_unpublished(self, call: track_calls.TrackUnpublished, stamp: Stamped) -> None:
        """The gauge goes down, announced or not."""
        self.metrics.track_unpublished(call.track.type)
        if call.should_send_event:
            self._announce(call, stamp)

    @stamped(track_calls.TrackSubscribeRequested)
    def on_track_subscribe_requested(
        self, call: track_calls.TrackSubscribeRequested, stamp: Stamped
    ) -> None:
        """An attempt is counted."""
        self.metrics.track_subscribe_requested()
        self._announce(call, stamp)

    @stamped(track_calls.TrackSubscribed)
    def on_track_subscribed(self, call: track_calls.TrackSubscribed, stamp: Stamped) -> None:
        """A success is counted, announced or not."""
        self.metrics.track_subscribed(call.track.type)
        if call.should_send_event:
            self._announce(call, stamp)

    @stamped(track_calls.TrackUnsubscribed)
    def on_track_unsubscribed(self, call: track_calls.TrackUnsubscribed, stamp: Stamped) -> None:
        """The gauge goes down, announced or not."""
        self.metrics.track_unsubscribed(call.track.type)
        if call.should_send_event:
            self._announce(call, stamp)

    @stamped(track_calls.TrackSubscribeFailed)
    def on_track_subscribe_failed(
        self, call: track_calls.TrackSubscribeFailed, stamp: Stamped
    ) -> None:
        """The failure's text is a label."""
        self.metrics.track_subscribe_failed(call.error, call.is_user_error)
        self._announce(call, stamp)

    # ── everything that is only announced ───────────────────────────────────────────────────

    @stamped(
        calls.RoomStarted,
        calls.RoomEnded,
        track_calls.TrackMuted,
        track_calls.TrackUnmuted,
        track_calls.TrackPublishedUpdate,
        track_calls.TrackMaxSubscribedVideoQuality,
        track_calls.TrackPublishRTPStats,
        track_calls.TrackSubscribeRTPStats,
        calls.IngressCreated,
        calls.IngressDeleted,
        calls.IngressStarted,
        calls.IngressUpdated,
        calls.IngressEnded,
        calls.Report,
        calls.APICall,
        calls.Webhook,
    )
    def on_announcement(self, call: Call, stamp: Stamped) -> None:
        """A webhook if the call has one, then its event."""
        self._announce(call, stamp)

    @stamped(calls.EgressStarted, calls.EgressUpdated, calls.EgressEnded)
    def on_egress(
        self, call: calls.EgressStarted | calls.EgressUpdated | calls.EgressEnded, stamp: Stamped
    ) -> None:
        """An egress request may name webhooks of its own."""
        extra = webhook_events.extra_webhooks(call.info)
        self._notify(webhook_events.webhook_of(call), stamp, extra)
        self._record(analytics_events.event_of(call, stamp.at_ns), stamp)

    @stamped(calls.NotifyEgressEvent)
    def on_notify_egress_event(self, call: calls.NotifyEgressEvent, stamp: Stamped) -> None:
        """A webhook without an event."""
        extra = webhook_events.extra_webhooks(call.info)
        self._notify(webhook_events.webhook_of(call), stamp, extra)

    @stamped(EndpointChanged, EndpointRemoved, StopSending)
    def on_endpoint(self, change: EndpointInput, stamp: Stamped) -> None:
        """The notifier's, and not before the calls that were made before."""
        self.send(self.notifier, stamp)

    @stamped(calls.LocalRoomState)
    def on_local_room_state(self, call: calls.LocalRoomState, stamp: Stamped) -> None:
        """Passed on as it is."""
        self.send(self.recorder, RecordNodeRooms(call.info, output_key(stamp)))

    @stamped(calls.SendStats)
    def on_send_stats(self, call: calls.SendStats, stamp: Stamped) -> None:
        """Passed on as they are."""
        self.send(self.recorder, RecordStats(call.stats, output_key(stamp)))

    @stamped(calls.SendEvent)
    def on_send_event(self, call: calls.SendEvent, stamp: Stamped) -> None:
        """Passed on as it is."""
        self._record(call.event, stamp)

    @stamped(RecordStats, RecordEvent, RecordNodeRooms)
    def on_record(self, record: RecorderCommand, stamp: Stamped) -> None:
        """A dead letter of the recorder, replayed."""
        self.send(self.recorder, record)

    @stamped(Notify)
    def on_notify(self, notify: Notify, stamp: Stamped) -> None:
        """A dead letter of the notifier, replayed: the webhook keeps its id."""
        self.send(self.notifier, notify)

    def _announce(self, call: Call, stamp: Stamped) -> None:
        if type(call) in webhook_events.BUILDERS:
            self._notify(webhook_events.webhook_of(call), stamp)
        self._record(analytics_events.event_of(call, stamp.at_ns), stamp)

    def _record(self, event: AnalyticsEvent, stamp: Stamped) -> None:
        self.send(self.recorder, RecordEvent(event, output_key(stamp)))

    def _notify(
        self, event: WebhookEvent, stamp: Stamped, extra: tuple[WebhookConfig, ...] = ()
    ) -> None:
        """Fix the event's id and time for ever, and give it to the notifier."""
        node_id, shard = self.settings.node_id, self.settings.shard
        event.id = derive_id("EV_", node_id, shard, stamp.position, stamp.at_ns)
        event.created_at = stamp.at_ns // NS_PER_SECOND
        self.send(self.notifier, Notify(event, extra, stamp.at_ns))


def output_key(stamp: Stamped) -> str:
    """What tells the one output of an input from all others."""
    return f"{stamp.position}/{stamp.at_ns}"
