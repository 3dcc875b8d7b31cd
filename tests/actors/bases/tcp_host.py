"""Thespian's multiprocTCPBase in a process of its own, called through a pipe: conftest.TcpSystem.

It leaks sockets and processes, so nothing of it happens in the process of the tests. All that it
starts stays in this process's group, and the group ends when the pipe or the time does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from multiprocessing.connection import Connection
from typing import Final

from thespian.actors import ActorSystem

from greenroom.testing.pickled import register_protobufs

LIFETIME_SECONDS: Final = 50  # less than a test may take
NO_LOGS: Final = {"version": 1, "root": {"handlers": []}}


def end_all(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def stay_in_group() -> None:
    """In the place of os.setsid, by which Thespian's admin leaves the group."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    if os.getpgid(0) != os.getpid():
        sys.exit("has to be started in a group of its own")
    signal.signal(signal.SIGALRM, end_all)
    signal.alarm(LIFETIME_SECONDS)
    register_protobufs()
    os.setsid = stay_in_group
    pipe: Connection[object, tuple[str, tuple[object, ...]]] = Connection(int(sys.argv[1]))
    os.register_at_fork(after_in_child=pipe.close)  # else the test does not see this process end
    port = free_port()
    capabilities = {"Admin Port": port, "Convention Address.IPv4": f"127.0.0.1:{port}"}
    system = ActorSystem("multiprocTCPBase", capabilities, NO_LOGS, transientUnique=True)
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            end_all()
        try:
            pipe.send(getattr(system, method)(*arguments))
        except Exception as error:  # noqa: BLE001  # for the test to raise
            pipe.send(error)


if __name__ == "__main__":
    main()
