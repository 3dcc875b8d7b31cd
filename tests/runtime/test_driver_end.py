"""How a base ends: shut down, closed, broken."""

from __future__ import annotations

import threading

import pytest
from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem, ActorSystemMessage

from greenroom.errors import LifecycleError, SystemBrokenError
from greenroom.messages.calls import FlushStats, Report
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock, VirtualClock
from greenroom.runtime.door import Door


class Echo(Actor):
    """Returns what it is told."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if not isinstance(msg, ActorSystemMessage):
            self.send(sender, msg)


class Silent(Actor):
    """Says nothing."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        pass


class Gate(Actor):
    """Stops the thread that runs it until the test opens the gate."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, threading.Event):
            msg.wait(10)


def test_starting_twice_makes_one_thread_and_its_watchdog() -> None:
    base = InProcessBase(SystemClock())
    before = threading.active_count()

    base.start()
    base.start()

    assert base.barrier(5)
    assert threading.active_count() == before + 2
    names = {thread.name for thread in threading.enumerate()}
    assert names >= {"greenroom-dispatch", "greenroom-watchdog"}
    base.shutdown()
    assert threading.active_count() == before


def test_shutting_down_sends_all_away_and_closes_the_door(
    base: InProcessBase, system: ActorSystem
) -> None:
    dropped: list[str] = []
    base.door = door = Door(base.clock, on_drop=lambda reason, body: dropped.append(reason))
    echo = system.createActor(Echo)

    assert base.shutdown(5)
    assert base.shutdown(5)

    assert base.statistics().actors == 0
    assert not door.enter(echo, Report(None))
    assert dropped == ["closed"]


def test_a_closed_base_takes_messages_as_dead_letters(
    base: InProcessBase, system: ActorSystem
) -> None:
    echo = system.createActor(Echo)
    base.shutdown(5)

    system.tell(echo, "hello")

    assert system.ask(echo, "hello", 5) is None
    assert base.statistics().dead_letters == 2
    assert base.barrier(5)
    with pytest.raises(LifecycleError):
        base.start()


def test_an_actor_may_shut_the_system_down() -> None:
    class Last(Actor):
        def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
            if msg == "end":
                self.actorSystemShutdown()

    base = InProcessBase(SystemClock())
    base.start()
    system = ActorSystem(base, transientUnique=True)

    system.tell(system.createActor(Last), "end")

    assert system.listen(5) is None  # woken by the end, not by the time
    assert base.shutdown(5)


def test_shutting_down_gives_up_on_an_actor_that_does_not_come_back() -> None:
    base = InProcessBase(SystemClock())
    base.start()
    system = ActorSystem(base, transientUnique=True)
    opened = threading.Event()
    system.tell(system.createActor(Gate), opened)

    assert not base.shutdown(0.01)

    opened.set()


class BrokenClock:
    """A clock that fails at the door."""

    def now_ns(self) -> int:
        raise OSError("no time")

    def monotonic_ns(self) -> int:
        return 0


def test_when_the_dispatch_thread_dies_everyone_learns_why() -> None:
    base = InProcessBase(BrokenClock())
    dropped: list[str] = []
    base.door = door = Door(base.clock, on_drop=lambda reason, body: dropped.append(reason))
    system = ActorSystem(base, transientUnique=True)
    silent = system.createActor(Silent)
    opened = threading.Event()
    base.start()
    system.tell(system.createActor(Gate), opened)
    caught: list[BaseException] = []

    def listen() -> None:
        opened.set()
        try:
            system.listen(10)
        except SystemBrokenError as error:
            caught.append(error)

    door.enter(silent, FlushStats())
    door.enter(silent, FlushStats())
    listener = threading.Thread(target=listen)
    listener.start()
    listener.join(10)

    assert [type(error.__cause__) for error in caught] == [OSError]
    for late in (
        lambda: system.tell(silent, "hello"),
        lambda: system.ask(silent, "hello", 1),
        lambda: system.createActor(Silent),
        lambda: base.barrier(1),
    ):
        with pytest.raises(SystemBrokenError) as info:
            late()
        assert isinstance(info.value.__cause__, OSError)
    assert not door.enter(silent, FlushStats())
    assert dropped == ["broken", "broken"]
    assert "broken" in repr(base)
    base.shutdown()


def test_a_base_shows_its_state_in_one_line() -> None:
    base = InProcessBase(VirtualClock())
    ActorSystem(base, transientUnique=True).createActor(Silent)

    assert repr(base) == "<InProcessBase pumped: 1 actors, 0 queued, 0 timers>"


def test_delivered_messages_are_counted(base: InProcessBase, system: ActorSystem) -> None:
    echo = system.createActor(Echo)
    before = base.statistics().delivered

    system.ask(echo, "hello", 5)
    system.tell(echo, ActorExitRequest())
    base.barrier(5)

    # the question, the answer, the request, and the notice to the system
    assert base.statistics().delivered - before == 4
