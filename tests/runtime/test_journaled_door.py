"""The door whose inputs are written first: order, stamps, and room for two groups."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.journal import Origin
from greenroom.messages.calls import FlushStats, TrackStatsBatch
from greenroom.messages.control import Input, RestartDue, Stamped
from greenroom.messages.deliveries import Kept
from greenroom.messages.outputs import AttemptEnded, LaneDue, RetryDue, SweepDue
from greenroom.messages.stats import FlushTick
from greenroom.runtime.door import Mark
from greenroom.runtime.journaled_door import GROUP_MAX, GROUPS_READY_MAX
from greenroom.runtime.waker import Waker
from greenroom.testing.journaled_door import (
    DoorBench,
    FaultyClock,
    stamps,
    ticks,
)
from greenroom.testing.samples import track_stats

STATS: Final = track_stats()
STRAIGHT: Final[list[Input]] = [
    AttemptEnded(1, 1, 200, "", "", retryable=True, sent=True),
    RetryDue(1, 2),
    LaneDue("EP", 1),
    SweepDue(1),
    RestartDue("StatsWorker", 1, has_waited=False),
    Kept(()),
]
ORIGIN: Final[Origin] = (b"client", 7, None)


# ── the way of an input ─────────────────────────────────────────────────────────────────────


def test_nothing_is_let_in_before_it_is_written() -> None:
    bench = DoorBench()
    bench.enter(FlushStats())

    assert bench.door.admit() is None
    group = bench.door.take()
    assert bench.door.admit() is None, "it was taken, and may not be on the disk yet"
    assert group is not None
    assert (group.first, group.at_ns, group.inputs) == (1, 100, [FlushStats()])
    bench.door.let_in()

    assert bench.door.admit() == ("supervisor", Stamped(1, 100, FlushStats()))
    assert bench.door.admit() is None


def test_the_same_group_is_taken_until_it_is_let_in() -> None:
    bench = DoorBench()
    bench.enter(FlushTick(1))
    first = bench.door.take()
    bench.enter(FlushTick(2))

    assert bench.door.take() is first
    bench.door.let_in()
    assert ticks(bench.admitted()) == [1, 2]


def test_each_input_wakes_the_journal_and_what_is_let_in_wakes_the_dispatcher() -> None:
    bench = DoorBench()
    waker = Waker()
    bench.door.connect(waker)
    waker.prepare()

    bench.enter(FlushStats())
    assert (bench.journal.woken, waker.asleep) == (1, True)
    bench.journal.write()

    assert not waker.asleep


@given(
    st.lists(
        st.sampled_from(["call", "other", "together", "straight", "write", "admit", "tick"]),
        max_size=60,
    ),
    st.lists(st.integers(0, 1_000), min_size=200, max_size=200),
)
def test_positions_are_unique_and_what_is_written_keeps_its_order_and_its_stamps(
    steps: list[str], times: list[int]
) -> None:
    bench = DoorBench(FaultyClock(*times))
    entered: list[tuple[object, int]] = []
    admitted: list[tuple[object, object]] = []
    for number, step in enumerate(steps, 1):
        if step in ("call", "other"):
            target = "supervisor" if step == "call" else "notifier"
            bench.door.enter(target, FlushTick(number))
            entered.append((target, number))
        elif step == "together":
            bench.door.enter_together((FlushTick(number), FlushTick(-number)), None)
            entered += [("supervisor", number), ("supervisor", -number)]
        elif step == "straight":
            bench.door.enter("notifier", RetryDue(number, 1))
        elif step == "write":
            bench.journal.write()
        elif step == "admit" and (one := bench.door.admit()) is not None:
            admitted.append(one)
        elif step == "tick":
            bench.clock.now_ns()
    admitted += bench.admitted()

    written = [one for one in admitted if ticks([one])]
    positions = [position for position, _ in stamps(admitted)]
    assert sorted(positions) == list(range(1, len(admitted) + 1))
    assert [(target, *ticks([(target, one)])) for target, one in written] == entered
    assert stamps(written) == sorted(stamps(written)), "neither goes back"
    assert stamps(written) == [
        (group.first + index, group.at_ns)
        for group in bench.journal.written
        for index in range(len(group.inputs))
    ]


def test_a_clock_that_was_set_back_does_not_take_the_stamps_along() -> None:
    bench = DoorBench(FaultyClock(500, 300, 400, 600))
    found: list[tuple[int, int]] = []
    for _ in range(4):
        bench.enter(FlushStats())
        found += stamps(bench.admitted())

    assert found == [(1, 500), (2, 500), (3, 500), (4, 600)]


@pytest.mark.parametrize("body", STRAIGHT, ids=lambda body: type(body).__name__)
def test_what_the_system_tells_itself_waits_for_no_disk(body: Input) -> None:
    bench = DoorBench()
    bench.enter(FlushStats())
    bench.door.enter("notifier", body)

    assert bench.journal.woken == 1
    assert bench.door.admit() == ("notifier", Stamped(1, 100, body))
    assert stamps(bench.admitted()) == [(2, 100)]


def test_a_tick_is_written_as_the_calls_are() -> None:
    bench = DoorBench()
    bench.enter(FlushTick(1))

    assert bench.door.admit() is None
    assert ticks(bench.admitted()) == [1]


# ── groups ──────────────────────────────────────────────────────────────────────────────────


def test_what_is_brought_together_is_in_one_group_with_its_origin() -> None:
    bench = DoorBench()
    bench.enter(*[STATS] * (GROUP_MAX - 1))
    bodies = tuple(TrackStatsBatch((STATS,) * 64) for _ in range(4))
    bench.door.enter_together(bodies, ORIGIN)
    bench.enter(STATS)

    group = bench.journal.write()

    assert group is not None
    assert group.inputs[GROUP_MAX - 1 :] == [*bodies]
    assert group.origins == [ORIGIN]
    behind = bench.journal.write()
    assert behind is not None
    assert (behind.inputs, behind.origins) == ([STATS], [])


def test_an_origin_without_inputs_is_remembered_all_the_same_and_holds_nobody_up() -> None:
    bench = DoorBench()
    bench.door.enter_together((), ORIGIN)
    group = bench.journal.write()
    bench.enter(FlushTick(1))

    assert group is not None
    assert (group.inputs, group.origins) == ([], [ORIGIN])
    assert ticks(bench.admitted()) == [1]
    assert bench.door.admit() is None


def test_a_group_has_no_more_statistics_than_is_good() -> None:
    bench = DoorBench()
    bench.enter(*[TrackStatsBatch((STATS,) * 64)] * (GROUP_MAX // 64 + 1))

    sizes = [len(group.inputs) for _ in range(2) if (group := bench.journal.write())]

    assert sizes == [GROUP_MAX // 64, 1]


def test_no_more_is_written_than_the_dispatcher_can_use_soon() -> None:
    bench = DoorBench()
    for number in range(GROUPS_READY_MAX):
        bench.enter(FlushTick(number))
        assert bench.journal.write() is not None
    bench.enter(FlushTick(7), FlushTick(8))

    assert bench.door.is_full
    assert bench.door.has_unwritten
    assert bench.door.take() is None
    woken = bench.journal.woken
    while bench.door.is_full:
        assert bench.door.admit() is not None
    assert bench.journal.woken > woken, "there is room again"
    assert bench.journal.write() is not None
    assert not bench.door.has_unwritten


def test_statistics_are_refused_first_while_the_disk_is_slow() -> None:
    bench = DoorBench(stats_capacity=2)

    taken = [bench.door.enter("supervisor", STATS) for _ in range(3)]
    taken += [bench.door.enter("supervisor", FlushStats()) for _ in range(3)]

    assert taken == [True, True, False, True, True, False]
    assert bench.dropped == [("door_full", STATS), ("door_full", FlushStats())]
    assert bench.door.enter("notifier", SweepDue(1))


def test_what_is_brought_together_may_find_no_room_and_its_origin_is_remembered() -> None:
    bench = DoorBench(stats_capacity=1)
    bench.enter(STATS)
    bench.door.enter_together((STATS, FlushStats()), ORIGIN)

    group = bench.door.take()

    assert bench.dropped == [("door_full", STATS)]
    assert group is not None
    assert (group.inputs, group.origins) == ([STATS, FlushStats()], [ORIGIN])


# ── recovery ────────────────────────────────────────────────────────────────────────────────


def test_a_life_before_is_fed_with_its_stamps_and_new_ones_follow_when_it_is_taken_up() -> None:
    bench = DoorBench()
    bench.door.resume(40, 900)
    bench.enter(FlushTick(3))
    bench.door.feed(38, 850, [FlushTick(1), None, FlushTick(2)])

    old = bench.admitted()
    assert bench.door.is_full, "nothing new is written"
    bench.journal.woken = 0
    bench.door.taken_up()
    assert bench.journal.woken == 1
    new = bench.admitted()

    assert (ticks(old), stamps(old)) == ([1, 2], [(38, 850), (40, 850)])
    assert (ticks(new), stamps(new)) == ([3], [(41, 900)])
    assert {target for target, _ in (*old, *new)} == {"supervisor"}
    assert bench.door.behind_ns == 800


def test_who_waits_for_the_life_before_does_not_wait_for_what_is_new() -> None:
    bench = DoorBench()
    first, second = Mark(), Mark()
    bench.door.resume(40, 90)
    bench.enter(FlushTick(3))
    bench.door.feed(40, 85, [FlushTick(1)])
    bench.door.mark(first)

    assert ticks(bench.admitted()) == [1]
    assert first.wait(0)
    bench.door.taken_up()
    bench.door.mark(second)
    assert not second.wait(0)
    assert ticks(bench.admitted()) == [3]
    assert second.wait(0)
