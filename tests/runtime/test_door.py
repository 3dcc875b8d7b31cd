"""The door: bounds, stamps and the end."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.ports import Door as DoorPort
from greenroom.messages.calls import FlushStats, Report, TrackStats
from greenroom.messages.control import Input, Stamped
from greenroom.messages.deliveries import Kept, KeysLoaded, Loaded, NotKept, Numbered, Requeued
from greenroom.messages.ids import RoomID, RoomName, StatsKey
from greenroom.messages.outputs import AttemptEnded, RetryDue, SweepDue
from greenroom.messages.stats import FlushTick
from greenroom.runtime.clock import VirtualClock
from greenroom.runtime.door import Door, Mark
from greenroom.testing.journaled_door import FaultyClock

KEY = StatsKey.for_track("", 0, "PA_1", "TR_1", 0, 0)
STATS = TrackStats(RoomID("RM_1"), RoomName("room"), KEY, b"")
SYSTEM_INPUTS: list[Input] = [
    AttemptEnded(1, 1, 200, "", "", retryable=True, sent=True),
    RetryDue(1, 2),
    SweepDue(),
    FlushTick(1),
    Kept((Numbered(1, 1),)),
    NotKept((), "outbox_full"),
    Loaded("primary", "lobby", ()),
    KeysLoaded("EP", (), 1),
    Requeued(()),
]


class Drops:
    """Remembers what was dropped and why."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, reason: str, body: Input) -> None:
        self.seen.append((reason, type(body).__name__))


def stamps(door: Door) -> list[tuple[int, int]]:
    """Admit everything: positions and times."""
    found = []
    while (admitted := door.admit()) is not None:
        assert isinstance(admitted[1], Stamped)
        found.append((admitted[1].position, admitted[1].at_ns))
    return found


def test_inputs_are_admitted_in_order_with_consecutive_positions_and_the_clocks_time() -> None:
    clock = VirtualClock(100)
    door = Door(clock, on_drop=Drops())
    as_port: DoorPort = door

    entered = [as_port.enter("a", FlushStats()), as_port.enter("b", Report(None))]
    first = door.admit()
    clock.set_ns(250)
    second = door.admit()

    assert entered == [True, True]
    assert first == ("a", Stamped(1, 100, FlushStats()))
    assert second == ("b", Stamped(2, 250, Report(None)))
    assert door.admit() is None


@given(st.lists(st.sampled_from(["supervisor", "notifier"]), max_size=20))
def test_whom_a_door_leads_to_changes_nothing_for_anybody(targets: list[str]) -> None:
    drops = Drops()
    door = Door(VirtualClock(), on_drop=drops)
    door.lead_to("supervisor")
    for number, target in enumerate(targets):
        door.enter(target, RetryDue(number, 0))

    admitted = [door.admit() for _ in targets[1:]]
    door.finish()

    assert admitted == [
        (target, Stamped(number + 1, 0, RetryDue(number, 0)))
        for number, target in enumerate(targets[:-1])
    ]
    assert drops.seen == [("closed", "RetryDue")] * len(targets[-1:])


@given(st.lists(st.integers(0, 1 << 62), min_size=1, max_size=50))
def test_stamps_never_go_back_even_when_the_clock_does(times: list[int]) -> None:
    door = Door(FaultyClock(*times), on_drop=Drops())
    for _ in times:
        door.enter("a", FlushStats())

    found = stamps(door)

    assert [position for position, _ in found] == list(range(1, len(times) + 1))
    assert [at_ns for _, at_ns in found] == [max(times[: n + 1]) for n in range(len(times))]


def test_statistics_are_refused_first_and_other_calls_at_the_hard_capacity() -> None:
    drops = Drops()
    door = Door(VirtualClock(), stats_capacity=2, hard_capacity=4, on_drop=drops)

    taken = [door.enter("a", STATS) for _ in range(3)]
    taken += [door.enter("a", FlushStats()) for _ in range(3)]

    assert taken == [True, True, False, True, True, False]
    assert drops.seen == [("door_full", "TrackStats"), ("door_full", "FlushStats")]


@pytest.mark.parametrize("body", SYSTEM_INPUTS, ids=lambda body: type(body).__name__)
def test_the_systems_own_inputs_are_never_refused_for_want_of_room(body: Input) -> None:
    drops = Drops()
    door = Door(VirtualClock(), stats_capacity=1, hard_capacity=1, on_drop=drops)
    door.enter("a", FlushStats())

    assert door.enter("a", body)
    assert drops.seen == []


def test_room_that_was_made_is_used_again() -> None:
    door = Door(VirtualClock(), stats_capacity=1, hard_capacity=1, on_drop=Drops())

    door.enter("a", STATS)
    refused = door.enter("a", STATS)
    door.admit()

    assert not refused
    assert door.enter("a", STATS)


def test_a_closed_door_lets_nothing_in_but_what_waits_is_still_admitted() -> None:
    drops = Drops()
    door = Door(VirtualClock(), on_drop=drops)
    door.enter("a", FlushStats())

    door.close()

    assert not door.enter("a", SweepDue())
    assert drops.seen == [("closed", "SweepDue")]
    assert stamps(door) == [(1, 0)]


def test_a_finished_door_counts_what_it_throws_out() -> None:
    drops = Drops()
    door = Door(VirtualClock(), on_drop=drops)
    door.enter("a", FlushStats())
    mark = Mark()
    door.mark(mark)

    door.finish()

    assert door.admit() is None
    assert drops.seen == [("closed", "FlushStats")]
    assert mark.wait(0)


def test_a_mark_is_reached_only_behind_what_entered_before_it() -> None:
    door = Door(VirtualClock(), on_drop=Drops())
    mark = Mark()
    door.enter("a", FlushStats())
    door.mark(mark)
    door.enter("a", Report(None))

    door.admit()
    assert not mark.wait(0)

    admitted = door.admit()
    assert mark.wait(0)
    assert admitted == ("a", Stamped(2, 0, Report(None)))


@given(st.lists(st.sampled_from(["stats", "call", "own", "admit", "mark"]), max_size=60))
def test_every_input_is_admitted_waiting_or_dropped(steps: list[str]) -> None:
    door = Door(VirtualClock(), stats_capacity=3, hard_capacity=5, on_drop=Drops())
    bodies: dict[str, Input] = {"stats": STATS, "call": FlushStats(), "own": SweepDue()}
    tried = admitted = 0

    for step in steps:
        if step == "admit":
            admitted += door.admit() is not None
        elif step == "mark":
            door.mark(Mark())
        else:
            door.enter("a", bodies[step])
            tried += 1

    seen = door.statistics()
    assert seen.admitted == admitted
    assert seen.entered == seen.admitted + seen.waiting
    assert seen.entered + seen.dropped == tried


def test_many_threads_lose_nothing() -> None:
    door = Door(VirtualClock(), on_drop=Drops())
    body = FlushStats()

    def enter_many(name: str) -> None:
        for number in range(2_000):
            door.enter((name, number), body)

    threads = [threading.Thread(target=enter_many, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = []
    while (admitted := door.admit()) is not None:
        found.append(admitted[0])
    for name in "01234567":
        mine = dict.fromkeys((name, number) for number in range(2_000))
        assert [target for target in found if target in mine] == list(mine)


def test_a_door_shows_its_state_in_one_line() -> None:
    door = Door(VirtualClock(), on_drop=Drops())
    door.enter("a", FlushStats())
    door.close()

    assert repr(door) == "<Door 1 waiting, 0 admitted, 0 dropped, closed>"
