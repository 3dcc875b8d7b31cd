"""Slow handlers, runaways, and an idle system that stays idle."""

from __future__ import annotations

import threading

import pytest
from thespian.actors import Actor, ActorAddress, ActorSystem

from greenroom.messages.calls import FlushStats
from greenroom.messages.control import Stamped
from greenroom.runtime import meter, watchdog
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock, VirtualClock
from greenroom.runtime.dispatch import Dispatcher
from greenroom.runtime.door import Door
from greenroom.runtime.mailbox import FlatMailbox
from greenroom.runtime.population import Population
from greenroom.runtime.watchdog import Watchdog
from greenroom.testing.patience import wait_until


class Slow(Actor):
    """Waits for the event that it is told, or for 20 ms on an input."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case threading.Event():
                msg.wait(10)
            case Stamped():
                threading.Event().wait(0.02)


class Flooder(Actor):
    """Sends itself as many messages as it is told, and ignores those."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, int):
            for _ in range(msg):
                self.send(self.myAddress, "flood")


@pytest.fixture
def threaded() -> InProcessBase:
    base = InProcessBase(SystemClock())
    base.start()
    return base


def test_a_handler_that_holds_the_thread_is_named_once_with_its_stack(
    threaded: InProcessBase, caplog: pytest.LogCaptureFixture
) -> None:
    system = ActorSystem(threaded, transientUnique=True)
    opened = threading.Event()

    system.tell(system.createActor(Slow), opened)
    wait_until(lambda: threaded.statistics().stalls > 0)
    threading.Event().wait(0.1)
    opened.set()
    threaded.barrier(5)
    wait_until(lambda: (slow := threaded.statistics().slowest) is not None and slow.seconds > 0.1)

    seen = threaded.statistics()
    (record,) = [each for each in caplog.records if each.name == "greenroom.runtime.watchdog"]
    assert seen.stalls == 1
    assert seen.slowest is not None
    assert (seen.slowest.actor, seen.slowest.message) == ("Slow", "Event")
    assert "Slow has held the dispatch thread for" in record.getMessage()
    assert "with a Event" in record.getMessage()
    assert "msg.wait(10)" in record.getMessage()
    threaded.shutdown()


def test_a_handler_that_does_not_return_is_named_again_but_counted_once(
    threaded: InProcessBase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(watchdog, "REPEAT_NS", 60_000_000)
    system = ActorSystem(threaded, transientUnique=True)
    opened = threading.Event()

    system.tell(system.createActor(Slow), opened)
    wait_until(lambda: len(caplog.records) >= 3)

    assert threaded.statistics().stalls == 1
    opened.set()
    threaded.shutdown()


def test_many_quick_messages_are_no_stall(threaded: InProcessBase) -> None:
    system = ActorSystem(threaded, transientUnique=True)
    flooder = system.createActor(Flooder)

    for _ in range(4):
        system.tell(flooder, 50_000)
    threaded.barrier(10)

    assert threaded.statistics().delivered > 200_000
    slowest = threaded.statistics().slowest
    assert slowest is None or slowest.message in ("int", "str")
    threaded.shutdown()


def test_the_watchdog_rests_while_the_dispatcher_does() -> None:
    population = Population("test", SystemClock(), {}, FlatMailbox())
    dog = Watchdog(population, Dispatcher(population))

    population.waker.prepare()
    dog.start(threading.get_ident())
    wait_until(lambda: dog.waker.asleep)
    assert repr(dog) == "<Watchdog resting>"

    population.waker.cancel()
    dog.waker.wake()
    assert repr(dog) == "<Watchdog watching>"
    dog.stop()


def test_the_slowest_handler_is_named_by_what_passed_the_door() -> None:
    base = InProcessBase(VirtualClock())
    base.door = door = Door(base.clock, on_drop=lambda reason, body: None)
    system = ActorSystem(base, transientUnique=True)
    slow, flooder = system.createActor(Slow), system.createActor(Flooder)

    system.tell(flooder, 3)
    door.enter(slow, FlushStats())
    base.run_until_idle()

    slowest = base.statistics().slowest
    assert slowest is not None
    assert (slowest.actor, slowest.message) == ("Slow", "FlushStats")
    assert slowest.seconds >= 0.02


def test_the_fullest_mailbox_is_remembered() -> None:
    base = InProcessBase(VirtualClock())
    system = ActorSystem(base, transientUnique=True)

    system.tell(system.createActor(Flooder), 700)
    base.run_until_idle()

    assert base.statistics().queued == 0
    assert 700 - 256 < base.statistics().high_water <= 700  # looked at once a slice


@pytest.mark.parametrize("threads", [False, True])
def test_who_floods_the_mailbox_is_named(
    threads: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(meter, "RUNAWAY_FROM", 1_000)
    base = InProcessBase(SystemClock())
    if threads:
        base.start()
    system = ActorSystem(base, transientUnique=True)
    system.tell(system.createActor(Flooder), 5_000)
    base.barrier(5)

    assert base.statistics().runaway == "Flooder sends Flooder str (1000 of 1000)"
    assert "messages wait in the mailbox; newest: Flooder sends" in caplog.text
    base.shutdown()
