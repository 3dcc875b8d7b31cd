"""Delivery: order, threads, failures, and letters to the dead."""

from __future__ import annotations

import threading

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ActorSystemMessage,
    ChildActorExited,
    DeadEnvelope,
    PoisonMessage,
)

from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock


class Collector(Actor):
    """Keeps what it is told, and shows it when asked."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "show":
            self.send(sender, list(self.seen))
        elif not isinstance(msg, ActorExitRequest):
            self.seen.append(msg)


class Forwarder(Actor):
    """Passes on what it is told."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case (ActorAddress() as target, payload):
                self.send(target, payload)


class Fragile(Actor):
    """Fails as often as the message says, then answers with how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, ActorSystemMessage):
            return
        self.calls += 1
        match msg:
            case ("fail", int(times)) if self.calls <= times:
                raise ValueError("on purpose")
            case ("end", type() as kind):
                raise kind("on purpose")
        self.send(sender, self.calls)


def test_messages_from_one_sender_arrive_in_order(system: ActorSystem) -> None:
    collector = system.createActor(Collector)

    for number in range(1_000):
        system.tell(collector, number)

    assert system.ask(collector, "show", 5) == list(range(1_000))


def test_messages_of_one_actor_to_another_arrive_in_order(system: ActorSystem) -> None:
    collector = system.createActor(Collector)
    forwarder = system.createActor(Forwarder)

    for number in range(1_000):
        system.tell(forwarder, (collector, number))
    system.tell(forwarder, (collector, "done"))

    while (seen := system.ask(collector, "show", 5))[-1:] != ["done"]:
        pass
    assert seen == [*range(1_000), "done"]


def test_eight_threads_lose_nothing_and_each_keeps_its_order() -> None:
    base = InProcessBase(SystemClock())
    base.start()
    system = ActorSystem(base, transientUnique=True)
    collector = system.createActor(Collector)

    def tell_many(name: int) -> None:
        for number in range(2_000):
            system.tell(collector, (name, number))

    threads = [threading.Thread(target=tell_many, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    seen = system.ask(collector, "show", 10)
    for name in range(8):
        assert [number for who, number in seen if who == name] == list(range(2_000))
    base.shutdown()


def test_a_first_exception_is_tried_again_at_once(system: ActorSystem) -> None:
    fragile = system.createActor(Fragile)

    assert system.ask(fragile, ("fail", 1), 5) == 2


def test_a_second_exception_returns_the_message_as_poison(system: ActorSystem) -> None:
    fragile = system.createActor(Fragile)

    answer = system.ask(fragile, ("fail", 2), 5)

    assert isinstance(answer, PoisonMessage)
    assert answer.poisonMessage == ("fail", 2)
    assert "on purpose" in str(answer.details)
    assert system.ask(fragile, "still there?", 5) == 3


class Nasty:
    """Its text cannot be had, it cannot be copied, and it lies about its class."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__

    def __deepcopy__(self, memo: object) -> object:
        raise ValueError("no copy")

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class Liar:
    """Raises when asked for its class."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise ValueError("no class")


class Unreadable(ActorExitRequest):
    """An exit request that cannot be understood."""

    @property
    def isRecursive(self) -> bool:
        raise ValueError("no answer")


@pytest.mark.parametrize("kind", [Nasty, Liar, Unreadable])
def test_no_message_stops_the_dispatcher(
    base: InProcessBase, system: ActorSystem, kind: type
) -> None:
    message = kind()
    dead = system.createActor(Collector)
    system.tell(dead, ActorExitRequest())
    alive = system.createActor(Collector)

    for target in (system.createActor(Fragile), dead, alive, system.systemAddress):
        system.tell(target, message)

    assert base.barrier(5)
    with system.private() as outside:
        assert outside.ask(system.createActor(Fragile), "there?", 5) == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_actor_that_ends_its_process_ends_only_itself(kind: type[BaseException]) -> None:
    base = InProcessBase(SystemClock())
    base.start()
    system = ActorSystem(base, transientUnique=True)
    fragile = system.createActor(Fragile)

    system.tell(fragile, ("end", kind))

    assert base.barrier(5)
    assert base.statistics().actors == 0
    assert system.ask(system.createActor(Fragile), "there?", 5) == 1
    base.shutdown()


def test_who_pumps_gets_an_interrupt_that_hit_an_actor() -> None:
    base = InProcessBase(SystemClock())
    system = ActorSystem(base, transientUnique=True)
    fragile = system.createActor(Fragile)
    system.tell(fragile, ("end", KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        base.run_until_idle()

    assert base.run_until_idle()
    assert base.statistics().actors == 0


class Undertaker(Collector):
    """Handles dead letters."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "begin":
            self.handleDeadLetters()
        elif msg == "end":
            self.handleDeadLetters(startHandling=False)
        else:
            super().receiveMessage(msg, sender)


def test_a_letter_to_the_dead_goes_to_their_handler(
    base: InProcessBase, system: ActorSystem
) -> None:
    undertaker = system.createActor(Undertaker)
    dead = system.createActor(Collector)
    system.tell(undertaker, "begin")
    system.tell(dead, ActorExitRequest())

    system.tell(dead, "hello")
    base.barrier(5)

    (envelope,) = system.ask(undertaker, "show", 5)
    assert isinstance(envelope, DeadEnvelope)
    assert (envelope.deadAddress, envelope.deadMessage) == (dead, "hello")
    assert base.statistics().dead_letters == 1


def test_the_latest_handler_wins_and_may_stop(base: InProcessBase, system: ActorSystem) -> None:
    first, second = system.createActor(Undertaker), system.createActor(Undertaker)
    dead = system.createActor(Collector)
    system.tell(dead, ActorExitRequest())

    for handler, message in ((first, "begin"), (second, "begin"), (second, "end")):
        system.tell(handler, message)
        system.tell(dead, message)
    base.barrier(5)

    letters = [system.ask(handler, "show", 5) for handler in (first, second)]
    assert [len(found) for found in letters] == [1, 1]
    assert base.statistics().dead_letters == 3


class Parent(Undertaker):
    """Has a child that ends at once."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "bear":
            self.child = self.createActor(Collector)
            self.send(self.child, ActorExitRequest())
        elif msg == "speak":
            self.send(self.child, "hello")
        elif not isinstance(msg, ChildActorExited):
            super().receiveMessage(msg, sender)


def test_letters_to_a_dead_child_go_to_its_parent_if_it_handles_any_and_are_not_lost(
    base: InProcessBase, system: ActorSystem
) -> None:
    parent, later = system.createActor(Parent), system.createActor(Undertaker)
    stranger = system.createActor(Collector)
    system.tell(stranger, ActorExitRequest())
    for handler, message in ((parent, "begin"), (later, "begin"), (parent, "bear")):
        system.tell(handler, message)
    base.barrier(5)

    system.tell(parent, "speak")
    system.tell(stranger, "hello")
    base.barrier(5)

    assert [each.deadMessage for each in system.ask(parent, "show", 5)] == ["hello"]
    assert [each.deadAddress for each in system.ask(later, "show", 5)] == [stranger]
    assert base.statistics().dead_letters == 1

    system.tell(parent, "end")
    system.tell(parent, "speak")
    base.barrier(5)

    assert len(system.ask(later, "show", 5)) == 2
    assert base.statistics().dead_letters == 2


def test_a_foreign_address_is_dead(base: InProcessBase, system: ActorSystem) -> None:
    system.tell(ActorAddress("nowhere"), "hello")

    assert base.barrier(5)
    assert base.statistics().dead_letters == 1


def test_two_bases_in_one_process_do_not_meet(base: InProcessBase, system: ActorSystem) -> None:
    other = InProcessBase(SystemClock())
    other_system = ActorSystem(other, transientUnique=True)
    here = system.createActor(Collector, globalName="the one")
    there = other_system.createActor(Collector, globalName="the one")

    system.tell(here, "here")
    other_system.tell(there, "there")

    assert here != there
    assert system.ask(here, "show", 5) == ["here"]
    assert other_system.ask(there, "show", 5) == ["there"]
    other.shutdown()
    assert system.ask(here, "show", 5) == ["here"]
