"""The actors rely on Thespian's documented interface only: they run on its own base as on ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from livekit.protocol.analytics import AnalyticsEventType as Kind
from thespian.actors import Actor, ActorSystem

from greenroom.actors._base import ActorAddress, told
from greenroom.actors.guardian import ConfigureGuardian, Guardian
from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import ChildClasses, ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.core.metrics import Metrics
from greenroom.core.ports import Ports
from greenroom.core.series import flatten
from greenroom.messages import calls
from greenroom.messages.control import AskWorkers, Input, Stamped, Workers
from greenroom.messages.outputs import Notify
from greenroom.messages.stats import TrackStat
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.fakes import (
    FakeDoor,
    FakePoster,
    RecordingAnalytics,
    RecordingDeadLetters,
    RecordingHost,
    RecordingReporter,
    recording_notifier,
)
from greenroom.testing.samples import (
    ALICE,
    BOB,
    active,
    joined,
    left,
    room,
    track_stats,
)

SECOND: Final = 1_000_000_000
ROUNDS: Final = 6  # of messages that cause messages: more than there are for any input
START_NS: Final = 1_700_000_000 * SECOND


class FragileWorker(StatsWorker):
    """Cannot digest a sample of 13 packets."""

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        if sample.stat.streams[0].primary_packets == 13:
            raise ArithmeticError("thirteen")
        super().on_track_stat(sample, sender)


class Echo(Actor):
    """Answers when all that was sent before has been delivered: both bases have one queue."""

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:  # noqa: N802
        if isinstance(message, str):
            self.send(sender, message)


class SmallSystem:
    """The actors on a Thespian system, with fakes around and stamps by hand."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.at_ns = START_NS
        self.position = 0
        self.webhooks: list[Notify] = []
        self.metrics = Metrics()
        self.analytics = RecordingAnalytics()
        self.reporter = RecordingReporter()
        self.door = FakeDoor()
        self.dead_letters = RecordingDeadLetters()
        ports = Ports(
            self.door,
            self.metrics,
            self.analytics,
            FakePoster(self.door),
            self.reporter,
            self.dead_letters,
            RecordingHost(),
        )
        children = ChildClasses(notifier=recording_notifier(self.webhooks), worker=FragileWorker)
        self.supervisor = system.createActor(Supervisor)
        settings = Settings(flush_interval_seconds=None)
        configure = ConfigureSupervisor(settings, ports, children)
        guardian = system.createActor(Guardian)
        self.echo = system.createActor(Echo)
        system.tell(guardian, ConfigureGuardian(self.supervisor, configure))

    def enter(self, *bodies: Input) -> None:
        """Stamp each and wait until all that comes of them is done."""
        for body in bodies:
            self._enter(self.supervisor, body)
            while self.door.entered:  # what the actors let enter meanwhile
                self._enter(*self.door.entered.pop(0))

    def _enter(self, target: object, body: Input) -> None:
        assert isinstance(target, ActorAddress)
        self.position += 1
        self.system.tell(target, Stamped(self.position, self.at_ns, body))
        for _ in range(ROUNDS):
            assert self.system.ask(self.echo, "done?", 10) == "done?"

    def workers(self) -> Workers:
        """The current workers; two rounds, so that their answers to a flush have arrived."""
        self._ask()
        return self._ask()

    def _ask(self) -> Workers:
        answer: object = self.system.ask(self.supervisor, AskWorkers(), 10)
        assert isinstance(answer, Workers)
        return answer

    def flushed_packets(self) -> dict[str, int]:
        """Packets of all batches, by participant."""
        found: dict[str, int] = {}
        for stat in self.analytics.stats:
            packets = stat.streams[0].primary_packets
            found[stat.participant_id] = found.get(stat.participant_id, 0) + packets
        return found


@pytest.fixture(params=["ours", "simpleSystemBase"])
def small(request: pytest.FixtureRequest) -> Iterator[SmallSystem]:
    if request.param == "ours":
        system = ActorSystem(InProcessBase(VirtualClock(START_NS)), transientUnique=True)
    else:
        system = ActorSystem(request.param, logDefs=False, transientUnique=True)
    yield SmallSystem(system)
    system.shutdown()


def test_a_sample_becomes_a_flushed_statistic(small: SmallSystem) -> None:
    small.enter(joined(ALICE), joined(BOB, 2), track_stats(ALICE, 5), track_stats(BOB, 7))

    small.enter(calls.FlushStats())

    assert small.flushed_packets() == {ALICE: 5, BOB: 7}


def test_webhooks_and_events_come_in_the_order_of_the_calls(small: SmallSystem) -> None:
    small.enter(calls.RoomStarted(room()), active(), left(), calls.RoomEnded(room()))

    assert [notify.event.event for notify in small.webhooks] == [
        "room_started",
        "participant_joined",
        "participant_left",
        "room_finished",
    ]
    assert [event.type for event in small.analytics.events] == [
        Kind.ROOM_CREATED,
        Kind.PARTICIPANT_ACTIVE,
        Kind.PARTICIPANT_LEFT,
        Kind.ROOM_ENDED,
    ]


def test_a_worker_that_was_closed_for_long_hands_over_and_goes(small: SmallSystem) -> None:
    small.enter(joined(), left(), track_stats(ALICE, 5))
    assert small.workers().retained == 1

    small.at_ns += 181 * SECOND
    small.enter(calls.FlushStats())

    assert small.workers() == Workers((), 0)
    assert small.flushed_packets() == {ALICE: 5}


def test_retiring_the_old_worker_keeps_its_successor(small: SmallSystem) -> None:
    small.enter(joined(), left(), joined(guard=2))
    small.at_ns += 181 * SECOND
    small.enter(calls.FlushStats())

    small.enter(track_stats(ALICE, 5), calls.FlushStats())

    assert small.workers().retained == 1
    assert small.flushed_packets() == {ALICE: 5}


def test_a_worker_that_fails_loses_that_input_only_and_its_siblings_notice_nothing(
    small: SmallSystem,
) -> None:
    small.enter(joined(ALICE), joined(BOB, 2))
    small.enter(track_stats(ALICE, 5), track_stats(ALICE, 13), track_stats(ALICE, 6))
    small.enter(track_stats(BOB, 7))

    small.enter(calls.FlushStats())

    assert small.flushed_packets() == {ALICE: 11, BOB: 7}
    (failure,) = small.reporter.failures
    assert (failure.actor, failure.message) == ("FragileWorker", "TrackStat")
    assert "thirteen" in failure.error
    series = flatten(small.metrics.snapshot(), {})
    assert series['greenroom_input_failures_total{actor="FragileWorker"}'] == 1


def test_an_input_that_the_supervisor_cannot_digest_stops_nothing(small: SmallSystem) -> None:
    broken = track_stats()
    broken = calls.TrackStats(broken.room_id, broken.room_name, broken.key, b"\xff")

    small.enter(joined(), broken, track_stats(ALICE, 5), calls.FlushStats())

    (failure,) = small.reporter.failures
    assert (failure.actor, failure.position) == ("Supervisor", 2)
    assert small.flushed_packets() == {ALICE: 5}
