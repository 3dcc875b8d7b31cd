"""What happens when the mailbox is full."""

from __future__ import annotations

import threading

import pytest
from thespian.actors import Actor, ActorAddress, ActorSystem

from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock, VirtualClock
from greenroom.runtime.full import WhenFull


class Keeper(Actor):
    """Keeps numbers, waits for an event, and tells itself numbers in two ways."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case int():
                self.seen.append(msg)
            case threading.Event():
                msg.wait(10)
            case ActorSystem():
                for number in range(100):
                    msg.tell(self.myAddress, number)
            case "send":
                for number in range(100):
                    self.send(self.myAddress, number)
            case "show":
                self.send(sender, self.seen)


def test_a_tell_to_a_full_mailbox_waits_for_room() -> None:
    base = InProcessBase(SystemClock(), capacity=10)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    keeper = system.createActor(Keeper)
    opened, done = threading.Event(), threading.Event()
    system.tell(keeper, opened)

    def tell_many() -> None:
        for number in range(100):
            system.tell(keeper, number)
        done.set()

    thread = threading.Thread(target=tell_many)
    thread.start()
    assert not done.wait(0.05)
    assert base.statistics().queued <= 10
    opened.set()
    thread.join(10)

    with system.private() as outside:
        assert outside.ask(keeper, "show", 5) == list(range(100))
    assert base.statistics().refused == 0
    base.shutdown()


def test_a_tell_to_a_full_mailbox_that_nobody_empties_runs_the_actors() -> None:
    base = InProcessBase(VirtualClock(), capacity=10)
    system = ActorSystem(base, transientUnique=True)
    keeper = system.createActor(Keeper)

    for number in range(100):
        system.tell(keeper, number)

    assert base.statistics().queued <= 10
    assert system.ask(keeper, "show", 5) == list(range(100))


@pytest.mark.parametrize("threads", [False, True])
def test_a_full_mailbox_may_drop_what_is_told_and_count_it(threads: int) -> None:
    base = InProcessBase(SystemClock(), capacity=10, when_full=WhenFull.DROP_NEWEST)
    system = ActorSystem(base, transientUnique=True)
    keeper = system.createActor(Keeper)

    for number in range(100):
        system.tell(keeper, number)
    if threads:
        base.start()
    base.barrier(5)

    assert system.ask(keeper, "show", 5) == list(range(10))
    assert base.statistics().refused == 90
    base.shutdown()


@pytest.mark.parametrize("when_full", list(WhenFull))
def test_what_actors_send_is_never_held_back(when_full: WhenFull) -> None:
    base = InProcessBase(VirtualClock(), capacity=10, when_full=when_full)
    system = ActorSystem(base, transientUnique=True)
    keeper = system.createActor(Keeper)

    system.tell(keeper, "send")
    base.run_until_idle()

    assert system.ask(keeper, "show", 5) == list(range(100))


def test_an_actor_that_tells_through_the_system_does_not_wait_for_itself() -> None:
    base = InProcessBase(SystemClock(), capacity=10)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    keeper = system.createActor(Keeper)

    system.tell(keeper, system)
    assert base.barrier(5)

    assert system.ask(keeper, "show", 5) == list(range(100))
    base.shutdown()


def test_who_waits_for_room_goes_on_when_the_base_is_closed() -> None:
    base = InProcessBase(SystemClock(), capacity=1)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    keeper = system.createActor(Keeper)
    opened = threading.Event()
    system.tell(keeper, opened)

    def tell_many() -> None:
        for number in range(10):
            system.tell(keeper, number)

    thread = threading.Thread(target=tell_many)
    thread.start()
    base.shutdown(0.01)
    thread.join(10)

    assert not thread.is_alive()
    opened.set()
