from __future__ import annotations

import dataclasses
from typing import Final

import pytest

from greenroom.actors._base import Configure, WakeupMessage
from greenroom.actors.timer import Timer
from greenroom.config import Settings
from greenroom.messages.control import Input
from greenroom.messages.stats import FlushTick, TickTaken
from greenroom.testing.fakes import FakeDoor
from greenroom.testing.harness import ActorHarness

START_NS: Final = 1_700_000_000_000_000_000
SECOND: Final = 1_000_000_000


class TakingDoor(FakeDoor):
    """Behind it the supervisor takes each new tick at once, and says so."""

    def __init__(self, timer: ActorHarness[Timer]) -> None:
        super().__init__()
        self.timer = timer
        self.ticks: list[tuple[int, float]] = []  # number of each tick, seconds since the start

    def enter(self, target: object, body: Input) -> bool:
        assert target is self.timer.parent
        assert isinstance(body, FlushTick)
        self.ticks.append((body.number, (self.timer.at_ns - START_NS) / SECOND))
        self.timer.tell(TickTaken(body.number, self.timer.at_ns))
        return True


class Running:
    """A timer and the ticks that it lets enter."""

    def __init__(self, interval_seconds: float | None = 30.0) -> None:
        self.timer = ActorHarness(Timer, at_ns=START_NS)
        self.door = TakingDoor(self.timer)
        settings = Settings(flush_interval_seconds=interval_seconds)
        ports = dataclasses.replace(self.timer.ports, door=self.door)
        assert self.timer.tell(Configure(settings, ports)) == []

    def advance(self, seconds: float, *, late_seconds: float = 0.0) -> list[tuple[int, float]]:
        """The ticks of that time."""
        self.door.ticks.clear()
        assert self.timer.advance(seconds, late_seconds=late_seconds) == []
        return list(self.door.ticks)


def started(interval_seconds: float | None = 30.0) -> Running:
    return Running(interval_seconds)


def test_the_first_tick_comes_one_interval_after_the_start() -> None:
    timer = started()

    assert timer.advance(29.999) == []
    assert timer.advance(0.001) == [(1, 30)]


def test_ticks_are_numbered_without_gaps() -> None:
    timer = started()

    assert timer.advance(100) == [(1, 30), (2, 60), (3, 90)]


def test_without_an_interval_there_are_no_ticks() -> None:
    timer = started(interval_seconds=None)

    assert timer.advance(1_000_000) == []


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_tick_that_is_not_the_awaited_one_changes_nothing(number: int) -> None:
    timer = started()
    timer.advance(30)  # now it waits for number 2

    timer.timer.tell(TickTaken(number, START_NS + 31 * SECOND))

    assert timer.advance(60) == [(2, 60), (3, 90)]


def test_a_wakeup_that_comes_twice_does_not_double_those_after_it() -> None:
    timer = started()

    timer.timer.tell(WakeupMessage(30.0, FlushTick(1)))
    timer.timer.tell(WakeupMessage(30.0, FlushTick(1)))

    assert timer.advance(60) == [(1, 30), (2, 30), (3, 60)]


def test_wakeups_that_are_late_do_not_make_the_ticks_drift() -> None:
    timer = started()

    seen = timer.advance(10_000, late_seconds=0.2)

    assert len(seen) == 333
    assert all(at - 30 * number < 0.5 for number, at in seen)


def test_a_machine_that_slept_makes_one_tick_up_for_all_that_were_missed() -> None:
    timer = started()
    timer.advance(30)

    seen = timer.advance(3_600, late_seconds=1_000)

    assert [number for number, _ in seen] == [2, 3, 4]  # at 1,060, 2,090 and 3,120
    assert [at for _, at in seen] == [1_060, 2_090, 3_120]


def test_a_short_interval_is_kept_to_the_microsecond() -> None:
    timer = started(interval_seconds=0.001)

    assert len(timer.advance(1)) == 1_000
