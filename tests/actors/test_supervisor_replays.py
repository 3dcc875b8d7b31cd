"""Dead letters that are replayed: whom the supervisor gives them to."""

from __future__ import annotations

from typing import Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms
from livekit.protocol.webhook import WebhookEvent

from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.messages.calls import FlushStats
from greenroom.messages.ids import Incarnation, ParticipantID, TrackID, WorkerKey
from greenroom.messages.outputs import (
    Notify,
    RecorderCommand,
    RecordEvent,
    RecordNodeRooms,
    RecordStats,
)
from greenroom.messages.sample import sample_of
from greenroom.messages.stats import Flush, SampleReplayed, TrackStat, WorkerClosed
from greenroom.testing.harness import ActorHarness, FakeAddress, Sent
from greenroom.testing.samples import ALICES_WORKER, BOB, ROOM_ID, active, joined, left, stat

AT_NS: Final = 1_700_000_000_500_000_000
BOBS_WORKER: Final = WorkerKey(ROOM_ID, ParticipantID(BOB))
SAMPLE: Final = TrackStat(TrackID("TR_1"), 0, sample_of(stat()))


@pytest.fixture
def supervisor() -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    supervisor.tell(ConfigureSupervisor(Settings(), supervisor.ports))
    return supervisor


def worker(supervisor: ActorHarness[Supervisor], index: int) -> FakeAddress:
    return supervisor.child(StatsWorker, index)


def replay(
    supervisor: ActorHarness[Supervisor], incarnation: int, key: WorkerKey = ALICES_WORKER
) -> list[Sent]:
    return supervisor.enter(SampleReplayed(key, Incarnation(incarnation), SAMPLE))


def test_a_sample_goes_to_the_worker_that_could_not_digest_it_while_it_lives(
    supervisor: ActorHarness[Supervisor],
) -> None:
    for call in (joined(), left(), joined(guard=2)):
        supervisor.enter(call)

    assert replay(supervisor, incarnation=1) == [Sent(worker(supervisor, 0), SAMPLE)]
    assert replay(supervisor, incarnation=2) == [Sent(worker(supervisor, 1), SAMPLE)]


def test_a_sample_of_a_worker_that_is_gone_goes_to_its_successor(
    supervisor: ActorHarness[Supervisor],
) -> None:
    for call in (joined(), left(), joined(guard=2)):
        supervisor.enter(call)
    supervisor.tell(WorkerClosed(Incarnation(1), AT_NS))

    assert replay(supervisor, incarnation=1) == [Sent(worker(supervisor, 1), SAMPLE)]


def test_the_number_of_a_life_in_an_earlier_process_is_not_that_of_somebody_elses_in_this_one(
    supervisor: ActorHarness[Supervisor],
) -> None:
    supervisor.enter(joined(BOB))
    supervisor.enter(joined(guard=2))

    assert replay(supervisor, incarnation=1) == [Sent(worker(supervisor, 1), SAMPLE)]
    assert replay(supervisor, 2, BOBS_WORKER) == [Sent(worker(supervisor, 0), SAMPLE)]


def test_a_sample_of_a_participant_who_is_gone_is_dropped_and_counted(
    supervisor: ActorHarness[Supervisor],
) -> None:
    supervisor.enter(joined(BOB))

    assert replay(supervisor, incarnation=1) == []
    dropped = 'greenroom_dropped_total{intentional="false",reason="unknown_participant"}'
    assert supervisor.counted()[dropped] == 1


def test_a_sample_is_not_counted_again(supervisor: ActorHarness[Supervisor]) -> None:
    supervisor.enter(active())
    before = supervisor.counted()

    replay(supervisor, incarnation=1)

    assert supervisor.counted() == before


def test_a_worker_is_told_the_flushes_that_it_is_owed_before_the_sample() -> None:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    supervisor.tell(ConfigureSupervisor(Settings(flush_slice=1), supervisor.ports))
    supervisor.enter(joined())
    supervisor.enter(joined(BOB, guard=2))
    supervisor.enter(FlushStats())  # the slice reaches the newest: Bob's

    assert replay(supervisor, incarnation=1) == [
        Sent(worker(supervisor, 0), Flush(1, AT_NS)),
        Sent(worker(supervisor, 0), SAMPLE),
    ]


@pytest.mark.parametrize(
    "record",
    [
        RecordStats((stat(),)),
        RecordEvent(AnalyticsEvent(room_id=ROOM_ID)),
        RecordNodeRooms(AnalyticsNodeRooms()),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_the_recorder_could_not_digest_goes_to_the_recorder(
    supervisor: ActorHarness[Supervisor], record: RecorderCommand
) -> None:
    assert supervisor.enter(record) == [Sent(supervisor.child(Recorder), record)]


def test_what_the_notifier_could_not_digest_goes_to_the_notifier_with_its_id(
    supervisor: ActorHarness[Supervisor],
) -> None:
    notify = Notify(WebhookEvent(id="EV_1"), (), AT_NS)

    assert supervisor.enter(notify) == [Sent(supervisor.child(Notifier), notify)]
