"""Wake-ups, in virtual time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem, WakeupMessage

from greenroom.errors import LifecycleError
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock, VirtualClock

SECOND_NS = 1_000_000_000


class Sleeper(Actor):
    """Sets the timers that it is told, and reports each wake-up to who told it first."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case ("wake", period, payload):
                self.owner = sender
                self.wakeupAfter(period, payload)  # type: ignore[arg-type]  # one test lies
            case WakeupMessage():
                self.send(self.owner, (msg.delayPeriod, msg.payload))
                if msg.payload == "again":
                    self.wakeupAfter(msg.delayPeriod, "again")


class Fixture:
    """A pumped base in virtual time, with one Sleeper."""

    def __init__(self, start_ns: int = 0) -> None:
        self.clock = VirtualClock(start_ns)
        self.base = InProcessBase(self.clock)
        self.system = ActorSystem(self.base, transientUnique=True)
        self.sleeper = self.system.createActor(Sleeper)

    def wake(self, period: timedelta | float, payload: object) -> None:
        self.system.tell(self.sleeper, ("wake", period, payload))

    def heard(self) -> list[object]:
        """What has been reported since the last time."""
        found = []
        while (message := self.system.listen(0)) is not None:
            found.append(message)
        return found


def test_a_wake_up_comes_when_it_is_due_and_not_before() -> None:
    time = Fixture()
    time.wake(5, "x")

    time.base.advance_to(5 * SECOND_NS - 1)
    early = time.heard()
    time.base.advance_to(5 * SECOND_NS)

    assert early == []
    assert time.heard() == [(5, "x")]


def test_periods_may_be_timedeltas_and_fractions() -> None:
    time = Fixture(start_ns=17)
    time.wake(timedelta(milliseconds=1), "a")
    time.wake(0.002, "b")

    time.base.advance_to(17 + 1_000_000)
    first = time.heard()
    time.base.advance_to(17 + 2_000_000)

    assert first == [(timedelta(milliseconds=1), "a")]
    assert time.heard() == [(0.002, "b")]


def test_timers_that_are_due_together_fire_in_the_order_in_which_they_were_set() -> None:
    time = Fixture()
    for payload in "abc":
        time.wake(1, payload)

    time.base.advance_to(SECOND_NS)

    assert time.heard() == [(1, "a"), (1, "b"), (1, "c")]


def test_advancing_stops_at_each_timer_on_the_way() -> None:
    time = Fixture()
    time.wake(10, "again")

    time.base.advance_to(35 * SECOND_NS)

    assert time.heard() == [(10, "again")] * 3
    assert time.clock.now_ns() == 35 * SECOND_NS
    assert time.base.statistics().timers == 1


@given(st.lists(st.integers(0, 1_000), max_size=30))
@settings(deadline=None)
def test_timers_fire_in_the_order_of_their_times(periods_ms: list[int]) -> None:
    time = Fixture()
    for number, period in enumerate(periods_ms):
        time.wake(timedelta(milliseconds=period), number)

    time.base.advance_to(SECOND_NS)

    fired = [message[1] for message in time.heard()]  # type: ignore[index]
    assert fired == sorted(range(len(periods_ms)), key=lambda number: periods_ms[number])
    assert time.base.statistics().timers == 0


def test_a_dead_actors_timers_are_gone() -> None:
    time = Fixture()
    for _ in range(200):
        time.wake(3_600, "x")
    time.base.run_until_idle()
    before = time.base.statistics().timers

    time.system.tell(time.sleeper, ActorExitRequest())
    time.base.run_until_idle()

    assert (before, time.base.statistics().timers) == (200, 0)
    time.base.advance_to(4_000 * SECOND_NS)
    assert time.heard() == []
    assert time.base.statistics().dead_letters == 0


def test_time_never_goes_back() -> None:
    time = Fixture(start_ns=5)

    with pytest.raises(ValueError, match="only goes forward"):
        time.base.advance_to(4)


def test_only_virtual_time_can_be_moved() -> None:
    with pytest.raises(LifecycleError, match="virtual"):
        InProcessBase(SystemClock()).advance_to(1)


def test_a_base_in_virtual_time_has_no_thread() -> None:
    with pytest.raises(LifecycleError, match="pumped"):
        InProcessBase(VirtualClock()).start()


def test_a_wrong_period_is_the_actors_error() -> None:
    time = Fixture()

    time.system.tell(time.sleeper, ("wake", "soon", "x"))
    time.base.run_until_idle()

    assert time.base.statistics().timers == 0


@pytest.mark.parametrize("threaded", [False, True], ids=["pumped", "threaded"])
def test_real_timers_wake_a_sleeping_base(*, threaded: bool) -> None:
    base = InProcessBase(SystemClock())
    system = ActorSystem(base, transientUnique=True)
    if threaded:
        base.start()
    sleeper = system.createActor(Sleeper)

    assert system.ask(sleeper, ("wake", 0.01, "x"), 5) == (0.01, "x")

    base.shutdown()
