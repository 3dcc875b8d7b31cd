from __future__ import annotations

from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.core.placement import Placement, room_route
from greenroom.messages import calls
from greenroom.messages.control import AskWorkers, ChildFailed, Restart, Workers
from greenroom.messages.handoff import AdoptWorkers, AskReleased, Released, ReleaseRooms
from greenroom.messages.stats import Close, Retire, TrackStat
from greenroom.testing.harness import ActorHarness
from greenroom.testing.samples import (
    ALICE,
    BOB,
    ROOM_ID,
    ROOM_NAME,
    joined,
    key,
    left,
    track_stats,
)

SHARDS = ("a/0", "b/0")
HOME = Placement(SHARDS).owner(room_route(ROOM_NAME, ROOM_ID))
(ELSEWHERE,) = set(SHARDS) - {HOME}
AT_NS = 1_700_000_000_500_000_000


def started() -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    supervisor.tell(ConfigureSupervisor(Settings(), supervisor.ports))
    return supervisor


def released(supervisor: ActorHarness[Supervisor]) -> Released:
    ((_, answer),) = supervisor.tell(AskReleased())
    assert isinstance(answer, Released)
    return answer


def workers(supervisor: ActorHarness[Supervisor]) -> Workers:
    ((_, answer),) = supervisor.tell(AskWorkers())
    assert isinstance(answer, Workers)
    return answer


def test_of_statistics_that_came_together_each_counts_and_malformed_bytes_lose_no_other() -> None:
    supervisor = started()
    supervisor.enter(joined())
    good = track_stats()
    broken = calls.TrackStats(ROOM_ID, ROOM_NAME, key(), b"\xff")

    told = supervisor.enter(calls.TrackStatsBatch((good, broken, good)))

    assert [type(message) for _, message in told] == [TrackStat, TrackStat]
    assert supervisor.ports.metrics.lost() == 1


def test_a_failure_in_the_midst_of_statistics_is_that_ones_and_the_rest_follow_it() -> None:
    supervisor = started()
    supervisor.enter(joined())
    good = track_stats()
    poison = calls.TrackStats(ROOM_ID, ROOM_NAME, key(), 7)  # type: ignore[arg-type]

    before = supervisor.enter(calls.TrackStatsBatch((good, poison, good, good)))
    after = supervisor.tell(Restart())

    assert [type(message) for _, message in before] == [TrackStat, ChildFailed]
    (_, failure) = before[1]
    assert isinstance(failure, ChildFailed)
    assert failure.letter.message == "TrackStats"
    assert [type(message) for _, message in after] == [TrackStat, TrackStat]


def test_workers_of_rooms_that_live_elsewhere_hand_over_and_are_forgotten() -> None:
    supervisor = started()
    supervisor.enter(joined())

    told = supervisor.enter(ReleaseRooms(SHARDS, ELSEWHERE))

    assert [(target, type(message)) for target, message in told] == [
        (supervisor.child(StatsWorker, 0), Retire)
    ]
    assert workers(supervisor) == Workers((), 0)
    (facts,) = released(supervisor).workers
    assert (facts.key.participant_id, facts.room_name, facts.closed) == (ALICE, ROOM_NAME, False)
    assert released(supervisor).workers == (), "they are told of once"


def test_workers_of_rooms_that_live_here_stay() -> None:
    supervisor = started()
    supervisor.enter(joined())

    assert supervisor.enter(ReleaseRooms(SHARDS, HOME)) == []
    assert workers(supervisor).retained == 1
    assert released(supervisor).workers == ()


def test_an_adopted_worker_goes_on_as_the_old_one_would_have() -> None:
    old, new = started(), started()
    for call in (joined(guard=7), joined(BOB, guard=8), left(BOB, guard=8)):
        old.enter(call)
    old.enter(ReleaseRooms(SHARDS, ELSEWHERE))

    new.enter(AdoptWorkers(released(old).workers))

    alice, bob = (
        {str(status.key.participant_id): status for status in workers(new).current}[name]
        for name in (ALICE, BOB)
    )
    assert (alice.closed, bob.closed) == (False, True)
    told = new.enter(track_stats(ALICE, 5))
    assert [type(message) for _, message in told] == [TrackStat]
    told = new.enter(left(ALICE, guard=7))
    assert type(told[0][1]) is Close, "its guard came along"


def test_a_worker_that_is_there_already_is_not_replaced_by_an_adopted_one() -> None:
    old, new = started(), started()
    old.enter(joined(guard=7))
    new.enter(joined(guard=7))
    old.enter(ReleaseRooms(SHARDS, ELSEWHERE))

    assert new.enter(AdoptWorkers(released(old).workers)) == []
    assert workers(new).retained == 1
