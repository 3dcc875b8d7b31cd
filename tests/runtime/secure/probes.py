"""What the tests of the authenticated base look at it with: an actor, sockets, processes."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from thespian.actors import Actor, ActorAddress, ActorSystem, ChildActorExited

from greenroom.runtime.secure.frames import FrameKey
from greenroom.runtime.secure.secret import Secret
from greenroom.runtime.secure.system import processes_of, start_system
from greenroom.runtime.secure.transport import SecureTransport
from greenroom.runtime.secure.wire import refusal_counts
from greenroom.testing.loopback import unused_port
from greenroom.testing.patience import PATIENCE_SECONDS

HOST: Final = "127.0.0.1"
SECRET: Final = Secret(b"a secret of the tests, on loopback")
OTHER_SECRET: Final = Secret(b"the secret of somebody else's nodes")
QUIET: Final = {"version": 1, "root": {"handlers": []}}


class Probe(Actor):
    """Counts the bytes objects it is told, and answers questions, which are texts."""

    def __init__(self) -> None:
        self.told = 0
        self.exited = 0
        self.child: ActorAddress | None = None

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:
        if isinstance(msg, bytes):
            self.told += 1
        elif isinstance(msg, ChildActorExited):
            self.exited += 1
        elif msg == "told":
            self.send(sender, self.told)
        elif msg == "pid":
            self.send(sender, os.getpid())
        elif msg == "refusals":
            self.send(sender, refusal_counts())
        elif msg == "child":
            self.child = self.createActor(Probe)
            self.send(sender, self.child)
        elif msg == "log":
            logging.getLogger("probe").warning("seen", extra={"thing": self, "number": 7})
            self.send(sender, msg)
        elif msg == "exited":
            self.send(sender, self.exited)
        elif isinstance(msg, str):
            self.send(sender, msg)


@dataclass
class Node:
    """An actor system with one actor."""

    system: ActorSystem
    port: int
    actor: ActorAddress

    @property
    def actor_port(self) -> int:
        details: Any = self.actor.addressDetails
        port: int = details.endpoint[1]
        return port

    def ask(self, question: str, actor: ActorAddress | None = None) -> Any:
        answer = self.system.ask(actor or self.actor, question, PATIENCE_SECONDS)
        assert answer is not None, f"no answer to {question!r}"
        return answer

    def is_well(self) -> bool:
        """Whether the admin makes an actor, and the actor answers."""
        other = self.system.createActor(Probe)
        return bool(self.ask("hello", other) == self.ask("hello") == "hello")

    def refusals(self) -> dict[str, int]:
        """What the actor's process refused."""
        counts: dict[str, int] = self.ask("refusals")
        return counts

    def sender(self) -> ActorAddress:
        """The address of this process."""
        base: Any = self.system._systemBase
        transport: SecureTransport = base.transport
        return transport.myAddress

    def frame(self, message: object, port: int, key: FrameKey | None = None) -> bytes:
        """As somebody with the key would send it."""
        body = pickle.dumps((self.sender(), message))
        return (key or FrameKey(SECRET)).seal_message(body, (HOST, port))[0]


@contextlib.contextmanager
def running(**capabilities: object) -> Iterator[Node]:
    port = unused_port()
    system = start_system(capabilities, admin_port=port, secret=SECRET, log_config=QUIET)
    try:
        yield Node(system, port, system.createActor(Probe))
    finally:
        system.shutdown()


def connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)


def send(port: int, data: bytes, *, ending: bool = False) -> bytes:
    """Send, and receive until the other side closes or has answered with a whole frame.

    Args:
        port: Where to.
        data: What.
        ending: Say that nothing more comes.
    """
    received = b""
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(data)
        if ending:
            connection.shutdown(socket.SHUT_WR)
        received = connection.recv(1000)
    return received


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has as well."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def is_free(port: int) -> bool:
    """Whether another process could listen there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def resident_mb(pid: int) -> float:
    """How much memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def all_pids(node: Node) -> list[int]:
    """Admin, logger, the actor, and a child that it is told to have."""
    processes = processes_of(node.system)
    child = node.ask("child")
    return [processes.admin, processes.logger, node.ask("pid"), node.ask("pid", child)]
