"""Threads: asking, waiting and holding."""

from __future__ import annotations

import queue
import threading

import pytest
from thespian.actors import Actor, ActorAddress, ActorSystem, ActorSystemMessage

from greenroom.errors import LifecycleError
from greenroom.messages.calls import FlushStats
from greenroom.messages.control import Stamped
from greenroom.messages.outputs import SweepDue
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock, VirtualClock
from greenroom.runtime.door import Door


def door_of(base: InProcessBase) -> Door:
    assert base.door is not None
    return base.door


class Echo(Actor):
    """Returns what it is told."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if not isinstance(msg, ActorSystemMessage):
            self.send(sender, msg)


class Silent(Actor):
    """Says nothing."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        pass


class Steps(Actor):
    """Writes down each input and, some messages later, what it caused."""

    def __init__(self) -> None:
        self.log: list[object] = []

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case list():
                self.log = msg
            case Stamped():
                self.log.append(msg.position)
                self.send(self.myAddress, (msg.position, 3))
            case (int(position), 0):
                self.log.append(-position)
            case (int(position), int(left)):
                self.send(self.myAddress, (position, left - 1))


class Gate(Actor):
    """Stops the thread that runs it until the test opens the gate."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, threading.Event):
            msg.wait(10)


def test_an_ask_that_is_not_answered_ends_with_none(system: ActorSystem) -> None:
    assert system.ask(system.createActor(Silent), "hello?", 0.01) is None
    assert system.listen(0) is None


def test_each_private_context_gets_its_own_answers(system: ActorSystem) -> None:
    echo = system.createActor(Echo)

    with system.private() as one, system.private() as other:
        one.tell(echo, "one")
        other.tell(echo, "other")

        assert other.listen(5) == "other"
        assert one.listen(5) == "one"
        assert system.listen(0) is None


def test_what_is_sent_to_a_private_context_that_has_ended_is_a_dead_letter() -> None:
    base = InProcessBase(VirtualClock())
    system = ActorSystem(base, transientUnique=True)
    echo = system.createActor(Echo)

    with system.private() as outside:
        outside.tell(echo, "too late")
    base.run_until_idle()

    assert base.statistics().dead_letters == 1


def test_threads_that_ask_at_once_get_each_their_own_answer(system: ActorSystem) -> None:
    echo = system.createActor(Echo)
    wrong: list[object] = []

    def ask_many(name: int) -> None:
        with system.private() as outside:
            for number in range(100):
                answer = outside.ask(echo, (name, number), 10)
                if answer != (name, number):
                    wrong.append(answer)

    threads = [threading.Thread(target=ask_many, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_an_actor_cannot_wait_for_the_system_that_runs_it(
    base: InProcessBase, system: ActorSystem
) -> None:
    class Waiting(Actor):
        def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
            base.hold()
            try:
                base.quiesce(5)
            except LifecycleError as error:
                self.send(sender, str(error))
            finally:
                base.release()

    answer = system.ask(system.createActor(Waiting), "go", 5)

    assert answer == "an actor cannot wait for the system that runs it"


def test_an_input_and_all_that_it_causes_is_done_before_the_next(
    base: InProcessBase, system: ActorSystem
) -> None:
    log: list[int] = []
    steps = system.createActor(Steps)
    system.tell(steps, log)

    for _ in range(3):
        door_of(base).enter(steps, FlushStats())

    assert base.barrier(5)
    assert log == [1, -1, 2, -2, 3, -3]


def test_a_barrier_waits_for_what_entered_before(base: InProcessBase, system: ActorSystem) -> None:
    log: list[int] = []
    steps = system.createActor(Steps)
    system.tell(steps, log)

    for round_number in range(1, 200):
        door_of(base).enter(steps, FlushStats())
        assert base.barrier(5)
        assert log[-1] == -round_number


def test_a_barrier_gives_up_when_the_time_is_over() -> None:
    base = InProcessBase(SystemClock())
    base.start()
    system = ActorSystem(base, transientUnique=True)
    opened = threading.Event()
    system.tell(system.createActor(Gate), opened)

    assert not base.barrier(0.01)

    opened.set()
    assert base.barrier(5)
    base.shutdown()


def test_running_until_idle_waits_for_work_that_is_held() -> None:
    base = InProcessBase(VirtualClock(5))
    door = base.door = Door(base.clock, on_drop=lambda reason, body: None)
    system = ActorSystem(base, transientUnique=True)
    log: list[int] = []
    steps = system.createActor(Steps)
    system.tell(steps, log)
    may_go = threading.Event()

    def work() -> None:
        may_go.wait(10)
        door.enter(steps, SweepDue())
        base.release()

    base.hold()
    thread = threading.Thread(target=work)
    thread.start()
    assert not base.run_until_idle(0.01)
    assert log == []
    may_go.set()

    assert base.run_until_idle(5)

    assert log == [1, -1]
    thread.join()


def test_no_release_is_missed() -> None:
    base = InProcessBase(VirtualClock())
    held: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def release_all() -> None:
        while held.get():
            base.release()

    thread = threading.Thread(target=release_all)
    thread.start()
    for _ in range(2_000):
        base.hold()
        held.put(True)
        assert base.run_until_idle(5)
    held.put(False)
    thread.join()


def test_virtual_time_stands_still_while_work_is_held() -> None:
    base = InProcessBase(VirtualClock())
    door = base.door = Door(base.clock, on_drop=lambda reason, body: None)
    system = ActorSystem(base, transientUnique=True)
    times: list[int] = []

    class Worker(Actor):
        def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
            if msg == "begin":
                self.wakeupAfter(10)
                base.hold()
                threading.Thread(target=self.work, args=(self.myAddress,)).start()
            elif isinstance(msg, Stamped):
                times.append(msg.at_ns)

        def work(self, me: ActorAddress) -> None:
            door.enter(me, SweepDue())
            base.release()

    system.tell(system.createActor(Worker), "begin")
    base.advance_to(20_000_000_000)

    assert times == [0]


def test_quiescing_waits_for_work_outside_and_what_comes_of_it(
    base: InProcessBase, system: ActorSystem
) -> None:
    log: list[int] = []
    steps = system.createActor(Steps)
    system.tell(steps, log)
    may_go = threading.Event()

    def work() -> None:
        may_go.wait(10)
        door_of(base).enter(steps, SweepDue())
        base.release()

    base.hold()
    thread = threading.Thread(target=work)
    thread.start()

    assert not base.quiesce(0.01)
    may_go.set()
    assert base.quiesce(5)

    assert log == [1, -1]
    thread.join()


def test_nothing_can_be_released_that_is_not_held() -> None:
    with pytest.raises(LifecycleError, match="without hold"):
        InProcessBase(SystemClock()).release()


def test_a_threaded_base_is_not_pumped() -> None:
    base = InProcessBase(SystemClock())
    base.start()

    with pytest.raises(LifecycleError, match="barrier"):
        base.run_until_idle()

    base.shutdown()
