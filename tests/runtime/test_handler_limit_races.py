"""Interrupts at any moment: they hit the handler that they are for, or nobody."""

from __future__ import annotations

import random
import threading
import time
from typing import Final

import pytest
from thespian.actors import Actor, ActorAddress, ActorSystem, PoisonMessage

from greenroom.errors import HandlerTimeoutError
from greenroom.runtime import watchdog
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock
from greenroom.runtime.interrupt import RUNTIME_FILES, find_handler, interrupt
from greenroom.runtime.stacks import frames_of
from greenroom.testing.patience import PATIENCE_SECONDS

HANDLERS: Final = 400  # each of them as long as the limit: seconds on a loaded machine
SHOTS_SECONDS: Final = 2  # enough for thousands of interrupts on a quiet machine


class Timed(Actor):
    """Is busy for as many ns as it is told; its last step cannot be interrupted."""

    done = 0

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "done":
            self.send(sender, self.done)
        elif isinstance(msg, int):
            until_ns = time.monotonic_ns() + msg
            while time.monotonic_ns() < until_ns:
                pass
            self.done += 1


def test_handlers_that_last_about_as_long_as_the_limit_end_in_one_way_or_the_other(
    slices: None, eager: None, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.0002)
    limit_ns = 1_500_000
    base = InProcessBase(SystemClock(), handler_limit_seconds=limit_ns / 1e9)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    timed = system.createActor(Timed)
    chance = random.Random(1)

    for _ in range(HANDLERS):
        system.tell(timed, limit_ns + chance.randint(-300_000, 500_000))
    done, poisoned = None, 0
    system.tell(timed, "done")
    while not isinstance(done, int):
        done = system.listen(PATIENCE_SECONDS)
        poisoned += isinstance(done, PoisonMessage)

    assert done + poisoned == HANDLERS
    assert poisoned
    assert base.barrier(PATIENCE_SECONDS)
    base.shutdown(PATIENCE_SECONDS)


class Busy(Actor):
    """Tells its sink each number, after a moment; its last step cannot be interrupted.

    Answers "begin" with the ident of the thread that it runs on.
    """

    done = 0
    sink: ActorAddress

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "begin":
            self.sink = self.createActor(Timed)
            self.send(sender, threading.get_ident())
        elif msg == "done":
            self.send(sender, self.done)
        elif isinstance(msg, int):
            for _ in range(msg % 7 * 100):
                pass
            self.send(self.sink, msg % 7 * 10_000)
            self.done += 1


def test_handlers_that_are_interrupted_at_any_moment_lose_no_other_message(
    slices: None, eager: None, collecting: None, caplog: pytest.LogCaptureFixture
) -> None:
    base = InProcessBase(SystemClock(), handler_limit_seconds=None)
    base.start()
    system = ActorSystem(base, transientUnique=True)
    busy = system.createActor(Busy)
    ident = system.ask(busy, "begin", PATIENCE_SECONDS)
    ended = threading.Event()
    hits: list[int] = []

    def shoot() -> None:
        error = HandlerTimeoutError("Busy", "int", 0.0)
        while not ended.is_set():
            handler = find_handler(frames_of(ident))
            if handler is not None and interrupt(ident, handler, error, RUNTIME_FILES):
                hits.append(1)

    shooter = threading.Thread(target=shoot)
    shooter.start()
    sent, deadline = 0, time.monotonic() + SHOTS_SECONDS
    while sent < 8_000 and time.monotonic() < deadline:
        for number in range(100):
            system.tell(busy, number)
        sent += 100
        assert base.barrier(PATIENCE_SECONDS)
    ended.set()
    shooter.join(PATIENCE_SECONDS)

    poisoned = 0
    while system.listen(0) is not None:
        poisoned += 1
    assert hits
    assert "astray" not in caplog.text
    assert system.ask(busy, "done", PATIENCE_SECONDS) + poisoned == sent
    assert base.shutdown(PATIENCE_SECONDS)
