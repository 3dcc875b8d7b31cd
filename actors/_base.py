"""What all actors share: dispatch by type, configuration, and failures that stay inside.

The only actor module that imports Thespian. A subclass declares its handlers:

    @told(Flush)        a message of another actor       handler(self, message, sender)
    @stamped(FlushDue)  an input that passed the door    handler(self, body, stamp)

An actor has no constructor arguments in Thespian, so its first message configures it, and what
comes earlier is stashed: Thespian promises order per sender and receiver only. A wake-up is no
input yet: its payload goes through the door to the actor itself, and comes back stamped.
No handler lets an exception out, because Thespian would run it again on the half-changed actor:
the input is dropped and reported to the parent, the actor goes on with the state it has.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    WakeupMessage,
)

from ..config import Settings
from ..core.ports import Door, Ports
from ..errors import UnknownMessageError
from ..messages.control import Input, InputFailed, Stamped

__all__ = [  # Thespian's names are here for the other actors: only this module imports it
    "ActorAddress",
    "ActorExitRequest",
    "Configure",
    "GreenroomActor",
    "WakeupMessage",
    "stamped",
    "told",
]

Handler = Callable[[Any, Any, Any], None]
H = TypeVar("H", bound=Callable[..., None])

_NOBODY: Final = ActorAddress(None)
_TOLD: Final = "_greenroom_told"
_STAMPED: Final = "_greenroom_stamped"


def told(*kinds: type) -> Callable[[H], H]:
    """The handler of these messages from other actors: `handler(self, message, sender)`."""
    return _marked(_TOLD, kinds)


def stamped(*kinds: type) -> Callable[[H], H]:
    """The handler of these inputs from outside: `handler(self, body, stamp)`."""
    return _marked(_STAMPED, kinds)


def _marked(mark: str, kinds: tuple[type, ...]) -> Callable[[H], H]:
    def decorate(handler: H) -> H:
        setattr(handler, mark, kinds)
        return handler

    return decorate


@dataclass(frozen=True, slots=True)
class Configure:
    """The first message of an actor. Holds live objects, so it never leaves the process."""

    settings: Settings
    ports: Ports


class GreenroomActor(Actor):
    """Base of every actor; subclasses define `on_configure` and handlers."""

    told_handlers: ClassVar[dict[type, Handler]] = {}
    stamped_handlers: ClassVar[dict[type, Handler]] = {}

    settings: Settings
    door: Door
    parent: ActorAddress = _NOBODY  # who configured this actor
    _stash: list[tuple[object, ActorAddress]] | None = None

    def __init_subclass__(cls) -> None:
        """Collect the marked handlers into two tables, so that dispatch is one look-up."""
        super().__init_subclass__()
        _collect_handlers(cls)

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:
        """Thespian's entry: find the handler, run it, keep its failure inside."""
        if self.parent is _NOBODY:
            self._before_configuration(message, sender)
            return
        try:
            if type(message) is Stamped:
                body = message.body
                self.stamped_handlers.get(type(body), _unknown)(self, body, message)
            else:
                self.told_handlers.get(type(message), _unknown)(self, message, sender)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the one place: reported, not lost
            self._report(message, error)

    def on_configure(self, configure: Any) -> None:  # each actor has its own
        """Take what the parent gives; the first thing that happens to an actor."""
        raise NotImplementedError

    def wake_after(self, seconds: float, payload: Input) -> None:
        """Come back to the handler of `payload`, stamped, after that time."""
        self.wakeupAfter(timedelta(seconds=max(seconds, 0.0)), payload)

    def exit(self) -> None:
        """End this actor after the messages that it already has."""
        self.send(self.myAddress, ActorExitRequest())

    def report_failure(self, failure: InputFailed) -> None:
        """Hand a failure to whoever answers for this actor: its parent."""
        self.send(self.parent, failure)

    def _before_configuration(self, message: object, sender: ActorAddress) -> None:
        if isinstance(message, ActorSystemMessage):
            return
        if not isinstance(message, self.configured_by()):
            self._stash = [*(self._stash or ()), (message, sender)]
            return
        self.parent = sender
        try:
            self.on_configure(message)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # as in receiveMessage
            self._report(message, error)
        for early, its_sender in self._stash or ():
            self.receiveMessage(early, its_sender)
        self._stash = None

    @classmethod
    def configured_by(cls) -> type:
        """The type of this actor's first message."""
        return Configure

    def _report(self, message: object, error: BaseException) -> None:
        body, position = message, 0
        if isinstance(message, Stamped):
            body, position = message.body, message.position
        self.report_failure(
            InputFailed(
                actor=type(self).__name__,
                message=type(body).__name__,
                position=position,
                error=repr(error),
                traceback="".join(traceback.format_exception(error)),
            )
        )

    @told(WakeupMessage)
    def on_wakeup(self, wakeup: WakeupMessage, sender: ActorAddress) -> None:
        """Through the door, to be stamped."""
        self.door.enter(self.myAddress, wakeup.payload)

    @told(ActorExitRequest, ChildActorExited)
    def on_system_message(self, message: object, sender: ActorAddress) -> None:
        """Thespian does what there is to do."""


def _unknown(actor: GreenroomActor, body: object, _: object) -> None:
    if not isinstance(body, ActorSystemMessage):
        raise UnknownMessageError(f"{type(actor).__name__} has no handler for it")


def _collect_handlers(cls: type[GreenroomActor]) -> None:
    """Into two tables, so that dispatch is one look-up."""
    cls.told_handlers = dict(cls.told_handlers)
    cls.stamped_handlers = dict(cls.stamped_handlers)
    for attribute in vars(cls).values():
        cls.told_handlers.update(dict.fromkeys(getattr(attribute, _TOLD, ()), attribute))
        cls.stamped_handlers.update(dict.fromkeys(getattr(attribute, _STAMPED, ()), attribute))


_collect_handlers(GreenroomActor)  # __init_subclass__ runs for subclasses only
