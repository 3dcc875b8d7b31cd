"""Seeded orders: what they may change, and what they must not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ChildActorExited,
    PoisonMessage,
    WakeupMessage,
)

from greenroom.errors import LifecycleError
from greenroom.messages.calls import FlushStats
from greenroom.messages.control import Stamped
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.cell import Envelope
from greenroom.runtime.clock import SystemClock, VirtualClock
from greenroom.runtime.door import Door
from greenroom.runtime.schedule import Faults, SeededSchedule

SECOND_NS = 1_000_000_000
SEEDS = st.integers(0, 2**32)


class Chatter(Actor):
    """Knows the others, and passes each number on to all of them until it is used up."""

    others: tuple[ActorAddress, ...] = ()

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case tuple():
                self.others = msg
            case int(left) if left:
                for other in self.others:
                    self.send(other, left - 1)


class Numbers(Actor):
    """Sends as many numbers as it is told to the one it was told of."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case (ActorAddress() as target, int(count)):
                for number in range(count):
                    self.send(target, number)


class Listener(Actor):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[ActorAddress, object]] = []

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if not isinstance(msg, ActorExitRequest):
            self.heard.append((sender, msg))


def system_on(schedule: SeededSchedule) -> tuple[InProcessBase, ActorSystem]:
    base = InProcessBase(VirtualClock(), schedule=schedule)
    return base, ActorSystem(base, transientUnique=True)


def chat(seed: int) -> list[str]:
    """Who got what of whom, in order, by numbers that are the same for each run."""
    trace: list[str] = []
    numbers: dict[ActorAddress, int] = {}

    def observe(envelope: Envelope) -> None:
        target, message, sender = envelope
        names = [str(numbers.setdefault(cell, len(numbers))) for cell in (sender, target)]
        trace.append("->".join([*names, type(message).__name__]))

    base, system = system_on(SeededSchedule(seed, observe=observe))
    chatters = tuple(system.createActor(Chatter) for _ in range(3))
    for chatter in chatters:
        numbers[chatter] = len(numbers)
        system.tell(chatter, chatters)
        system.tell(chatter, 3)
    base.run_until_idle()
    return trace


def test_the_same_seed_gives_the_same_order_and_others_differ() -> None:
    traces = [chat(seed) for seed in range(20)]

    assert traces == [chat(seed) for seed in range(20)]
    assert len({tuple(trace) for trace in traces}) > 15


@given(seed=SEEDS)
def test_each_pair_of_sender_and_receiver_keeps_its_order(seed: int) -> None:
    base, system = system_on(SeededSchedule(seed))
    listener = system.createActor(Listener)
    for _ in range(3):
        numbers = system.createActor(Numbers)
        for _ in range(2):
            system.tell(numbers, (listener, 5))

    base.run_until_idle()

    heard: dict[ActorAddress, list[object]] = defaultdict(list)
    (actor,) = (actor for actor in base.actors() if isinstance(actor, Listener))
    for sender, message in actor.heard:
        heard[sender].append(message)
    assert list(heard.values()) == [[0, 1, 2, 3, 4] * 2] * 3


def test_messages_of_different_senders_overtake_each_other() -> None:
    def first_heard(seed: int) -> object:
        base, system = system_on(SeededSchedule(seed))
        listener = system.createActor(Listener)
        for name in ("first", "second"):
            with system.private() as outside:
                outside.tell(listener, name)
        base.run_until_idle()
        (actor,) = (actor for actor in base.actors() if isinstance(actor, Listener))
        return actor.heard[0][1]

    assert {first_heard(seed) for seed in range(20)} == {"first", "second"}


class Digesting(Actor):
    """Takes several messages for each input."""

    def __init__(self) -> None:
        self.log: list[int] = []

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case Stamped():
                self.log.append(msg.position)
                self.send(self.myAddress, -msg.position)
            case int():
                self.log.append(msg)


@pytest.mark.parametrize(("early", "overlaps"), [(0.0, 0), (0.5, 1)])
def test_inputs_may_be_admitted_before_the_one_before_is_digested(
    early: float, overlaps: int
) -> None:
    def log_of(seed: int) -> list[int]:
        base, system = system_on(SeededSchedule(seed, early_inputs=early))
        base.door = door = Door(base.clock, on_drop=lambda reason, body: None)
        digesting = system.createActor(Digesting)
        base.run_until_idle()
        for _ in range(3):
            door.enter(digesting, FlushStats())
        base.run_until_idle()
        (actor,) = (actor for actor in base.actors() if isinstance(actor, Digesting))
        return actor.log

    logs = [log_of(seed) for seed in range(20)]

    for log in logs:
        assert [position for position in log if position > 0] == [1, 2, 3]
    assert any(log != [1, -1, 2, -2, 3, -3] for log in logs) == bool(overlaps)


class Sleeper(Listener):
    """Is woken after a second."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "sleep":
            self.wakeupAfter(1)
        else:
            super().receiveMessage(msg, sender)


@pytest.mark.parametrize(
    ("faults", "after_one_second", "after_two"),
    [
        (Faults(), 1, 1),
        (Faults(repeated_wakeup=1.0), 2, 2),
        (Faults(late_wakeup=1.0), 0, 0),  # late again and again
    ],
)
def test_wake_ups_may_come_late_or_twice(
    faults: Faults, after_one_second: int, after_two: int
) -> None:
    base, system = system_on(SeededSchedule(1, faults=faults))
    system.tell(system.createActor(Sleeper), "sleep")

    counts = []
    for seconds in (1, 2):
        base.advance_to(seconds * SECOND_NS)
        (actor,) = (actor for actor in base.actors() if isinstance(actor, Sleeper))
        counts.append(sum(isinstance(message, WakeupMessage) for _, message in actor.heard))

    assert counts == [after_one_second, after_two]


def test_a_late_wake_up_comes_in_the_end() -> None:
    base, system = system_on(SeededSchedule(1, faults=Faults(late_wakeup=0.5)))
    system.tell(system.createActor(Sleeper), "sleep")

    base.advance_to(60 * SECOND_NS)

    (actor,) = (actor for actor in base.actors() if isinstance(actor, Sleeper))
    assert len(actor.heard) == 1


class Mother(Listener):
    """Has one child that echoes four times what it is told."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "begin":
            self.child = self.createActor(Echo)
        elif isinstance(msg, int):
            self.send(self.child, ("echo", msg))
        else:
            super().receiveMessage(msg, sender)


class Echo(Actor):
    """Answers four times; reports poison and its own end to nobody."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, tuple):
            for _ in range(4):
                self.send(sender, msg)


def only(kind: type[Actor]) -> Callable[[Actor, object], bool]:
    return lambda actor, message: isinstance(actor, kind)


@given(seed=SEEDS)
def test_a_crash_at_any_point_leaves_a_parent_that_knows(seed: int) -> None:
    schedule = SeededSchedule(seed, faults=Faults(crash=1.0, exposed=only(Echo)))
    base, system = system_on(schedule)
    mother = system.createActor(Mother)
    for message in ("begin", 1):
        system.tell(mother, message)

    base.run_until_idle()

    (actor,) = (actor for actor in base.actors() if isinstance(actor, Mother))
    heard = [message for _, message in actor.heard]
    assert isinstance(heard[-1], ChildActorExited)
    assert 0 <= len(heard) - 1 <= 4
    assert schedule.crashes == 1
    assert base.statistics().actors == 1


@given(seed=SEEDS)
def test_an_exit_request_takes_its_place_among_the_messages(seed: int) -> None:
    schedule = SeededSchedule(seed, faults=Faults(end=1.0, exposed=only(Echo)))
    base, system = system_on(schedule)
    mother = system.createActor(Mother)
    for message in ("begin", 1, 2):
        system.tell(mother, message)

    base.run_until_idle()

    (actor,) = (actor for actor in base.actors() if isinstance(actor, Mother))
    heard = [message for _, message in actor.heard]
    assert heard.count(("echo", 1)) == 4, "what is being handled is finished"
    assert heard.count(("echo", 2)) in (0, 4)
    assert schedule.ends >= 1
    assert base.statistics().actors == 1


@given(seed=SEEDS)
def test_a_failure_is_in_the_middle_of_a_handler_which_is_tried_again(seed: int) -> None:
    schedule = SeededSchedule(seed, faults=Faults(failure=1.0, exposed=only(Echo)))
    base, system = system_on(schedule)
    mother = system.createActor(Mother)
    for message in ("begin", 1):
        system.tell(mother, message)

    base.run_until_idle()

    (actor,) = (actor for actor in base.actors() if isinstance(actor, Mother))
    echoes = [message for _, message in actor.heard if not isinstance(message, PoisonMessage)]
    assert schedule.failures == 1
    assert 4 <= len(echoes) <= 7  # what was sent before it failed, and all of it again


def test_a_schedule_needs_virtual_time() -> None:
    with pytest.raises(LifecycleError, match="virtual"):
        InProcessBase(SystemClock(), schedule=SeededSchedule(1))
