from __future__ import annotations

from typing import Final

import pytest

from greenroom.actors._base import Configure
from greenroom.actors.timer import Timer
from greenroom.config import Settings
from greenroom.messages.stats import FlushDue, FlushTick
from greenroom.testing.harness import ActorHarness, Sent

START_NS: Final = 1_700_000_000_000_000_000
SECOND: Final = 1_000_000_000


def started(interval_seconds: float | None = 30.0) -> ActorHarness[Timer]:
    timer = ActorHarness(Timer, at_ns=START_NS)
    settings = Settings(flush_interval_seconds=interval_seconds)
    assert timer.tell(Configure(settings, timer.ports)) == []
    return timer


def ticks(sent: list[Sent]) -> list[tuple[int, float]]:
    """Number of each tick, and its seconds since the start."""
    found = []
    for _, tick in sent:
        assert isinstance(tick, FlushTick)
        found.append((tick.number, (tick.at_ns - START_NS) / SECOND))
    return found


def test_the_first_tick_comes_one_interval_after_the_start() -> None:
    timer = started()

    assert timer.advance(29.999) == []
    assert timer.advance(0.001) == [Sent(timer.parent, FlushTick(1, START_NS + 30 * SECOND))]


def test_ticks_are_numbered_without_gaps() -> None:
    timer = started()

    assert ticks(timer.advance(100)) == [(1, 30), (2, 60), (3, 90)]


def test_without_an_interval_there_are_no_ticks() -> None:
    timer = started(interval_seconds=None)

    assert timer.advance(1_000_000) == []


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_wakeup_that_is_not_the_awaited_one_is_ignored(number: int) -> None:
    timer = started()
    timer.advance(30)  # now it waits for number 2

    assert timer.enter(FlushDue(number)) == []
    assert ticks(timer.advance(60)) == [(2, 60), (3, 90)]


def test_a_wakeup_that_comes_twice_ticks_once() -> None:
    timer = started()

    first, second = timer.enter(FlushDue(1)), timer.enter(FlushDue(1))

    assert (len(first), len(second)) == (1, 0)


def test_wakeups_that_are_late_do_not_make_the_ticks_drift() -> None:
    timer = started()

    seen = ticks(timer.advance(10_000, late_seconds=0.2))

    assert len(seen) == 333
    assert all(at - 30 * number < 0.5 for number, at in seen)


def test_a_machine_that_slept_makes_one_tick_up_for_all_that_were_missed() -> None:
    timer = started()
    timer.advance(30)

    seen = ticks(timer.advance(3_600, late_seconds=1_000))

    assert [number for number, _ in seen] == [2, 3, 4]  # at 1,060, 2,090 and 3,120
    assert [at for _, at in seen] == [1_060, 2_090, 3_120]


def test_a_short_interval_is_kept_to_the_microsecond() -> None:
    timer = started(interval_seconds=0.001)

    assert len(timer.advance(1)) == 1_000
