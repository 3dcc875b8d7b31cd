"""Supervisor: routes every call, owns who is alive, and starts and retires its children.

Told the host's calls (stamped), the timer's ticks and its children's reports. Tells the
StatsWorkers samples and flushes, the notifier webhooks and the recorder events; webhooks and
events leave in the order of the calls, because no child is asked for anything on the way.

    Supervisor ─┬─ Recorder, Notifier, Timer         one each, as long as it lives
                └─ StatsWorker × (room, participant)  made on first use, retired when long closed

Source: livekit pkg/telemetry/{telemetryservice,events,stats}.go at b81bac0ec3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern  # participants share a room: one text for all of them

from google.protobuf.message import DecodeError

from ..config import Settings
from ..core import analytics_events, webhook_events
from ..core.ports import Ports
from ..core.restarts import PERMANENT_CHILD, WORKER_CHILD, ChildSpec
from ..core.roster import Entry, Opened, Roster
from ..core.rounds import FlushRounds
from ..core.times import to_ns
from ..messages import calls
from ..messages.control import AskWorkers, Stamped, Started, Workers
from ..messages.ids import (
    GuardID,
    Incarnation,
    ParticipantID,
    RoomID,
    RoomName,
    WorkerKey,
)
from ..messages.sample import parse_sample
from ..messages.stats import (
    Close,
    FlushSlice,
    FlushTick,
    Retire,
    SampleReplayed,
    SampleSkipped,
    TickTaken,
    TrackStat,
    WorkerClosed,
    WorkerSpec,
)
from ._base import ActorAddress, ActorExitRequest, Configure, GreenroomActor, stamped, told
from .announcer import Announcer
from .checkpointing import Checkpointing
from .children import ChildClasses, Children
from .moving import Moving
from .stats_worker import ConfigureWorker
from .supervising import ChildID


@dataclass(frozen=True, slots=True)
class ConfigureSupervisor:
    """The supervisor's first message."""

    settings: Settings
    ports: Ports
    children: ChildClasses = field(default_factory=ChildClasses)


ParticipantCall = calls.ParticipantJoined | calls.ParticipantActive | calls.ParticipantResumed


class Supervisor(Announcer, Moving, Checkpointing, Children):
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
        self.rounds = FlushRounds(self.roster)
        self._slice = configure.settings.flush_slice
        self._ticks = self._ticked_at_ns = 0
        self.dead_letters = configure.ports.dead_letters
        self._children = configure.children
        self._close_wait_ns = to_ns(configure.settings.close_wait_seconds)
        self.prepare_supervision()
        self._told_all = told_all = Configure(configure.settings, configure.ports)
        self.recorder = self._start(configure.children.recorder, told_all)
        self.notifier = self._start(configure.children.notifier, told_all)
        self.timer = self._start(configure.children.timer, told_all)
        self.take_up(configure.ports)

    # ── statistics ──────────────────────────────────────────────────────────────────────────

    @stamped(calls.TrackStats)
    def on_track_stats(self, call: calls.TrackStats, stamp: Stamped) -> None:
        """Count it, and give it to the participant's worker if there is one."""
        self._count(call)

    @stamped(calls.TrackStatsBatch)
    def on_track_stats_batch(self, batch: calls.TrackStatsBatch, stamp: Stamped) -> None:
        """As `on_track_stats`, each; one that fails takes no other with it."""
        for index, call in enumerate(batch.calls):
            try:
                self._count(call)
            except DecodeError:  # another process wrote these bytes
                self.metrics.dropped("malformed")
            except BaseException as error:  # noqa: BLE001  # as in receiveMessage
                rest = calls.TrackStatsBatch(batch.calls[index + 1 :])
                self.stand_still(
                    Stamped(stamp.position, stamp.at_ns, call),
                    error,
                    rest=Stamped(stamp.position, stamp.at_ns, rest),
                )
                return

    def _count(self, call: calls.TrackStats) -> None:
        key = call.key
        sample = parse_sample(call.stat)
        self.metrics.track_stats(key, sample)
        entry = self.roster.find((call.room_id, key.participant_id))
        if entry is None:
            self.metrics.dropped("unknown_participant", intentional=True)
            return
        if entry.flushed != self.rounds.number:
            self._flush_worker(entry)
        self.send(entry.address, TrackStat(key.track_id, key.stream_type, sample))

    @stamped(SampleReplayed)
    def on_sample_replayed(self, replayed: SampleReplayed, stamp: Stamped) -> None:
        """To the worker that could not digest it, or its successor; it has been counted before."""
        entry = self.roster.keeper_of(replayed.incarnation)
        if entry is None or entry.key != replayed.key:  # numbers begin anew in each process
            entry = self.roster.find(replayed.key)
        if entry is None:
            self.metrics.dropped("unknown_participant")
        else:
            self._give(entry, replayed.sample)

    @stamped(FlushTick)
    def on_flush_tick(self, tick: FlushTick, stamp: Stamped) -> None:
        """Broadcast the tick to every worker."""
        if tick.number <= self._ticks:
            return  # a wake-up that came twice
        self._ticks, self._ticked_at_ns = tick.number, stamp.at_ns
        self.send(self.timer, TickTaken(tick.number, stamp.at_ns))
        self._flush(stamp)

    @stamped(Started)
    def on_started(self, started: Started, stamp: Stamped) -> None:
        """Ticks are counted anew in each life."""
        self._ticks = 0

    @stamped(calls.FlushStats)
    def on_flush_stats(self, call: calls.FlushStats, stamp: Stamped) -> None:
        """A flush between two ticks."""
        self._flush(stamp)

    @told(FlushSlice)
    def on_flush_slice(self, turn: FlushSlice, sender: ActorAddress) -> None:
        """Tell the next workers, then let inputs pass."""
        for entry in self.rounds.next_slice(self._slice):
            self._flush_worker(entry)
        if self.rounds.is_going_on:
            self.door.take_turn(self.myAddress, turn)
        else:
            self.save_soon()

    @told(SampleSkipped)
    def on_sample_skipped(self, skipped: SampleSkipped, sender: ActorAddress) -> None:
        """A difference that was negative, as in the original; here it is counted."""
        self.metrics.dropped("invalid_stat", intentional=True)

    @told(WorkerClosed)
    def on_worker_closed(self, closed: WorkerClosed, sender: ActorAddress) -> None:
        """Retire that incarnation; its successor, if any, is not touched."""
        self.retire_worker(closed.incarnation, closed.at_ns)

    def retire_worker(self, incarnation: Incarnation, at_ns: int) -> None:
        """Have it hand over and end; forget it. One that is forgotten already is let be."""
        entry = self.roster.keeper_of(incarnation)
        if entry is not None:
            self._flush_worker(entry)
            self.send(entry.address, Retire(at_ns))
            self.roster.retire(incarnation)
            which = ChildID(self._children.worker.__name__, incarnation)
            self.let_go(which, entry.address)
            self._budgets.pop(which, None)

    # ── participants ────────────────────────────────────────────────────────────────────────

    @stamped(calls.ParticipantJoined)
    def on_participant_joined(self, call: calls.ParticipantJoined, stamp: Stamped) -> None:
        """A signal connection: there is a worker from here on."""
        opened = self._open(call, call.guard)
        if opened.is_new:
            self.metrics.participant_opened(joined=True)
        if call.should_send_event:
            self._record(analytics_events.participant_joined(call, stamp.at_ns), stamp)

    @stamped(calls.ParticipantActive)
    def on_participant_active(self, call: calls.ParticipantActive, stamp: Stamped) -> None:
        """A media connection: only now does a participant count as joined."""
        if not call.is_migration:
            self._notify(webhook_events.webhook_of(call), stamp)
        opened = self._open(call, call.guard)
        if opened.is_new:
            self.metrics.participant_opened(joined=False)
        self.roster.connect(opened.entry)
        self._record(analytics_events.participant_active(call, stamp.at_ns), stamp)

    @stamped(calls.ParticipantResumed)
    def on_participant_resumed(self, call: calls.ParticipantResumed, stamp: Stamped) -> None:
        """The signal collector may have closed the worker meanwhile: there is one again."""
        if self._open(call, guard=None).is_new:
            self.metrics.participant_opened(joined=False)
        self._record(analytics_events.participant_resumed(call, stamp.at_ns), stamp)

    @stamped(calls.ParticipantLeft)
    def on_participant_left(self, call: calls.ParticipantLeft, stamp: Stamped) -> None:
        """One collector ended; the last one closes the worker."""
        key = WorkerKey(RoomID(call.room.sid), ParticipantID(call.participant.sid))
        left = self.roster.leave(key, call.guard, stamp.at_ns)
        if left.closed is not None:
            self.metrics.participant_closed()
            self.close_worker(left.closed, stamp.at_ns)
        if call.should_send_event:
            connected = left.was_connected
            self._notify(webhook_events.participant_left(call, was_connected=connected), stamp)
            self._record(
                analytics_events.participant_left(call, stamp.at_ns, was_connected=connected),
                stamp,
            )

    def close_worker(self, entry: Entry[ActorAddress], at_ns: int) -> None:
        """Its participant is gone; what it is owed comes first."""
        self._flush_worker(entry)
        self.send(entry.address, Close(at_ns))

    # ── questions and failures ──────────────────────────────────────────────────────────────

    @told(AskWorkers)
    def on_ask_workers(self, ask: AskWorkers, sender: ActorAddress) -> None:
        """Answer with the current workers."""
        retained = self.roster.statistics().retained
        self.send(sender, Workers(self.roster.status(), retained))

    def spec_of(self, which: ChildID) -> ChildSpec:
        """A worker has an incarnation, the lasting children have none."""
        return WORKER_CHILD if which.incarnation else PERMANENT_CHILD

    def give_up(self, which: ChildID, at_ns: int) -> None:
        """A worker ends, and hands over what it can; without any of the others nothing works.

        Raises:
            RestartBudgetError: It is one of the others.
        """
        if not which.incarnation:
            super().give_up(which, at_ns)
        address = self._standing.pop(which)
        self._forget_worker(which, address)
        self.send(address, Retire(at_ns))
        if which in self._successions:  # its heir begins only to hand over
            self._restart(which)
        else:
            self.send(address, ActorExitRequest())

    def leave_estate(self) -> None:
        """An end that nobody wanted takes all workers with it: that is a loss, and counted."""
        self.metrics.dropped("supervisor_ended", self.roster.statistics().retained)
        super().leave_estate()

    def on_restart(self) -> None:
        """Say again what the failure may have left unsaid: all of it may be said twice."""
        if self._ticks:
            self.send(self.timer, TickTaken(self._ticks, self._ticked_at_ns))
        for closed in self.roster.closing():
            self.send(closed.entry.address, Close(closed.at_ns))
        if self.rounds.is_going_on:
            self.door.take_turn(self.myAddress, FlushSlice())
        else:
            self.save_soon()
        self.restart_all()

    # ── workers ─────────────────────────────────────────────────────────────────────────────

    def _start(self, child_class: type[GreenroomActor], first_message: object) -> ActorAddress:
        address = self.createActor(child_class)
        try:
            self.send(address, first_message)
        except BaseException:
            self.send(address, ActorExitRequest())  # or it would wait for ever
            raise
        return address

    def _open(self, call: ParticipantCall, guard: GuardID | None) -> Opened[ActorAddress]:
        """The open worker of the call's participant, started if need be."""
        key = WorkerKey(RoomID(intern(call.room.sid)), ParticipantID(call.participant.sid))
        opened = self.roster.open(key, guard, RoomName(intern(call.room.name)))
        if opened.is_new:
            try:
                self.start_worker(opened.entry)
            except BaseException:
                self.roster.retire(opened.entry.incarnation)  # it has no worker
                raise
        return opened

    def start_worker(self, entry: Entry[ActorAddress]) -> None:
        """Make the actor of a new entry."""
        spec = WorkerSpec(entry.key, entry.incarnation, entry.room_name)
        first_message = ConfigureWorker(spec, self.recorder, self._close_wait_ns)
        entry.address = self._start(self._children.worker, first_message)
        entry.flushed = self.rounds.number  # what came before its birth is not its concern

    def _give(self, entry: Entry[ActorAddress], sample: TrackStat) -> None:
        if entry.flushed != self.rounds.number:
            self._flush_worker(entry)
        self.send(entry.address, sample)

    def _flush(self, stamp: Stamped) -> None:
        """All workers hand over what came before this input, though it reaches them in slices."""
        self.roster.expire(stamp.at_ns - self._close_wait_ns)
        begins = self.rounds.begin(stamp.at_ns)
        self.begin_checkpoint(stamp)
        if begins:
            self.on_flush_slice(FlushSlice(), self.myAddress)

    def _flush_worker(self, entry: Entry[ActorAddress]) -> None:
        """Before anything else that a worker is told, what it is owed."""
        for flush in self.rounds.owed(entry):
            self.send(entry.address, flush)
