"""What an actor raises, and what the host's logging does with it, reaches nobody else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from thespian.actors import Actor, ActorAddress, ActorSystem, PoisonMessage

from greenroom.errors import SystemBrokenError
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock
from greenroom.runtime.timers import MAX_SECONDS
from greenroom.testing.hostile_errors import HOSTILE_ERRORS, Noteless


class Raiser(Actor):
    """Raises the class that it is told; waits as long as it is told; echoes all else."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, type) and issubclass(msg, BaseException):
            raise msg
        if isinstance(msg, int | float | timedelta):
            self.wakeupAfter(msg)
        self.send(sender, msg)


@pytest.mark.usefixtures("slices")
@pytest.mark.parametrize("kind", HOSTILE_ERRORS)
def test_an_exception_whose_own_methods_fail_is_poison_as_any_other(
    system: ActorSystem, kind: type[Exception]
) -> None:
    raiser, other = system.createActor(Raiser), system.createActor(Raiser)

    answer = system.ask(raiser, kind, 5)

    assert isinstance(answer, PoisonMessage)
    assert answer.poisonMessage is kind
    assert answer.details
    assert system.ask(raiser, "still there?", 5) == "still there?"
    assert system.ask(other, "you too?", 5) == "you too?"


class FullDisk(logging.Handler):
    """A log handler that fails, as one of a host may."""

    def handle(self, record: logging.LogRecord) -> bool:
        raise OSError("no space left on device")


@pytest.fixture
def _full_disk() -> Iterator[None]:
    handler = FullDisk()
    logging.getLogger("greenroom").addHandler(handler)
    yield
    logging.getLogger("greenroom").removeHandler(handler)


@pytest.mark.usefixtures("_full_disk")
def test_a_log_handler_that_raises_costs_its_line_only(system: ActorSystem) -> None:
    raiser = system.createActor(Raiser)

    assert isinstance(system.ask(raiser, ValueError, 5), PoisonMessage)
    assert system.ask(raiser, "still there?", 5) == "still there?"


def test_a_line_of_the_runtime_says_where_it_was_written(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.ask(system.createActor(Raiser), ValueError, 5)

    assert {record.filename for record in caplog.records} == {"dispatch.py"}


@pytest.mark.parametrize("period", [10**400, MAX_SECONDS * 2, -MAX_SECONDS * 2, float("inf")])
def test_no_timer_is_set_for_longer_than_a_timedelta_can_be(
    system: ActorSystem, period: float
) -> None:
    raiser = system.createActor(Raiser)

    answer = system.ask(raiser, period, 5)

    assert isinstance(answer, PoisonMessage)
    assert "OverflowError" in (answer.details or "")
    assert system.ask(raiser, "still there?", 5) == "still there?"


@pytest.mark.parametrize("period", [timedelta.max, timedelta.min, 1e10])
def test_any_timedelta_is_waited_for(system: ActorSystem, period: timedelta | float) -> None:
    raiser = system.createActor(Raiser)

    assert system.ask(raiser, period, 5) == period
    assert system.ask(raiser, "still there?", timedelta.max) == "still there?"


def test_who_waits_for_a_dispatch_thread_that_dies_is_told_even_if_that_cannot_be_logged() -> None:
    class Unsupported:
        """A clock that ends with an exception that the log cannot print."""

        fails = False
        now_ns = staticmethod(SystemClock.now_ns)

        def monotonic_ns(self) -> int:
            if self.fails:
                raise Noteless
            return SystemClock.monotonic_ns()

    clock = Unsupported()
    base = InProcessBase(clock)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    raiser = system.createActor(Raiser)
    assert system.ask(raiser, timedelta.max, 5) == timedelta.max

    clock.fails = True
    with pytest.raises(SystemBrokenError):
        base.barrier(5)
    base.shutdown()
