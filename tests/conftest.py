from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from greenroom.testing.loopback import HttpReceiver, LoopThread

# the speed of a shared machine is no property of the code: only what is wrong may fail
settings.register_profile(
    "greenroom",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("greenroom")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of tests/simulation."""
    group = parser.getgroup("simulation")
    group.addoption("--seed", type=int, help="play only this seed, here and with its traceback")
    group.addoption("--seeds", type=int, default=1_000, help="how many seeds to play")


@pytest.fixture
def eager() -> Iterator[None]:
    """Threads take turns more often than is usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """Where the servers of a test run."""
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def receiver(thread: LoopThread) -> Iterator[HttpReceiver]:
    """A server that takes webhooks; closed after whatever sends them."""
    receiver = HttpReceiver(thread)
    yield receiver
    receiver.close()
