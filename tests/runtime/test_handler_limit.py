"""A handler that takes too long is ended, and nobody else is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ChildActorExited,
    PoisonMessage,
    WakeupMessage,
)

from greenroom.errors import ConfigError, HandlerTimeoutError, SystemBrokenError
from greenroom.runtime import watchdog
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

LIMIT_S: Final = 0.05


class Endless(Actor):
    """Loops without end on "loop", "keep", "retry", "send" and "bear"; echoes all else."""

    def __init__(self) -> None:
        self.runs = 0

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        self.runs += 1
        match msg:
            case "loop" | ActorExitRequest():
                while True:
                    pass
            case "keep":
                while True:
                    with suppress(Exception):
                        time.monotonic()
            case "retry":
                if self.runs == 1:
                    raise ValueError("the first time")
                while True:
                    pass
            case "send":
                while True:
                    self.send(self.myAddress, ChildActorExited(self.myAddress))
            case "bear":
                self.createActor(NeverBorn)
            case "runs":
                self.send(sender, self.runs)
            case str():
                self.send(sender, msg)


class NeverBorn(Actor):
    """Has a constructor that does not return."""

    def __init__(self) -> None:
        while True:
            pass


class Sibling(Actor):
    """Echoes."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, str):
            self.send(sender, msg)


class Unaware(Actor):
    """Waits in a place where CPython looks for no exception before the handler has ended."""

    opened: threading.Lock

    def __init__(self) -> None:
        self.runs = 0

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case "runs":
                self.send(sender, self.runs)
            case "start":
                self.wakeupAfter(timedelta(0))
            case PoisonMessage():
                pass
            case "wait" | "fail" | WakeupMessage() | ActorExitRequest():
                self.runs += 1
                nothing = 0
                if self.runs == 1:
                    for _ in iter(self.opened.acquire, True):
                        pass
                if msg == "fail":
                    1 / nothing


@pytest.fixture
def base(slices: None, patient: None) -> Iterator[InProcessBase]:
    base = InProcessBase(SystemClock(), handler_limit_seconds=LIMIT_S)
    base.start()
    yield base
    base.shutdown(PATIENCE_SECONDS)


@pytest.fixture
def system(base: InProcessBase) -> ActorSystem:
    system = ActorSystem(base, transientUnique=True)
    first = system.ask(system.createActor(Sibling), "first", PATIENCE_SECONDS)  # a timed slice
    assert first == "first"
    return system


@pytest.mark.parametrize("message", ["loop", "keep"])
def test_an_endless_handler_is_ended_once_and_its_message_is_poison(
    system: ActorSystem, message: str
) -> None:
    endless, sibling = system.createActor(Endless), system.createActor(Sibling)

    poison = system.ask(endless, message, PATIENCE_SECONDS)

    assert isinstance(poison, PoisonMessage)
    assert poison.poisonMessage == message
    assert "in receiveMessage\n" in str(poison.details)
    assert "HandlerTimeoutError: Endless has held the dispatch thread for" in str(poison.details)
    assert "with a str" in str(poison.details)
    assert system.ask(sibling, "hello", PATIENCE_SECONDS) == "hello"
    assert system.ask(endless, "runs", PATIENCE_SECONDS) == 2, "it did not try again"


def test_the_other_messages_are_delivered_after_it(
    base: InProcessBase, system: ActorSystem
) -> None:
    endless, sibling = system.createActor(Endless), system.createActor(Sibling)

    system.tell(endless, "loop")
    system.tell(endless, "after")
    for number in range(1_000):
        system.tell(sibling, f"{number}")

    answers = [system.listen(PATIENCE_SECONDS) for _ in range(1_002)]
    assert [type(each) for each in answers if not isinstance(each, str)] == [PoisonMessage]
    assert [each for each in answers if isinstance(each, str)] == [
        "after",
        *map(str, range(1_000)),
    ]
    assert base.barrier(PATIENCE_SECONDS)


def test_the_second_try_after_a_failure_is_ended_too(system: ActorSystem) -> None:
    endless = system.createActor(Endless)

    poison = system.ask(endless, "retry", PATIENCE_SECONDS)

    assert isinstance(poison, PoisonMessage)
    assert "HandlerTimeoutError" in str(poison.details)
    assert system.ask(endless, "runs", PATIENCE_SECONDS) == 3


def test_one_that_sends_without_end_is_ended_between_two_sends(system: ActorSystem) -> None:
    endless, sibling = system.createActor(Endless), system.createActor(Sibling)

    poison = system.ask(endless, "send", PATIENCE_SECONDS)

    assert isinstance(poison, PoisonMessage)
    assert system.ask(sibling, "hello", PATIENCE_SECONDS) == "hello"


def test_an_endless_handler_is_ended_also_where_the_watchdog_always_oversleeps(
    system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "OVERSLEPT_NS", 0)

    assert isinstance(
        system.ask(system.createActor(Endless), "loop", PATIENCE_SECONDS), PoisonMessage
    )


def test_an_endless_constructor_is_ended_and_the_parent_learns_of_it(
    base: InProcessBase, system: ActorSystem
) -> None:
    endless = system.createActor(Endless)
    before = base.statistics().actors

    assert isinstance(system.ask(endless, "bear", PATIENCE_SECONDS), PoisonMessage)

    assert base.barrier(PATIENCE_SECONDS)
    assert base.statistics().actors == before


def test_an_actor_whose_last_handler_is_endless_exits_all_the_same(
    base: InProcessBase, system: ActorSystem
) -> None:
    endless = system.createActor(Endless)
    before = base.statistics().actors

    system.tell(endless, ActorExitRequest())

    assert base.barrier(PATIENCE_SECONDS)
    assert base.statistics().actors == before - 1


def unaware(opened: threading.Lock) -> type[Unaware]:
    return type("Unaware", (Unaware,), {"opened": opened})


def interrupted(caplog: pytest.LogCaptureFixture) -> bool:
    return "interrupted: Unaware" in caplog.text


@pytest.mark.parametrize("message", ["wait", "start", ActorExitRequest()])
def test_an_exception_that_comes_too_late_for_its_handler_hits_nobody(
    base: InProcessBase, system: ActorSystem, caplog: pytest.LogCaptureFixture, message: object
) -> None:
    opened = threading.Lock()
    opened.acquire()
    late, sibling = system.createActor(unaware(opened)), system.createActor(Sibling)
    actors = base.statistics().actors

    system.tell(late, message)
    for number in range(600):
        system.tell(sibling, f"{number}")
    wait_until(lambda: interrupted(caplog))
    opened.release()

    assert [system.listen(PATIENCE_SECONDS) for _ in range(600)] == [
        f"{number}" for number in range(600)
    ]
    assert base.barrier(PATIENCE_SECONDS)
    if isinstance(message, ActorExitRequest):
        assert base.statistics().actors == actors - 1
    else:
        assert system.ask(late, "runs", PATIENCE_SECONDS) == 1


def test_a_failure_at_the_limit_is_an_ordinary_failure(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    opened = threading.Lock()
    opened.acquire()

    late = system.createActor(unaware(opened))

    system.tell(late, "fail")
    wait_until(lambda: interrupted(caplog))
    opened.release()

    poison = system.listen(PATIENCE_SECONDS)
    assert isinstance(poison, PoisonMessage)
    assert "ZeroDivisionError" in str(poison.details)
    assert system.ask(late, "runs", PATIENCE_SECONDS) == 2, "it tried again"


class Blocked(Actor):
    """Waits in C for the event that it is told; says on which thread it runs."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if isinstance(msg, threading.Event):
            msg.wait()
        elif msg == "thread":
            self.send(sender, threading.current_thread())


def test_a_base_whose_handler_cannot_be_ended_is_broken_and_says_where(
    base: InProcessBase, system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "GRACE_NS", 0)
    told: list[tuple[str, str]] = []
    base.watchdog.when_stuck = lambda reason, stack: told.append((reason, stack))
    blocked, sibling = system.createActor(Blocked), system.createActor(Sibling)
    thread = system.ask(blocked, "thread", PATIENCE_SECONDS)
    opened = threading.Event()

    system.tell(blocked, opened)
    with pytest.raises(SystemBrokenError, match="stuck: Blocked has held the"):
        system.listen(PATIENCE_SECONDS)

    for call in (
        lambda: system.tell(sibling, "hello"),
        lambda: system.ask(sibling, "hello", 1),
        lambda: base.barrier(1),
        lambda: system.createActor(Sibling),
    ):
        with pytest.raises(SystemBrokenError) as caught:
            call()
        assert isinstance(caught.value.__cause__, HandlerTimeoutError)
    ((reason, stack),) = told
    assert reason.endswith("with a Event")
    assert "msg.wait()" in stack
    assert not base.shutdown(600)
    assert thread.daemon
    opened.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_without_a_limit_a_handler_may_take_for_ever() -> None:
    base = InProcessBase(SystemClock(), handler_limit_seconds=None)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    opened = threading.Event()

    system.tell(system.createActor(Blocked), opened)
    wait_until(lambda: base.statistics().stalls == 1)
    opened.set()

    assert base.barrier(PATIENCE_SECONDS)
    assert base.shutdown(PATIENCE_SECONDS)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "30"])
def test_a_limit_that_is_no_positive_number_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"^handler_limit_seconds: "):
        InProcessBase(SystemClock(), handler_limit_seconds=limit)
