"""Messages that nobody takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from thespian.actors import ActorAddress, ChildActorExited, DeadEnvelope

from .cell import Cell

# They come of deaths themselves: Thespian drops them, or there would be no end.
NEVER_DEAD_LETTERS: Final = (DeadEnvelope, ChildActorExited)


class Stray(NamedTuple):
    """A message to an address that is not of any base in this process."""

    target: ActorAddress
    message: object


class DeadLetters:
    """Counts them, and hands them to the one actor that handles them, if there is one.

    Those to the children of an actor that has registered go to that one, whoever registered
    later. They are not counted: a parent can start another child and pass them on.

    Args:
        send: Sends a message in the system's name.
    """

    __slots__ = ("_parents", "_send", "count", "handler")

    def __init__(self, send: Callable[[ActorAddress, object], None]) -> None:
        self._send = send
        self.count = 0
        self.handler: ActorAddress | None = None
        self._parents: set[Cell] = set()  # all of this base that have registered

    def __repr__(self) -> str:
        return f"<DeadLetters {self.count} so far, handler {self.handler}>"

    def register(self, address: ActorAddress, *, enable: bool) -> None:
        """Let this actor handle dead letters, instead of the one before; or no longer."""
        if enable:
            self.handler = address
        elif self.handler is address:
            self.handler = None
        if not isinstance(address, Cell):
            return  # of another base: it has no children here, and no hash
        if enable:
            self._parents.add(address)
        else:
            self._parents.discard(address)

    def add(self, target: ActorAddress, message: object) -> None:
        """Nobody at `target` takes this message."""
        if issubclass(type(message), NEVER_DEAD_LETTERS):
            return
        parent = target.parent if isinstance(target, Cell) else None
        if parent is not None and parent.actor is not None and parent in self._parents:
            self._send(parent, DeadEnvelope(target, message))
            return
        self.count += 1
        if self.handler is not None:
            self._send(self.handler, DeadEnvelope(target, message))
