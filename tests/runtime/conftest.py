"""One base for each way of running it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from thespian.actors import ActorSystem

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
