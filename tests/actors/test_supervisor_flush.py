from __future__ import annotations

from typing import Final

from greenroom.actors._base import ActorAddress
from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.actors.timer import Timer
from greenroom.config import Settings
from greenroom.messages import calls
from greenroom.messages.stats import (
    Flush,
    FlushSlice,
    FlushTick,
    TickTaken,
    TrackStat,
)
from greenroom.testing.harness import ActorHarness, FakeAddress, Sent
from greenroom.testing.samples import (
    BOB,
    joined,
    track_stats,
)

AT_NS: Final = 1_700_000_000_500_000_000


def started(*, flush_slice: int = 64) -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    settings = Settings(flush_slice=flush_slice)
    supervisor.tell(ConfigureSupervisor(settings, supervisor.ports))
    return supervisor


def worker(supervisor: ActorHarness[Supervisor], index: int = 0) -> FakeAddress:
    return supervisor.child(StatsWorker, index)


def tick(supervisor: ActorHarness[Supervisor], number: int) -> list[Sent]:
    """What the workers are told; the timer is told that the tick was taken."""
    taken, *sent = supervisor.enter(FlushTick(number))
    assert taken == Sent(supervisor.child(Timer), TickTaken(number, supervisor.at_ns))
    return sent


def test_a_tick_that_comes_twice_flushes_once() -> None:
    supervisor = started()
    supervisor.enter(joined())

    assert len(tick(supervisor, 1)) == 1
    assert supervisor.enter(FlushTick(1)) == []


def told(supervisor: ActorHarness[Supervisor], sent: list[Sent]) -> list[tuple[int, object]]:
    """To which worker (0, 1 …) what was told."""
    mine: list[ActorAddress] = [
        c.address for c in supervisor.children if c.actor_class is StatsWorker
    ]
    return [(mine.index(target), message) for target, message in sent if target in mine]


def test_a_flush_reaches_the_workers_in_slices_and_lets_inputs_pass_between_them() -> None:
    supervisor = started(flush_slice=2)
    for number in range(5):
        supervisor.enter(joined(f"PA_{number}"))

    first = tick(supervisor, 1)
    ((target, turn),) = supervisor.door.turns

    flush = Flush(1, AT_NS)
    assert told(supervisor, first) == [(4, flush), (3, flush)]
    assert (target, turn) == (supervisor.address, FlushSlice())
    assert told(supervisor, supervisor.tell(turn)) == [(2, flush), (1, flush)]
    assert told(supervisor, supervisor.tell(turn)) == [(0, flush)]
    assert len(supervisor.door.turns) == 2, "the last slice asks for no further turn"


def test_a_worker_that_the_slices_have_not_reached_is_flushed_before_it_is_told_more() -> None:
    supervisor = started(flush_slice=1)
    supervisor.enter(joined())
    supervisor.enter(joined(BOB))
    tick(supervisor, 1)
    tick(supervisor, 2)

    sent = told(supervisor, supervisor.enter(track_stats()))

    assert [message for _, message in sent[:2]] == [Flush(1, AT_NS), Flush(2, AT_NS)]
    assert [(number, type(message)) for number, message in sent[2:]] == [(0, TrackStat)]


def test_a_tick_reaches_every_worker_newest_first() -> None:
    supervisor = started()
    supervisor.enter(joined())
    supervisor.enter(joined(BOB))

    sent = tick(supervisor, 7)

    assert sent == [
        Sent(worker(supervisor, 1), Flush(1, AT_NS)),
        Sent(worker(supervisor, 0), Flush(1, AT_NS)),
    ]


def test_a_flush_that_was_asked_for_happens_at_the_time_of_the_call() -> None:
    supervisor = started()
    supervisor.enter(joined())

    assert supervisor.enter(calls.FlushStats()) == [Sent(worker(supervisor), Flush(1, AT_NS))]
    assert tick(supervisor, 1) == [Sent(worker(supervisor), Flush(2, AT_NS))]
