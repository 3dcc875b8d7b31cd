"""`Cell`: an actor's address, its way to the mailbox, and what is known about the actor.

One slotted object does the work of three (Thespian's ActorAddress, the `_myRef` that an Actor
calls, and a registry's entry), so that sending needs no look-up and an idle actor costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

from thespian.actors import Actor, ActorAddress, ActorExitRequest

from ..core.failure_text import type_name
from .timers import Period
from .waker import Waker

# who gets it, what, from whom
Envelope: TypeAlias = "tuple[Cell, object, Cell]"
ActorClass: TypeAlias = "type[Actor] | str"  # a class, or "module.Class"
Requirements: TypeAlias = "Mapping[str, object] | None"


class Receiver(Protocol):
    """What a cell delivers to: an actor, an endpoint's inbox, or the system itself."""

    def receiveMessage(self, msg: object, sender: Cell, /) -> object:
        """Take one message."""


class Mailbox(Protocol):
    """One queue for all actors of a base, in the order of sending or in another one."""

    @property
    def put(self) -> Callable[[Envelope], None]:
        """Queue a message; an attribute, because that is faster than a method."""

    @property
    def entries(self) -> Sized:
        """What is quick to measure: each message is `width` of them."""

    @property
    def width(self) -> int:
        """Entries of a message."""

    def __len__(self) -> int:
        """How many messages wait."""

    def popleft(self) -> Envelope:
        """Take out the next one; IndexError: there is none."""

    def realign(self) -> None:
        """Mend what an interrupted `popleft` left; on the thread that takes."""

    def clear(self) -> None:
        """Forget them all."""

    def newest(self, count: int) -> list[Envelope]:
        """Up to so many of the last messages, newest first."""


class Home(Protocol):
    """What a cell needs of the base that it lives in."""

    @property
    def name(self) -> str:
        """Tells this base's addresses from another's, in print."""

    @property
    def put(self) -> Callable[[Envelope], None]:
        """Queue a message for any actor of the base."""

    @property
    def waker(self) -> Waker:
        """Wakes the dispatcher."""

    def create(
        self,
        parent: Cell,
        actor_class: ActorClass,
        requirements: Requirements,
        global_name: str | None,
        source_hash: str | None,
    ) -> Cell:
        """Make a child."""

    def post(self, target: ActorAddress, message: object, sender: Cell) -> None:
        """Send to any address, also one that is not a cell."""

    def set_timer(self, cell: Cell, period: Period, payload: object) -> None:
        """Wake the actor after a while."""

    def handle_dead_letters(self, address: ActorAddress, *, enable: bool) -> None:
        """Register for dead letters, or no longer."""

    def register_source_authority(self, address: ActorAddress) -> None:
        """Register as the one that validates sources."""

    def watch_sources(self, address: ActorAddress, *, enable: bool) -> None:
        """Register for news of sources, or no longer."""

    def update_capability(self, name: str, value: object) -> None:
        """Set a capability, or remove it with None."""

    def load_source(self, file: str | BinaryIO) -> str:
        """Offer a source to the authority; its hash."""

    def unload_source(self, source_hash: str) -> None:
        """Forget a source."""

    def begin_shutdown(self) -> None:
        """Ask every actor to exit."""


@dataclass(slots=True)
class About:
    """What only few actors have; the others share the cost of one empty slot.

    Args:
        global_name: The name under which the actor is known in the whole system.
        nanny: The actor that created it, where its parent is the system because it has a name.
        source_hash: Where its class, and those of its children, are loaded from.
        requirements: What its creator asked the capability check for.
    """

    global_name: str | None = None
    nanny: Cell | None = None
    source_hash: str | None = None
    requirements: Requirements = None


class Cell(ActorAddress):
    """The address of one actor in one base. Equal only to itself; hashable, unlike its parent.

    Args:
        home: The base that it lives in.
        number: Tells it from the others, in print only.
        parent: Whose child it is; None for the root.
    """

    __slots__ = (
        "_aaddr",
        "about",
        "actor",
        "children",
        "home",
        "instance",
        "parent",
        "pending_timers",
    )

    def __init__(self, home: Home, number: int, parent: Cell | None) -> None:
        self._aaddr = number
        self.home = home
        self.parent = parent
        # `instance` is there while the actor lives, `actor` while it takes ordinary messages:
        # so one look finds the usual case, and an exiting actor is one with only the former
        self.actor: Receiver | None = None
        self.instance: Receiver | None = None
        self.children: dict[Cell, None] | None = None
        self.pending_timers = 0
        self.about: About | None = None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__

    def __str__(self) -> str:
        return f"ActorAddr-{self.actorAddressString}"

    def __repr__(self) -> str:
        return f"<Cell {self.actorAddressString} {self.class_name}>"

    def __copy__(self) -> Cell:
        return self

    def __deepcopy__(self, memo: object) -> Cell:
        return self

    def __reduce__(self) -> tuple[type[ActorAddress], tuple[str]]:
        # outside its process an address leads nowhere: messages to it become dead letters
        return ActorAddress, (self.actorAddressString,)

    @property
    def actorAddressString(self) -> str:
        """The address in print."""
        return f"{self.home.name}:{self._aaddr}"

    @property
    def class_name(self) -> str:
        """The actor's class, for logs."""
        return "dead" if self.instance is None else type_name(self.instance)

    @property
    def is_exiting(self) -> bool:
        """The actor has had its exit request and waits for its children to go."""
        return self.instance is not None and self.actor is None

    # What thespian.actors.Actor calls on its `_myRef`

    @property
    def address(self) -> Cell:
        """The actor's address: this."""
        return self

    @property
    def globalName(self) -> str | None:
        """The actor's name in the whole system, if it has one."""
        return None if self.about is None else self.about.global_name

    def actor_send(self, target: ActorAddress, message: object) -> None:
        """Send `message` from this actor."""
        if target.__class__ is Cell:
            home = target.home  # the receiver's: a message between two bases changes threads
            home.put((target, message, self))
            if home.waker.asleep:  # sent from a thread of the actor's own
                home.waker.wake()
        else:
            self.home.post(target, message, self)

    def createActor(
        self,
        actor_class: ActorClass,
        requirements: Requirements = None,
        global_name: str | None = None,
        source_hash: str | None = None,
    ) -> Cell:
        """Create a child of this actor, from the same source unless another is named."""
        if source_hash is None and self.about is not None:
            source_hash = self.about.source_hash
        return self.home.create(self, actor_class, requirements, global_name, source_hash)

    def wakeupAfter(self, period: Period, payload: object = None) -> None:
        """Have a WakeupMessage sent to this actor after `period`."""
        self.home.set_timer(self, period, payload)

    def handleDeadLetters(self, address: ActorAddress, enable: bool) -> None:  # noqa: FBT001
        """Register this actor for dead letters, or no longer."""
        self.home.handle_dead_letters(address, enable=enable)

    def registerSourceAuthority(self, address: ActorAddress) -> None:
        """Register this actor as the one that validates sources."""
        self.home.register_source_authority(address)

    def notifyOnSourceAvailability(self, address: ActorAddress, enable: bool) -> None:  # noqa: FBT001
        """Register this actor for news of sources, or no longer."""
        self.home.watch_sources(address, enable=enable)

    def notifyOnSystemRegistrationChanges(self, address: ActorAddress, enable: bool) -> None:  # noqa: FBT001
        """Nothing to register for: a base in one process never joins a convention."""

    def updateCapability(self, name: str, value: object = None) -> None:
        """Set a capability of the system, or remove it with None."""
        self.home.update_capability(name, value)

    def loadActorSource(self, file: str | BinaryIO) -> str:
        """Offer a source to the authority; its hash."""
        return self.home.load_source(file)

    def unloadActorSource(self, source_hash: str) -> None:
        """Forget a source."""
        self.home.unload_source(source_hash)

    def preRegisterRemoteSystem(self, address: object, capabilities: object) -> None:
        """Nothing to do: there is no convention."""

    def deRegisterRemoteSystem(self, address: object) -> None:
        """Nothing to do: there is no convention."""

    def actorSystemShutdown(self) -> None:
        """Ask every actor of the system to exit."""
        self.home.begin_shutdown()


def ask_to_exit(cells: Iterable[Cell], sender: Cell) -> None:
    """Send each that lives an exit request of its own: a handler may change it."""
    for cell in list(cells):
        if cell.instance is not None:
            sender.actor_send(cell, ActorExitRequest())
