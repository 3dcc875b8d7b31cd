"""Threads: asking, waiting, holding, ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest
from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem, ActorSystemMessage

from greenroom.errors import LifecycleError, SystemBrokenError
from greenroom.messages.calls import FlushStats, Report
from greenroom.messages.control import Stamped
from greenroom.messages.outputs import SweepDue
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock, VirtualClock
from greenroom.runtime.door import Door


@pytest.fixture(params=[False, True], ids=["pumped", "threaded"])
def base(request: pytest.FixtureRequest) -> Iterator[InProcessBase]:
    base = InProcessBase(SystemClock())
    base.door = Door(base.clock, on_drop=lambda reason, body: None)
    if request.param:
        base.start()
    yield base
    base.shutdown()


@pytest.fixture
def system(base: InProcessBase) -> ActorSystem:
    return ActorSystem(base, transientUnique=True)


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


def test_starting_twice_makes_one_thread() -> None:
    base = InProcessBase(SystemClock())
    before = threading.active_count()

    base.start()
    base.start()

    assert threading.active_count() == before + 1
    assert "greenroom-dispatch" in {thread.name for thread in threading.enumerate()}
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
