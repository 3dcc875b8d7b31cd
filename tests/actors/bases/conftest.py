from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from thespian.actors import ActorAddress, ActorSystem

from greenroom.actors._base import GreenroomActor
from greenroom.actors.stats_worker import StatsWorker
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.pickled import register_protobufs
from greenroom.testing.small_system import SmallSystem

HOST: Final = Path(__file__).with_name("tcp_host.py")
CALL_SECONDS: Final = 20.0
PATIENCE_SECONDS: Final = 10.0
IN_PROCESS: Final = ("ours", "simpleSystemBase")
EVERY: Final = (*IN_PROCESS, "multiprocTCPBase")


class TcpSystem:
    """Stands for an ActorSystem in another process, and ends all processes of that one."""

    def __init__(self) -> None:
        register_protobufs()
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs:
            self._host = subprocess.Popen(
                [sys.executable, str(HOST), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def createActor(self, actor_class: type[object]) -> ActorAddress:  # noqa: N802
        address: ActorAddress = self._call("createActor", actor_class)
        return address

    def tell(self, target: ActorAddress, message: object) -> None:
        self._call("tell", target, message)

    def ask(self, target: ActorAddress, message: object, timeout: float) -> object:
        return self._call("ask", target, message, timeout)

    def listen(self, timeout: float) -> object:
        return self._call("listen", timeout)

    def shutdown(self) -> None:
        try:
            self._call("shutdown")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._host.pid, signal.SIGKILL)
            self._host.wait(CALL_SECONDS)
            self._pipe.close()

    def _call(self, method: str, *arguments: object) -> Any:
        self._pipe.send((method, arguments))
        if not self._pipe.poll(CALL_SECONDS):
            raise TimeoutError(f"{method} took more than {CALL_SECONDS} s")
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


Start = Callable[..., SmallSystem]


@pytest.fixture(params=EVERY)
def start_anywhere(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts the actors on each base in turn; `worker=` may name a class for the workers."""
    with starter(request.param) as start:
        yield start


@pytest.fixture(params=EVERY)
def anywhere(request: pytest.FixtureRequest) -> Iterator[SmallSystem]:
    """The actors on each base in turn: a process for each actor on the last."""
    with starter(request.param) as start:
        yield start()


@pytest.fixture(params=IN_PROCESS)
def small(request: pytest.FixtureRequest) -> Iterator[SmallSystem]:
    """The actors on each base that has them all in this process."""
    with starter(request.param) as start:
        yield start()


@contextmanager
def starter(base: str) -> Iterator[Start]:
    """One way to start the actors there; what was started ends with the context."""
    patience = PATIENCE_SECONDS if base == "multiprocTCPBase" else 0.0
    system: Any
    if base == "ours":
        system = ActorSystem(InProcessBase(VirtualClock()), transientUnique=True)
    elif base == "simpleSystemBase":
        system = ActorSystem(base, logDefs=False, transientUnique=True)
    else:
        system = TcpSystem()

    def start(worker: type[GreenroomActor] = StatsWorker) -> SmallSystem:
        return SmallSystem(system, worker=worker, patience_seconds=patience)

    try:
        yield start
    finally:
        system.shutdown()
