from __future__ import annotations

from typing import Final

import pytest
from livekit.protocol.analytics import (
    AnalyticsStat,
    AnalyticsStream,
)

from greenroom.actors._base import Configure
from greenroom.actors.children import ChildClasses
from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import ConfigureWorker, StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.actors.timer import Timer
from greenroom.config import Settings
from greenroom.messages import calls
from greenroom.messages.codec import decode
from greenroom.messages.control import (
    AskWorkers,
    ChildFailed,
    DeadLetter,
    Restart,
    Workers,
    WorkerStatus,
)
from greenroom.messages.ids import (
    Incarnation,
    TrackID,
)
from greenroom.messages.sample import sample_of
from greenroom.messages.stats import (
    Close,
    Retire,
    SampleSkipped,
    TrackStat,
    WorkerClosed,
    WorkerSpec,
)
from greenroom.testing.fakes import recording_notifier
from greenroom.testing.harness import ActorHarness, FakeAddress, Sent
from greenroom.testing.samples import (
    ALICE,
    ALICES_WORKER,
    BOB,
    ROOM_ID,
    ROOM_NAME,
    active,
    joined,
    key,
    left,
    resumed,
    room,
    track_stats,
)

AT_NS: Final = 1_700_000_000_500_000_000


def started(settings: Settings | None = None) -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    supervisor.tell(ConfigureSupervisor(settings or Settings(), supervisor.ports))
    return supervisor


def worker(supervisor: ActorHarness[Supervisor], index: int = 0) -> FakeAddress:
    return supervisor.child(StatsWorker, index)


def workers(supervisor: ActorHarness[Supervisor]) -> Workers:
    ((_, answer),) = supervisor.tell(AskWorkers())
    assert isinstance(answer, Workers)
    return answer


# ── children ────────────────────────────────────────────────────────────────────────────────


def test_the_permanent_children_are_started_and_configured_first() -> None:
    supervisor = ActorHarness(Supervisor)

    sent = supervisor.tell(ConfigureSupervisor(Settings(), supervisor.ports))

    configure = Configure(Settings(), supervisor.ports)
    assert [child.actor_class for child in supervisor.children] == [Recorder, Notifier, Timer]
    assert sent == [Sent(child.address, configure) for child in supervisor.children]


def test_other_classes_may_be_put_in_the_childrens_place() -> None:
    notifier = recording_notifier([])
    supervisor = ActorHarness(Supervisor)

    supervisor.tell(
        ConfigureSupervisor(Settings(), supervisor.ports, ChildClasses(notifier=notifier))
    )

    assert [child.actor_class for child in supervisor.children] == [Recorder, notifier, Timer]


@pytest.mark.parametrize("call", [joined(), active(), resumed()], ids=lambda c: type(c).__name__)
def test_a_worker_is_started_on_first_use(call: calls.Call) -> None:
    supervisor = started()

    sent = supervisor.enter(call)

    spec = WorkerSpec(ALICES_WORKER, Incarnation(1), ROOM_NAME)
    configure = ConfigureWorker(spec, supervisor.child(Recorder), 180_000_000_000)
    assert Sent(worker(supervisor), configure) in sent


def test_further_calls_about_a_participant_find_its_worker() -> None:
    supervisor = started()

    for call in (joined(), active(), resumed(), joined(guard=2)):
        supervisor.enter(call)

    assert sum(child.actor_class is StatsWorker for child in supervisor.children) == 1


# ── statistics ──────────────────────────────────────────────────────────────────────────────


def test_a_sample_goes_to_the_participants_worker_and_into_the_metrics() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(joined(BOB))

    sent = supervisor.enter(track_stats(BOB, packets=3))

    stat = AnalyticsStat(streams=[AnalyticsStream(primary_packets=3)])
    assert sent == [Sent(worker(supervisor, 1), TrackStat(TrackID("TR_1"), 0, sample_of(stat)))]
    series = 'livekit_packet_total{country="DE",direction="incoming",transmission="initial"}'
    assert supervisor.counted()[series] == 3


def test_samples_of_nobody_count_in_the_metrics_and_are_dropped_on_purpose() -> None:
    supervisor = started()

    assert supervisor.enter(track_stats("PA_unknown")) == []
    assert not [c for c in supervisor.children if c.actor_class is StatsWorker]
    counted = supervisor.counted()
    assert counted[dropped("unknown_participant")] == 1
    assert any(name.startswith("livekit_packet_total") for name in counted)


def dropped(reason: str) -> str:
    return f'greenroom_dropped_total{{intentional="true",reason="{reason}"}}'


def test_a_sample_that_its_worker_left_out_is_counted() -> None:
    supervisor = started()

    assert supervisor.tell(SampleSkipped()) == []
    assert supervisor.counted()[dropped("invalid_stat")] == 1


# ── the life of a worker ────────────────────────────────────────────────────────────────────


def test_the_last_release_closes_the_worker_at_the_time_of_the_call() -> None:
    supervisor = started()
    supervisor.enter(joined(guard=1))
    supervisor.enter(joined(guard=2))

    assert supervisor.enter(left(guard=1, announce=False)) == []
    assert supervisor.enter(left(guard=2, announce=False)) == [
        Sent(worker(supervisor), Close(AT_NS))
    ]


def test_a_closed_worker_still_gets_samples_and_flushes() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(left())

    assert supervisor.enter(track_stats())[0].target is worker(supervisor)
    assert supervisor.enter(calls.FlushStats())[0].target is worker(supervisor)


def test_a_worker_that_was_closed_for_long_is_told_to_hand_over_and_forgotten() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(left())

    sent = supervisor.tell(WorkerClosed(Incarnation(1), AT_NS + 9), worker(supervisor))

    assert sent == [Sent(worker(supervisor), Retire(AT_NS + 9))]
    assert workers(supervisor) == Workers((), 0)
    assert supervisor.enter(calls.FlushStats()) == []


def test_a_worker_that_reports_twice_is_retired_once() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(left())
    closed = WorkerClosed(Incarnation(1), AT_NS)
    supervisor.tell(closed)

    assert supervisor.tell(closed) == []


def test_after_a_close_the_next_use_starts_a_new_incarnation() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(left())

    supervisor.enter(joined(guard=2))

    assert worker(supervisor, 1) is not worker(supervisor, 0)
    assert supervisor.enter(track_stats())[0].target is worker(supervisor, 1)
    assert workers(supervisor) == Workers(
        (WorkerStatus(ALICES_WORKER, Incarnation(2), connected=False, closed=False),), 2
    )


def test_retiring_the_old_incarnation_keeps_the_new_one() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(left())
    supervisor.enter(resumed())

    sent = supervisor.tell(WorkerClosed(Incarnation(1), AT_NS))

    assert sent == [Sent(worker(supervisor, 0), Retire(AT_NS))]
    assert supervisor.enter(track_stats())[0].target is worker(supervisor, 1)
    assert workers(supervisor).retained == 1


def test_the_participant_gauge_follows_the_workers() -> None:
    supervisor = started()
    gauge = "livekit_participant_total"
    seen = []

    for call in (joined(), active(), left(), left(), joined(guard=2), joined(BOB, 3)):
        supervisor.enter(call)
        seen.append(supervisor.counted().get(gauge, 0))

    assert seen == [1, 1, 0, 0, 1, 2]


def test_only_a_worker_made_by_joining_counts_as_rtc_connected() -> None:
    supervisor = started()
    supervisor.enter(active())
    supervisor.enter(resumed(BOB))
    assert 'livekit_participant_join_total{state="rtc_connected"}' not in supervisor.counted()

    supervisor.enter(joined("PA_carol"))

    assert supervisor.counted()['livekit_participant_join_total{state="rtc_connected"}'] == 1


# ── questions and failures ──────────────────────────────────────────────────────────────────


def test_the_current_workers_are_told_to_whoever_asks() -> None:
    supervisor = started()
    supervisor.enter(active(BOB, 2))
    supervisor.enter(joined())
    asker = supervisor.address_of("asker")

    ((target, answer),) = supervisor.tell(AskWorkers(), asker)

    assert target is asker
    assert isinstance(answer, Workers)
    assert [(w.key.participant_id, w.connected) for w in answer.current] == [
        (ALICE, False),
        (BOB, True),
    ]


def test_an_input_that_cannot_be_digested_is_reported_and_nothing_else_is_lost() -> None:
    supervisor = started()
    broken = calls.TrackStats(ROOM_ID, ROOM_NAME, key(), b"\xff")

    ((target, failure),) = supervisor.enter(broken)

    assert target is supervisor.parent
    assert isinstance(failure, ChildFailed)
    assert (failure.letter.actor, failure.letter.message, failure.letter.position) == (
        "Supervisor",
        "TrackStats",
        1,
    )
    assert decode(failure.letter.body) == broken
    assert supervisor.enter(calls.RoomStarted(room())) == [], "it stands still"
    assert len(supervisor.tell(Restart())) == 2, "nothing else is lost"


def test_a_childs_failure_is_counted_under_its_name_and_reported() -> None:
    supervisor = started()
    poison = DeadLetter(
        actor="StatsWorker",
        key="RM_1/PA_1",
        message="TrackStat",
        position=0,
        at_ns=0,
        error="ValueError()",
        traceback="…",
        body=b"",
        incarnation=1,
    )
    failure = ChildFailed(poison, stands_still=True)

    assert supervisor.tell(failure, supervisor.address_of("worker")) == []
    assert supervisor.reporter.failures == [poison]
    assert supervisor.counted()[failures("StatsWorker")] == 1
    (letter,) = supervisor.dead_letters.letters
    assert (letter.actor, letter.error, letter.traceback) == ("StatsWorker", "ValueError()", "…")


def failures(actor: str) -> str:
    return f'greenroom_input_failures_total{{actor="{actor}"}}'


def test_an_unknown_message_is_reported_and_does_not_stop_anything() -> None:
    supervisor = started()

    ((_, failure),) = supervisor.tell("hello")

    assert isinstance(failure, ChildFailed)
    assert "UnknownMessageError" in failure.letter.error
    assert len(supervisor.enter(calls.RoomStarted(room()))) == 2


def test_a_report_about_a_worker_that_is_not_known_is_ignored() -> None:
    supervisor = started()

    assert supervisor.tell(WorkerClosed(Incarnation(99), AT_NS)) == []
    assert supervisor.reporter.failures == []
