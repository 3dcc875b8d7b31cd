"""The door whose inputs are written first: marks, turns, the end, many threads."""

from __future__ import annotations

import threading

import pytest

from greenroom.messages.calls import FlushStats
from greenroom.messages.outputs import RetryDue, SweepDue
from greenroom.messages.stats import FlushTick, SaveSlice
from greenroom.runtime.door import Mark, Notice
from greenroom.runtime.journaled_door import GROUPS_READY_MAX
from greenroom.testing.journaled_door import (
    DoorBench,
    NosyClock,
    StressJournal,
    stamps,
    ticks,
)
from greenroom.testing.patience import PATIENCE_SECONDS

# ── marks and turns ─────────────────────────────────────────────────────────────────────────


def test_a_mark_hurries_the_journal_and_is_reached_behind_what_was_before_it() -> None:
    bench = DoorBench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.mark(mark)
    bench.enter(FlushTick(2))
    assert bench.journal.hurried == 1
    assert bench.door.admit() is None
    assert not mark.wait(0)

    bench.journal.write()
    assert ticks([one for one in [bench.door.admit()] if one]) == [1]
    assert not mark.wait(0), "what came of it may not be done"
    assert ticks([one for one in [bench.door.admit()] if one]) == [2]
    assert mark.wait(0)


def test_a_mark_with_nothing_unwritten_before_it_needs_no_journal() -> None:
    bench = DoorBench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.journal.write()
    bench.door.mark(mark)

    assert bench.journal.hurried == 0
    assert not bench.door.is_empty
    assert ticks(bench.admitted()) == [1]
    assert mark.wait(0)
    assert bench.door.is_empty


def test_a_mark_does_not_overtake_a_group_that_is_being_written() -> None:
    bench = DoorBench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.take()
    bench.door.mark(mark)

    assert bench.door.admit() is None
    assert not mark.wait(0)
    assert ticks(bench.admitted()) == [1]
    assert mark.wait(0)


def test_a_mark_does_not_overtake_a_group_that_is_being_taken() -> None:
    clock = NosyClock()
    bench = DoorBench(clock)
    mark = Mark()
    bench.enter(FlushTick(1))
    clock.then = lambda: bench.door.mark(mark)
    bench.door.take()
    clock.then = lambda: None

    assert bench.door.admit() is None
    assert not mark.wait(0)
    assert ticks(bench.admitted()) == [1]
    assert mark.wait(0)


def test_inputs_that_are_thrown_out_while_a_group_is_taken_are_in_one_of_both_places() -> None:
    clock = NosyClock()
    bench = DoorBench(clock)
    bench.enter(FlushTick(1))
    clock.then = bench.door.finish
    group = bench.door.take()
    bench.door.let_in()

    assert group is not None
    assert (group.first, group.inputs, bench.dropped) == (1, [FlushTick(1)], [])


def test_a_notice_is_told_when_its_turn_comes_and_hurries_nobody() -> None:
    bench = DoorBench()
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
    bench = DoorBench()
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
    assert ticks(bench.admitted()) == [1, 2]
    assert told == ["done"]


def test_turns_are_given_between_inputs_and_at_once_when_none_is_written() -> None:
    bench = DoorBench()
    bench.enter(*[FlushStats()] * 300)
    bench.door.take_turn("supervisor", SaveSlice())
    assert bench.door.admit() == ("supervisor", SaveSlice()), "these are not written yet"

    bench.door.take_turn("supervisor", SaveSlice())
    admitted = [message for _, message in bench.admitted()]

    assert 200 < admitted.index(SaveSlice()) < 300
    assert len(admitted) == 301


def test_a_mark_is_reached_when_the_turns_before_it_are_done() -> None:
    bench = DoorBench()
    mark = Mark()
    bench.enter(FlushTick(1))
    bench.door.mark(mark)
    bench.journal.write()
    bench.door.take_turn("supervisor", SaveSlice())

    assert ticks([one for one in [bench.door.admit()] if one]) == [1]
    assert bench.door.admit() == ("supervisor", SaveSlice())
    assert not mark.wait(0)
    assert bench.door.admit() is None
    assert mark.wait(0)


# ── the end ─────────────────────────────────────────────────────────────────────────────────


def test_a_closed_door_lets_nothing_in_and_what_waits_is_still_written_and_admitted() -> None:
    bench = DoorBench()
    bench.enter(FlushTick(1))
    bench.door.close()

    assert not bench.door.enter("supervisor", FlushTick(2))
    assert not bench.door.enter("notifier", SweepDue(1))
    bench.door.enter_together((FlushTick(3),), None)

    assert [reason for reason, _ in bench.dropped] == ["closed"] * 3
    assert ticks(bench.admitted()) == [1]


def test_at_the_end_what_is_not_written_is_dropped_and_what_is_written_is_for_the_next_life() -> (
    None
):
    bench = DoorBench()
    marks = [Mark() for _ in range(4)]
    for number, mark in enumerate(marks[:3]):
        bench.enter(FlushTick(number))
        bench.door.mark(mark)
        if number < GROUPS_READY_MAX:
            bench.journal.write()
    bench.door.admit()
    bench.door.enter("notifier", SweepDue(1))
    bench.door.enter_together((FlushTick(5), FlushTick(6)), None)
    bench.door.take_turn("supervisor", SaveSlice())
    bench.door.mark(marks[3])

    bench.door.finish()

    assert bench.dropped == [("closed", FlushTick(number)) for number in (2, 5, 6)]
    assert all(mark.wait(0) for mark in marks)
    assert bench.door.admit() is None
    assert bench.door.is_empty
    assert not bench.door.has_unwritten


def test_a_group_that_is_written_behind_the_end_is_for_the_next_life() -> None:
    bench = DoorBench()
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
        numbers = [target[1] for target, _ in journal.admitted if target[0] == name]  # type: ignore[index]
        straight = [number for number in numbers if number % 3 == 0]
        assert straight == sorted(straight)
        assert [number for number in numbers if number % 3] == sorted({*numbers} - {*straight})
