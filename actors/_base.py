"""What all actors share: dispatch by type, configuration, and failures that stay inside.

The only actor module that imports Thespian. A subclass declares its handlers:

    @told(Flush)        a message of another actor       handler(self, message, sender)
    @stamped(RetryDue)  an input that passed the door    handler(self, body, stamp)

An actor has no constructor arguments in Thespian, so its first message configures it, and what
comes earlier is held: Thespian promises order per sender and receiver only. A wake-up is no
input yet: its payload goes through the door to the actor itself, and comes back stamped.
No handler lets an exception out, because Thespian would run it again on the half-changed actor.
The message is poison: it is reported to the parent, and the actor stands still, holding what
else it is told, until its parent tells it to restart. It keeps its address, its mailbox and its
state, whose changes are all or nothing (`core`), so nobody else notices.

So an actor ends only when it is told to. If neither its parent nor itself told it, its last
message is its `Estate`, for its heir: a new actor, whose first message is `Inherit`. One that has
not begun yet has no estate: it gives back what it was told, `Undelivered`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    DeadEnvelope,
    WakeupMessage,
)

from ..config import Settings
from ..core.failure_text import failure_texts, type_name
from ..core.ports import Door
from ..errors import UnknownMessageError
from ..messages.codec import encode
from ..messages.control import ChildFailed, DeadLetter, Input, Restart, Stamped
from .estate import Configure, Estate, HeirBegan, Inherit, Undelivered

__all__ = [  # Thespian's names are here for the other actors: only this module imports it
    "ActorAddress",
    "ActorExitRequest",
    "ActorSystemMessage",
    "ChildActorExited",
    "Configure",
    "DeadEnvelope",
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


class GreenroomActor(Actor):
    """Base of every actor; subclasses define `on_configure` and handlers."""

    told_handlers: ClassVar[dict[type, Handler]] = {}
    stamped_handlers: ClassVar[dict[type, Handler]] = {}
    inherited: ClassVar[tuple[str, ...]] = ()  # the attributes that make up the state

    settings: Settings
    door: Door
    parent: ActorAddress = _NOBODY  # who configured this actor
    _stashes = True  # messages are held: before the first message, and while it stands still
    _stash: list[tuple[object, ActorAddress]] | None = None  # what is held
    _unfinished: Callable[[], None] | None = None  # how to begin, when that has failed

    def __init_subclass__(cls) -> None:
        """Collect the marked handlers into two tables, so that dispatch is one look-up."""
        super().__init_subclass__()
        _collect_handlers(cls)

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:
        """Thespian's entry: find the handler, run it, keep its failure inside."""
        if self._stashes:
            self._take_or_stash(message, sender)
            return
        try:
            if type(message) is Stamped:
                body = message.body
                self.stamped_handlers.get(type(body), _unknown)(self, body, message)
            else:
                self.told_handlers.get(type(message), _unknown)(self, message, sender)
        except UnknownMessageError as error:
            self._report(message, error, stands_still=False)
        except BaseException as error:  # noqa: BLE001  # the one place: reported, not lost
            self.stand_still(message, error)

    def on_configure(self, configure: Any) -> None:  # each actor has its own
        """Take what the parent gives; the first thing that happens to an actor."""
        raise NotImplementedError

    def wake_after(self, seconds: float, payload: Input) -> None:
        """Come back to the handler of `payload`, stamped, after that time."""
        self.wakeupAfter(timedelta(seconds=max(seconds, 0.0)), payload)

    def exit(self) -> None:
        """End this actor after the messages that it already has."""
        self.send(self.myAddress, ActorExitRequest())

    def describe(self) -> tuple[str, int]:
        """Which one of its kind this actor is, for people, and its incarnation."""
        return "", 0

    def on_restart(self) -> None:
        """Settle what the failure may have left undone; called before what was held."""

    def on_inherit(self, inherit: Inherit) -> None:
        """Become what another one was: by default all but its wake-ups."""
        self.on_configure(inherit.configure)
        for name, value in (inherit.state or {}).items():
            setattr(self, name, value)
        self.on_restart()

    def on_end(self) -> None:
        """The end that its parent or itself wanted: there is no heir."""

    def leave_estate(self) -> None:
        """The end that somebody else wanted: tell the parent what an heir needs."""
        if self._unfinished not in (None, self.on_restart):  # it has not begun: there is none
            self._give_back()
            return
        state = {name: getattr(self, name) for name in self.inherited}
        stash = tuple(message for message, _ in self._stash or ())
        self.send(self.parent, Estate(type(self).__name__, self.describe()[1], state, stash))

    def is_wanted_by(self, sender: ActorAddress) -> bool:
        """Whether an exit request of this sender is one that its parent knows of."""
        return sender in (self.parent, self.myAddress)

    def _take_or_stash(self, message: object, sender: ActorAddress) -> None:
        take = self._take_first if self.parent is _NOBODY else self._take_standing
        if not take(message, sender):
            self._stash = [*(self._stash or ()), (message, sender)]

    def _take_first(self, message: object, sender: ActorAddress) -> bool:
        """Before this actor has begun; False: the message has to wait for that."""
        if isinstance(message, self.configured_by()):
            self.parent = sender
            self._go_on(message, lambda: self.on_configure(message))
        elif type(message) is Inherit:
            self.parent = sender
            letters = [(letter, sender) for letter in message.letters]
            self._stash = [*letters, *(self._stash or ())]
            self._go_on(message, lambda: self._succeed(message))
        elif isinstance(message, ActorExitRequest):
            self._give_back()
        else:
            return isinstance(message, ActorSystemMessage)  # of no use to one that has not begun
        return True

    def _take_standing(self, message: object, sender: ActorAddress) -> bool:
        """While this actor stands still; False: the message has to wait for the restart."""
        begin = self._unfinished or self.on_restart
        if type(message) is Restart:
            self._go_on(message, begin)
        elif not isinstance(message, ActorExitRequest):
            return False
        elif self.is_wanted_by(sender):
            self._go_on(message, begin)
            while self._stash:  # nobody will restart it any more, and nothing is to be lost
                self._go_on(message, _nothing)
            self._stashes = False
            self.receiveMessage(message, sender)
        else:
            self.leave_estate()
        return True

    def _go_on(self, message: object, begin: Callable[[], None]) -> None:
        """Begin, then handle what was held, until something fails again."""
        self._stashes, stash = False, self._stash or []
        if self._stash or self._unfinished:  # else they stay the class's: actors are many
            self._stash = self._unfinished = None
        try:
            begin()
        except BaseException as error:  # noqa: BLE001  # as in receiveMessage
            self._unfinished = begin
            self.stand_still(message, error)
        handled = 0
        while handled < len(stash) and not self._stashes:
            self.receiveMessage(*stash[handled])
            handled += 1
        if self._stashes:
            self._stash = stash[handled:]

    @classmethod
    def configured_by(cls) -> type:
        """The type of this actor's first message."""
        return Configure

    def _succeed(self, inherit: Inherit) -> None:
        self.on_inherit(inherit)
        self.send(self.parent, HeirBegan(type(self).__name__, self.describe()[1]))

    def _give_back(self) -> None:
        for message, sender in self._stash or ():
            self.send(sender, Undelivered(message))

    def stand_still(self, message: object, error: BaseException, rest: object = None) -> None:
        """Hold what comes until the restart: this message is poison.

        Args:
            message: What failed.
            error: With what. Control-C of the one who pumps is raised again instead.
            rest: What there was to do after it, if it was a part of something: comes first.
        """
        if _is_for_caller(error):
            raise error
        self._stashes = True
        if rest is not None:
            self._stash = [(rest, self.parent), *(self._stash or ())]
        self._report(message, error, stands_still=True)

    def _report(self, message: object, error: BaseException, *, stands_still: bool) -> None:
        body, position, at_ns = message, 0, 0
        if isinstance(message, Stamped):
            body, position, at_ns = message.body, message.position, message.at_ns
        try:
            key, incarnation = self.describe()
        except Exception:  # noqa: BLE001  # it failed before it knew: its parent knows
            key, incarnation = "", 0
        text, trace = failure_texts(error)
        letter = DeadLetter(
            actor=type(self).__name__,
            key=key,
            message=type_name(body),
            position=position,
            at_ns=at_ns,
            error=text,
            traceback=trace,
            body=_wire_form(body),
            incarnation=incarnation,
        )
        self.send(self.parent, ChildFailed(letter, stands_still))

    @told(WakeupMessage)
    def on_wakeup(self, wakeup: WakeupMessage, sender: ActorAddress) -> None:
        """Through the door, to be stamped."""
        self.door.enter(self.myAddress, wakeup.payload)

    @told(Restart)
    def on_needless_restart(self, restart: Restart, sender: ActorAddress) -> None:
        """It goes on already."""

    @told(Undelivered)
    def on_undelivered(self, undelivered: Undelivered, sender: ActorAddress) -> None:
        """The parent knows who is there in the other's place."""
        self.send(self.parent, undelivered)

    @told(ActorExitRequest)
    def on_exit_request(self, request: ActorExitRequest, sender: ActorAddress) -> None:
        """Leave what there is to an heir, unless there is to be none."""
        if self.is_wanted_by(sender):
            self.on_end()
        else:
            self.leave_estate()

    @told(ChildActorExited)
    def on_child_exited(self, exited: ChildActorExited, sender: ActorAddress) -> None:
        """Thespian does what there is to do."""


def _unknown(actor: GreenroomActor, body: object, _: object) -> None:
    if not isinstance(body, ActorSystemMessage):
        raise UnknownMessageError(f"{type(actor).__name__} has no handler for it")


def _is_for_caller(error: BaseException) -> bool:
    """Control-C, for the one who pumps: Python raises it on the main thread only."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and isinstance(error, KeyboardInterrupt)


def _nothing() -> None:
    """All that was to be done at the restart has been tried."""


def _wire_form(body: object) -> bytes:
    try:
        return encode(body)
    except BaseException:  # noqa: BLE001  # poison may break anything; the report must get through
        return b""


def _collect_handlers(cls: type[GreenroomActor]) -> None:
    """Into two tables, so that dispatch is one look-up; a subclass's handler wins."""
    cls.told_handlers, cls.stamped_handlers = {}, {}
    for base in reversed(cls.__mro__):
        for attribute in vars(base).values():
            cls.told_handlers.update(dict.fromkeys(getattr(attribute, _TOLD, ()), attribute))
            cls.stamped_handlers.update(dict.fromkeys(getattr(attribute, _STAMPED, ()), attribute))


_collect_handlers(GreenroomActor)  # __init_subclass__ runs for subclasses only
