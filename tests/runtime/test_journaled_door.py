"""The door whose inputs are written first: order, stamps, marks, and room for two groups."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.journal import Group, Origin
from greenroom.messages.calls import FlushStats, TrackStats, TrackStatsBatch
from greenroom.messages.control import Input, RestartDue, Stamped
from greenroom.messages.deliveries import Kept
from greenroom.messages.outputs import AttemptEnded, LaneDue, RetryDue, SweepDue
from greenroom.messages.stats import FlushTick, SaveSlice
from greenroom.runtime.clock import VirtualClock
from greenroom.runtime.door import Door, Mark, Notice
from greenroom.runtime.journaled_door import GROUP_MAX, GROUPS_READY_MAX, JournaledDoor
from greenroom.runtime.waker import Waker
from greenroom.testing.patience import PATIENCE_SECONDS
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


class FaultyClock:
    """A clock that is set back, as machines' clocks are."""

    def __init__(self, *times: int) -> None:
        self._times = iter(times)

    def now_ns(self) -> int:
        return next(self._times)

    def monotonic_ns(self) -> int:
        return 0


class NosyClock:
    """Somebody does something each time that it is looked at: in the midst of a step."""

    def __init__(self) -> None:
        self.then: Callable[[], None] = lambda: None

    def now_ns(self) -> int:
        self.then()
        return 100

    def monotonic_ns(self) -> int:
        return 0


class FakeJournal:
    """Counts how often it is woken; writes when it is told."""

    door: JournaledDoor

    def __init__(self) -> None:
        self.woken = self.hurried = 0
        self.written: list[Group] = []

    def wake(self) -> None:
        self.woken += 1

    def hurry(self) -> None:
        self.hurried += 1

    def write(self) -> Group | None:
        """One group, if there is one to be written."""
        group = self.door.take()
        if group is not None:
            self.written.append(group)
        self.door.let_in()
        return group


class Bench:
    """A door, its journal, and what it dropped."""

    def __init__(
        self,
        clock: VirtualClock | FaultyClock | NosyClock | None = None,
        stats_capacity: int = 1_000_000,
    ) -> None:
        self.clock = clock or VirtualClock(100)
        self.dropped: list[tuple[str, Input]] = []
        self.journal = FakeJournal()
        self.door = JournaledDoor(
            self.clock,
            self.journal,
            stats_capacity=stats_capacity,
            hard_capacity=2 * stats_capacity,
            on_drop=lambda reason, body: self.dropped.append((reason, body)),
        )
        self.journal.door = self.door
        self.door.lead_to("supervisor")

    def enter(self, *bodies: Input) -> None:
        for body in bodies:
            assert self.door.enter("supervisor", body)

    def admitted(self) -> list[tuple[object, object]]:
        """All that can be admitted now, after what waits was written."""
        found: list[tuple[object, object]] = []
        while True:
            self.journal.write()
            admitted = self.door.admit()
            if admitted is not None:
                found.append(admitted)
            elif not self.door.has_unwritten:
                return found


def stamps(admitted: Iterable[tuple[object, object]]) -> list[tuple[int, int]]:
    found = []
    for _, message in admitted:
        assert isinstance(message, Stamped)
        found.append((message.position, message.at_ns))
    return found


def flushes(admitted: Iterable[tuple[object, object]]) -> list[int]:
    """The numbers of the ticks among what was admitted."""
    return [
        message.body.number
        for _, message in admitted
        if isinstance(message, Stamped) and isinstance(message.body, FlushTick)
    ]


# ── the way of an input ─────────────────────────────────────────────────────────────────────


def test_nothing_is_let_in_before_it_is_written() -> None:
    bench = Bench()
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
    bench = Bench()
    bench.enter(FlushTick(1))
    first = bench.door.take()
    bench.enter(FlushTick(2))

    assert bench.door.take() is first
    bench.door.let_in()
    assert flushes(bench.admitted()) == [1, 2]


def test_each_input_wakes_the_journal_and_what_is_let_in_wakes_the_dispatcher() -> None:
    bench = Bench()
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
    bench = Bench(FaultyClock(*times))
    number = 0
    entered: list[tuple[object, int]] = []
    admitted: list[tuple[object, object]] = []
    for step in steps:
        number += 1
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

    written = [one for one in admitted if flushes([one])]
    positions = [position for position, _ in stamps(admitted)]
    assert sorted(positions) == list(range(1, len(admitted) + 1))
    assert [(target, *flushes([(target, one)])) for target, one in written] == entered
    assert stamps(written) == sorted(stamps(written)), "neither goes back"
    assert stamps(written) == [
        (group.first + index, group.at_ns)
        for group in bench.journal.written
        for index in range(len(group.inputs))
    ]


def test_a_clock_that_was_set_back_does_not_take_the_stamps_along() -> None:
    bench = Bench(FaultyClock(500, 300, 400, 600))
    found: list[tuple[int, int]] = []
    for _ in range(4):
        bench.enter(FlushStats())
        found += stamps(bench.admitted())

    assert found == [(1, 500), (2, 500), (3, 500), (4, 600)]


@pytest.mark.parametrize("body", STRAIGHT, ids=lambda body: type(body).__name__)
def test_what_the_system_tells_itself_waits_for_no_disk(body: Input) -> None:
    bench = Bench()
    bench.enter(FlushStats())
    bench.door.enter("notifier", body)

    assert bench.journal.woken == 1
    assert bench.door.admit() == ("notifier", Stamped(1, 100, body))
    assert stamps(bench.admitted()) == [(2, 100)]


def test_a_tick_is_written_as_the_calls_are() -> None:
    bench = Bench()
    bench.enter(FlushTick(1))

    assert bench.door.admit() is None
    assert flushes(bench.admitted()) == [1]


# ── groups ──────────────────────────────────────────────────────────────────────────────────


def test_what_is_brought_together_is_in_one_group_with_its_origin() -> None:
    bench = Bench()
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


def test_an_origin_without_inputs_is_remembered_all_the_same() -> None:
    bench = Bench()
    bench.door.enter_together((), ORIGIN)

    group = bench.door.take()

    assert group is not None
    assert (group.inputs, group.origins) == ([], [ORIGIN])


def test_a_group_has_no_more_statistics_than_is_good() -> None:
    bench = Bench()
    bench.enter(*[TrackStatsBatch((STATS,) * 64)] * (GROUP_MAX // 64 + 1))

    sizes = [len(group.inputs) for _ in range(2) if (group := bench.journal.write())]

    assert sizes == [GROUP_MAX // 64, 1]


def test_no_more_is_written_than_the_dispatcher_can_use_soon() -> None:
    bench = Bench()
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
    bench = Bench(stats_capacity=2)

    taken = [bench.door.enter("supervisor", STATS) for _ in range(3)]
    taken += [bench.door.enter("supervisor", FlushStats()) for _ in range(3)]

    assert taken == [True, True, False, True, True, False]
    assert bench.dropped == [("door_full", STATS), ("door_full", FlushStats())]
    assert bench.door.enter("notifier", SweepDue(1))


def test_what_is_brought_together_may_find_no_room_and_its_origin_is_remembered() -> None:
    bench = Bench(stats_capacity=1)
    bench.enter(STATS)
    bench.door.enter_together((STATS, FlushStats()), ORIGIN)

    group = bench.door.take()

    assert bench.dropped == [("door_full", STATS)]
    assert group is not None
    assert (group.inputs, group.origins) == ([STATS, FlushStats()], [ORIGIN])


# ── marks and turns ─────────────────────────────────────────────────────────────────────────


def test_a_mark_hurries_the_journal_and_is_reached_behind_what_was_before_it() -> None:
    bench = Bench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.mark(mark)
    bench.enter(FlushTick(2))
    assert bench.journal.hurried == 1
    assert bench.door.admit() is None
    assert not mark.wait(0)

    bench.journal.write()
    assert flushes([one for one in [bench.door.admit()] if one]) == [1]
    assert not mark.wait(0), "what came of it may not be done"
    assert flushes([one for one in [bench.door.admit()] if one]) == [2]
    assert mark.wait(0)


def test_a_mark_with_nothing_unwritten_before_it_needs_no_journal() -> None:
    bench = Bench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.journal.write()
    bench.door.mark(mark)

    assert bench.journal.hurried == 0
    assert not bench.door.is_empty
    assert flushes(bench.admitted()) == [1]
    assert mark.wait(0)
    assert bench.door.is_empty


def test_a_mark_does_not_overtake_a_group_that_is_being_written() -> None:
    bench = Bench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.take()
    bench.door.mark(mark)

    assert bench.door.admit() is None
    assert not mark.wait(0)
    assert flushes(bench.admitted()) == [1]
    assert mark.wait(0)


def test_a_mark_does_not_overtake_a_group_that_is_being_taken() -> None:
    clock = NosyClock()
    bench = Bench(clock)
    mark = Mark()
    bench.enter(FlushTick(1))
    clock.then = lambda: bench.door.mark(mark)
    bench.door.take()
    clock.then = lambda: None

    assert bench.door.admit() is None
    assert not mark.wait(0)
    assert flushes(bench.admitted()) == [1]
    assert mark.wait(0)


def test_inputs_that_are_thrown_out_while_a_group_is_taken_are_in_one_of_both_places() -> None:
    clock = NosyClock()
    bench = Bench(clock)
    bench.enter(FlushTick(1))
    clock.then = bench.door.finish
    group = bench.door.take()
    bench.door.let_in()

    assert group is not None
    assert (group.first, group.inputs, bench.dropped) == (1, [FlushTick(1)], [])


def test_a_notice_is_told_when_its_turn_comes_and_hurries_nobody() -> None:
    bench = Bench()
    told: list[str] = []
    bench.enter(FlushTick(1))
    bench.door.mark(Notice(lambda: told.append("done")))
    assert bench.journal.hurried == 0

    bench.journal.write()
    bench.door.admit()
    assert told == []
    assert bench.door.admit() is None
    assert told == ["done"]


def test_who_waits_is_let_go_when_the_disk_refuses_and_what_was_entered_stays() -> None:
    bench = Bench()
    told: list[str] = []
    marks = [Mark(), Mark()]
    bench.enter(FlushTick(1))
    bench.door.mark(marks[0])
    bench.door.mark(Notice(lambda: told.append("done")))
    bench.door.take()
    bench.enter(FlushTick(2))
    bench.door.mark(marks[1])

    bench.door.refuse()

    assert [mark.wait(0) for mark in marks] == [True, True]
    assert told == [], "it is not done"
    assert bench.door.admit() is None
    assert flushes(bench.admitted()) == [1, 2]
    assert told == ["done"]


def test_turns_are_given_between_inputs_and_at_once_when_none_is_written() -> None:
    bench = Bench()
    bench.enter(*[FlushStats()] * 300)
    bench.door.take_turn("supervisor", SaveSlice())
    assert bench.door.admit() == ("supervisor", SaveSlice()), "these are not written yet"

    bench.door.take_turn("supervisor", SaveSlice())
    admitted = [message for _, message in bench.admitted()]

    assert 200 < admitted.index(SaveSlice()) < 300
    assert len(admitted) == 301


def test_a_mark_is_reached_when_the_turns_before_it_are_done() -> None:
    bench = Bench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.mark(mark)
    bench.journal.write()
    bench.door.take_turn("supervisor", SaveSlice())

    assert flushes([one for one in [bench.door.admit()] if one]) == [1]
    assert bench.door.admit() == ("supervisor", SaveSlice())
    assert not mark.wait(0)
    assert bench.door.admit() is None
    assert mark.wait(0)


# ── recovery ────────────────────────────────────────────────────────────────────────────────


def test_a_life_before_is_fed_with_its_stamps_and_new_ones_follow() -> None:
    bench = Bench()
    bench.door.resume(40, 900)
    bench.door.feed(38, 850, [FlushTick(1), None, FlushTick(2)])
    bench.enter(FlushTick(3))

    admitted = bench.admitted()

    assert flushes(admitted) == [1, 2, 3]
    assert stamps(admitted) == [(38, 850), (40, 850), (41, 900)]
    assert {target for target, _ in admitted} == {"supervisor"}


# ── the end ─────────────────────────────────────────────────────────────────────────────────


def test_a_closed_door_lets_nothing_in_and_what_waits_is_still_written_and_admitted() -> None:
    bench = Bench()
    bench.enter(FlushTick(1))
    bench.door.close()

    assert not bench.door.enter("supervisor", FlushTick(2))
    assert not bench.door.enter("notifier", SweepDue(1))
    bench.door.enter_together((FlushTick(3),), None)

    assert [reason for reason, _ in bench.dropped] == ["closed"] * 3
    assert flushes(bench.admitted()) == [1]


def test_at_the_end_what_is_not_written_is_dropped_and_what_is_written_is_for_the_next_life() -> (
    None
):
    bench = Bench()
    marks = [Mark() for _ in range(4)]
    for number, mark in enumerate(marks[:3]):
        bench.enter(FlushTick(number))
        bench.door.mark(mark)
        if number < GROUPS_READY_MAX:
            bench.journal.write()
    bench.door.admit()
    bench.door.enter("notifier", SweepDue(1))
    bench.door.enter_together((FlushTick(5), FlushTick(6)), ORIGIN)
    bench.door.take_turn("supervisor", SaveSlice())
    bench.door.mark(marks[3])

    bench.door.finish()

    assert bench.dropped == [("closed", FlushTick(number)) for number in (2, 5, 6)]
    assert all(mark.wait(0) for mark in marks)
    assert bench.door.admit() is None
    assert bench.door.is_empty
    assert not bench.door.has_unwritten


def test_a_group_that_is_written_behind_the_end_is_for_the_next_life() -> None:
    bench = Bench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.mark(mark)
    bench.door.take()
    bench.door.finish()

    bench.door.let_in()

    assert mark.wait(0)
    assert bench.dropped == []
    assert bench.door.admit() is None


# ── threads ─────────────────────────────────────────────────────────────────────────────────


class StressJournal:
    """A thread writes what it is woken for, and a thread admits; neither looks without a reason.

    Args:
        count: So many inputs will be admitted.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._calls = threading.Semaphore(0)
        self._waker = Waker()
        self.is_over = False
        self.admitted: list[tuple[object, object]] = []
        self.door = JournaledDoor(
            VirtualClock(), self, stats_capacity=10**6, hard_capacity=10**6, on_drop=print
        )
        self.door.connect(self._waker)
        self.door.lead_to("supervisor")

    def wake(self) -> None:
        self._calls.release()

    hurry = wake

    def write(self) -> None:
        while self._calls.acquire() and not self.is_over:
            while self.door.take() is not None:
                self.door.let_in()

    def admit(self) -> None:
        while len(self.admitted) < self._count:
            one = self.door.admit()
            if one is not None:
                self.admitted.append(one)
                continue
            self._waker.prepare()
            if self.door.is_empty:
                self._waker.sleep(None)
            else:
                self._waker.cancel()

    def end(self) -> None:
        self.is_over = True
        self.wake()


@pytest.mark.usefixtures("eager")
def test_many_threads_lose_nothing_and_wait_for_no_more_than_is_theirs() -> None:
    names, each, step = "abcdef", 600, 20
    journal = StressJournal(len(names) * each)
    door, early = journal.door, []

    def enter_many(name: str) -> None:
        for number in range(each):
            if number % 3:
                door.enter((name, number), FlushStats())
            else:
                door.enter((name, number), RetryDue(number, 1))
            if number % step == 0:
                mark = Mark()
                door.mark(mark)
                assert mark.wait(PATIENCE_SECONDS)
                mine = sum(target[0] == name for target, _ in [*journal.admitted])  # type: ignore[index]
                # it is taken out before it is appended
                early.extend([(name, number)] if mine < number else [])

    threads = [threading.Thread(target=enter_many, args=(name,), daemon=True) for name in names]
    others = (journal.write, journal.admit)
    threads += [threading.Thread(target=job, daemon=True) for job in others]
    for thread in threads:
        thread.start()
    for thread in (*threads[: len(names)], threads[-1]):
        thread.join(PATIENCE_SECONDS)
    journal.end()
    threads[-2].join(PATIENCE_SECONDS)

    assert early == []
    assert len(journal.admitted) == len(names) * each
    positions = [position for position, _ in stamps(journal.admitted)]
    assert sorted(positions) == list(range(1, len(positions) + 1))
    for name in names:
        mine = [target for target, _ in journal.admitted if target[0] == name]  # type: ignore[index]
        for is_straight in (False, True):
            of_kind = [number for _, number in mine if (number % 3 == 0) is is_straight]  # type: ignore[misc]
            assert of_kind == sorted(of_kind)
