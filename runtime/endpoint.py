"""Outside the actors: tell, ask and listen from any thread."""

from __future__ import annotations

import queue
from threading import TIMEOUT_MAX
from typing import Protocol

from thespian.actors import ActorAddress

from .cell import ActorClass, Cell, Requirements
from .timers import Period, period_ns


class Inbox:
    """Where replies to one endpoint wait. It takes any message, as an address in the system."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self._messages.qsize()

    def receiveMessage(self, msg: object, sender: Cell, /) -> None:
        """Put it in; who listens does not learn the sender (so it is in Thespian)."""
        self._messages.put(msg)

    def put(self, message: object) -> None:
        """Put it in."""
        self._messages.put(message)

    def take(self, timeout_seconds: float | None) -> object | None:
        """The next message; None when there is none within this time (None: wait for ever)."""
        try:
            if timeout_seconds is None or timeout_seconds > 0:
                if timeout_seconds is not None:
                    timeout_seconds = min(timeout_seconds, TIMEOUT_MAX)
                return self._messages.get(timeout=timeout_seconds)
            return self._messages.get_nowait()
        except queue.Empty:
            return None


class Host(Protocol):
    """What an endpoint needs of its base."""

    def open_endpoint(self, inbox: Inbox) -> Cell:
        """A fresh address for an endpoint."""

    def send_in(self, target: ActorAddress, message: object, sender: Cell) -> None:
        """Send from outside."""

    def listen_to(self, inbox: Inbox, timeout_ns: int | None) -> object | None:
        """Wait for a message, driving the actors meanwhile if nobody else does."""

    def newPrimaryActor(
        self,
        actor_class: ActorClass,
        requirements: Requirements,
        global_name: str | None,
        source_hash: str | None,
    ) -> Cell:
        """Create an actor under the system."""


class Endpoint:
    """One external context: the ActorSystem itself has one, `private()` makes further ones.

    Its methods have the names that ActorSystem calls.

    Args:
        host: The base.
    """

    __slots__ = ("__weakref__", "_host", "cell", "inbox")

    def __init__(self, host: Host) -> None:
        self._host = host
        self.inbox = Inbox()
        self.cell = host.open_endpoint(self.inbox)

    def __repr__(self) -> str:
        return f"<Endpoint {self.cell.actorAddressString}, {len(self.inbox)} unread>"

    def tell(self, address: ActorAddress, message: object) -> None:
        """Send and go on."""
        self._host.send_in(address, message, self.cell)

    def ask(self, address: ActorAddress, message: object, timeout: Period | None) -> object | None:
        """Send, then return the next message from any actor; None when the time is over."""
        self._host.send_in(address, message, self.cell)
        return self.listen(timeout)

    def listen(self, timeout: Period | None) -> object | None:
        """The next message from any actor; None when the time is over (None: no limit)."""
        return self._host.listen_to(self.inbox, None if timeout is None else period_ns(timeout))

    def newPrimaryActor(
        self,
        actor_class: ActorClass,
        requirements: Requirements,
        global_name: str | None,
        source_hash: str | None = None,
    ) -> Cell:
        """Create an actor under the system."""
        return self._host.newPrimaryActor(actor_class, requirements, global_name, source_hash)

    def exit_context(self) -> None:
        """Close: what is still sent here becomes a dead letter."""
        self.cell.actor = self.cell.instance = None
