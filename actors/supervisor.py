"""Supervisor: routes every call, owns who is alive, and starts and retires its children.

Told the host's calls (stamped), the timer's ticks and its children's reports. Tells the
StatsWorkers samples and flushes, the notifier webhooks and the recorder events; webhooks and
events leave in the order of the calls, because no child is asked for anything on the way.

    Supervisor ─┬─ Recorder, Notifier, Timer         one each, as long as it lives
                └─ StatsWorker × (room, participant)  made on first use, retired when long closed

Source: livekit pkg/telemetry/{telemetryservice,events,stats}.go at b81bac0ec3.
"""

from __future__ import annotations

from dataclasses import dataclass

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsStat
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..config import Settings
from ..core import analytics_events, webhook_events
from ..core.ids import derive_id
from ..core.ports import Ports
from ..core.roster import Entry, Opened, Roster
from ..core.times import NS_PER_SECOND, to_ns
from ..messages import calls, track_calls
from ..messages.calls import Call
from ..messages.control import AskWorkers, InputFailed, Stamped, Workers
from ..messages.ids import GuardID, ParticipantID, ParticipantIdentity, RoomID, RoomName, WorkerKey
from ..messages.outputs import Notify, RecordEvent, RecordNodeRooms, RecordStats
from ..messages.stats import (
    Close,
    Flush,
    FlushTick,
    Retire,
    SampleSkipped,
    TrackStat,
    WorkerClosed,
    WorkerSpec,
)
from ._base import ActorAddress, Configure, GreenroomActor, stamped, told
from .notifier import Notifier
from .recorder import Recorder
from .stats_worker import ConfigureWorker, StatsWorker
from .timer import Timer


@dataclass(frozen=True, slots=True)
class ChildClasses:
    """Which classes the supervisor starts; a test may put its own in place."""

    recorder: type[GreenroomActor] = Recorder
    notifier: type[GreenroomActor] = Notifier
    timer: type[GreenroomActor] = Timer
    worker: type[GreenroomActor] = StatsWorker


@dataclass(frozen=True, slots=True)
class ConfigureSupervisor:
    """The supervisor's first message."""

    settings: Settings
    ports: Ports
    children: ChildClasses = ChildClasses()


ParticipantCall = calls.ParticipantJoined | calls.ParticipantActive | calls.ParticipantResumed


class Supervisor(GreenroomActor):
    """The owner of the roster."""

    @classmethod
    def configured_by(cls) -> type:
        """The supervisor also learns the classes of its children."""
        return ConfigureSupervisor

    def on_configure(self, configure: ConfigureSupervisor) -> None:
        """Start the lasting children: outputs first, so that the timer finds them."""
        self.settings = configure.settings
        self.door = configure.ports.door
        self.metrics = configure.ports.metrics
        self.reporter = configure.ports.reporter
        self.roster: Roster[ActorAddress] = Roster()
        self._children = configure.children
        self._close_wait_ns = to_ns(configure.settings.close_wait_seconds)
        self._flushes = 0
        told_all = Configure(configure.settings, configure.ports)
        self.recorder = self._start(configure.children.recorder, told_all)
        self.notifier = self._start(configure.children.notifier, told_all)
        self.timer = self._start(configure.children.timer, told_all)

    # ── statistics ──────────────────────────────────────────────────────────────────────────

    @stamped(calls.TrackStats)
    def on_track_stats(self, call: calls.TrackStats, stamp: Stamped) -> None:
        """Count it, and give it to the participant's worker if there is one."""
        key = call.key
        stat = AnalyticsStat.FromString(call.stat)
        self.metrics.track_stats(key, stat)
        entry = self.roster.find(WorkerKey(call.room_id, key.participant_id))
        if entry is None:
            self.metrics.dropped("unknown_participant", intentional=True)
        else:
            self.send(entry.address, TrackStat(key.track_id, key.stream_type, stat))

    @told(FlushTick)
    def on_flush_tick(self, tick: FlushTick, sender: ActorAddress) -> None:
        """Broadcast the tick to every worker."""
        self._flush(tick.at_ns)

    @stamped(calls.FlushStats)
    def on_flush_stats(self, call: calls.FlushStats, stamp: Stamped) -> None:
        """A flush between two ticks."""
        self._flush(stamp.at_ns)

    @told(SampleSkipped)
    def on_sample_skipped(self, skipped: SampleSkipped, sender: ActorAddress) -> None:
        """A difference that was negative, as in the original; here it is counted."""
        self.metrics.dropped("invalid_stat", intentional=True)

    @told(WorkerClosed)
    def on_worker_closed(self, closed: WorkerClosed, sender: ActorAddress) -> None:
        """Retire that incarnation; its successor, if any, is not touched."""
        entry = self.roster.retire(closed.incarnation)
        if entry is not None:
            self.send(entry.address, Retire(closed.at_ns))

    # ── participants ────────────────────────────────────────────────────────────────────────

    @stamped(calls.ParticipantJoined)
    def on_participant_joined(self, call: calls.ParticipantJoined, stamp: Stamped) -> None:
        """A signal connection: there is a worker from here on."""
        opened = self._open(call, call.guard)
        if opened.is_new:
            self.metrics.participant_opened(joined=True)
        if call.should_send_event:
            self._record(analytics_events.participant_joined(call, stamp.at_ns))

    @stamped(calls.ParticipantActive)
    def on_participant_active(self, call: calls.ParticipantActive, stamp: Stamped) -> None:
        """A media connection: only now does a participant count as joined."""
        if not call.is_migration:
            self._notify(webhook_events.webhook_of(call), stamp)
        opened = self._open(call, call.guard)
        if opened.is_new:
            self.metrics.participant_opened(joined=False)
        opened.entry.connected = True
        self._record(analytics_events.participant_active(call, stamp.at_ns))

    @stamped(calls.ParticipantResumed)
    def on_participant_resumed(self, call: calls.ParticipantResumed, stamp: Stamped) -> None:
        """The signal collector may have closed the worker meanwhile: there is one again."""
        if self._open(call, guard=None).is_new:
            self.metrics.participant_opened(joined=False)
        self._record(analytics_events.participant_resumed(call, stamp.at_ns))

    @stamped(calls.ParticipantLeft)
    def on_participant_left(self, call: calls.ParticipantLeft, stamp: Stamped) -> None:
        """One collector ended; the last one closes the worker."""
        key = WorkerKey(RoomID(call.room.sid), ParticipantID(call.participant.sid))
        left = self.roster.leave(key, call.guard)
        if left.closed is not None:
            self.metrics.participant_closed()
            self.send(left.closed.address, Close(stamp.at_ns))
        if call.should_send_event:
            connected = left.was_connected
            self._notify(webhook_events.participant_left(call, was_connected=connected), stamp)
            self._record(
                analytics_events.participant_left(call, stamp.at_ns, was_connected=connected)
            )

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
        self._record(analytics_events.event_of(call, stamp.at_ns))

    @stamped(calls.NotifyEgressEvent)
    def on_notify_egress_event(self, call: calls.NotifyEgressEvent, stamp: Stamped) -> None:
        """A webhook without an event."""
        extra = webhook_events.extra_webhooks(call.info)
        self._notify(webhook_events.webhook_of(call), stamp, extra)

    @stamped(calls.LocalRoomState)
    def on_local_room_state(self, call: calls.LocalRoomState, stamp: Stamped) -> None:
        """Passed on as it is."""
        self.send(self.recorder, RecordNodeRooms(call.info))

    @stamped(calls.SendStats)
    def on_send_stats(self, call: calls.SendStats, stamp: Stamped) -> None:
        """Passed on as they are."""
        self.send(self.recorder, RecordStats(call.stats))

    @stamped(calls.SendEvent)
    def on_send_event(self, call: calls.SendEvent, stamp: Stamped) -> None:
        """Passed on as it is."""
        self._record(call.event)

    # ── questions and failures ──────────────────────────────────────────────────────────────

    @told(AskWorkers)
    def on_ask_workers(self, ask: AskWorkers, sender: ActorAddress) -> None:
        """Answer with the current workers."""
        retained = self.roster.statistics().retained
        self.send(sender, Workers(self.roster.status(), retained))

    @told(InputFailed)
    def on_input_failed(self, failure: InputFailed, sender: ActorAddress) -> None:
        """A child dropped an input."""
        self.report_failure(failure)

    def report_failure(self, failure: InputFailed) -> None:
        """Count it and tell people; nobody stands above the supervisor here."""
        self.metrics.failed(failure.actor)
        self.reporter.input_failed(failure)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _start(self, child_class: type[GreenroomActor], first_message: object) -> ActorAddress:
        address = self.createActor(child_class)
        self.send(address, first_message)
        return address

    def _open(self, call: ParticipantCall, guard: GuardID | None) -> Opened[ActorAddress]:
        """The open worker of the call's participant, started if need be."""
        key = WorkerKey(RoomID(call.room.sid), ParticipantID(call.participant.sid))
        opened = self.roster.open(key, guard)
        if opened.is_new:
            self._start_worker(opened.entry, call)
        return opened

    def _start_worker(self, entry: Entry[ActorAddress], call: ParticipantCall) -> None:
        identity = ParticipantIdentity(call.participant.identity)
        spec = WorkerSpec(entry.key, entry.incarnation, RoomName(call.room.name), identity)
        first_message = ConfigureWorker(spec, self.recorder, self._close_wait_ns)
        entry.address = self._start(self._children.worker, first_message)

    def _flush(self, at_ns: int) -> None:
        self._flushes += 1
        flush = Flush(self._flushes, at_ns)
        for entry in self.roster.newest_first():
            self.send(entry.address, flush)

    def _announce(self, call: Call, stamp: Stamped) -> None:
        if type(call) in webhook_events.BUILDERS:
            self._notify(webhook_events.webhook_of(call), stamp)
        self._record(analytics_events.event_of(call, stamp.at_ns))

    def _record(self, event: AnalyticsEvent) -> None:
        self.send(self.recorder, RecordEvent(event))

    def _notify(
        self, event: WebhookEvent, stamp: Stamped, extra: tuple[WebhookConfig, ...] = ()
    ) -> None:
        """Fix the event's id and time for ever, and give it to the notifier."""
        node_id, shard = self.settings.node_id, self.settings.shard
        event.id = derive_id("EV_", node_id, shard, stamp.position, stamp.at_ns)
        event.created_at = stamp.at_ns // NS_PER_SECOND
        self.send(self.notifier, Notify(event, extra, stamp.position, stamp.at_ns))
