"""One base for each way of running it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from thespian.actors import ActorSystem

from greenroom.runtime import dispatch, watchdog
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock
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


@pytest.fixture(params=["sampled", "timed"])
def slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either way of delivering: with a look at the clock after each message, or without."""
    monkeypatch.setattr(dispatch, "TIMED_EVERY_NS", 0 if request.param == "timed" else 10**18)
    monkeypatch.setattr(dispatch, "SLOW_SLICE_NS", 10**18)


@pytest.fixture
def collecting() -> Iterator[None]:
    """The garbage collector comes all the time, and runs code in Python as finalizers do."""
    before = gc.get_threshold()

    def finalize(phase: str, info: dict[str, int]) -> None:
        for _ in range(3):
            pass

    gc.callbacks.append(finalize)
    gc.set_threshold(20)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(finalize)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given up: a busy machine may be late in letting an interrupted handler end."""
    monkeypatch.setattr(watchdog, "GRACE_NS", 10**18)
