"""Who lives in a base: birth, names, death, and where letters to the dead go."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import BinaryIO

from thespian.actors import (
    ActorAddress,
    ChildActorExited,
    Thespian_StatusReq,
    ValidatedSource,
)

from ..core.ports import Clock
from .capabilities import own_capabilities
from .cell import About, ActorClass, Cell, Mailbox, Receiver, Requirements, ask_to_exit
from .dead_letters import DeadLetters, Stray
from .guarded_log import guarded_log
from .sources import Sources
from .spawn import Spawner
from .status import system_status
from .timers import Period, Timers, period_ns
from .waker import Waker

log = guarded_log(__name__)

SYSTEM_ADDRESS = "/ActorSys"  # thespian.actors.ActorSystem.systemAddress


class Population:
    """All actors of one base and what they share. It is the `home` of every cell.

    Everything but `post`, `create` and `set_timer` is called on the thread that dispatches.

    Args:
        name: Of the base, for addresses in print.
        clock: For timers.
        capabilities: The dict that is shown to actors; changed in place.
        mailbox: For the messages of all of them.
    """

    def __init__(
        self, name: str, clock: Clock, capabilities: dict[str, object], mailbox: Mailbox
    ) -> None:
        self.name = name
        self.clock = clock
        self.capabilities = capabilities
        self.capabilities.update(own_capabilities())
        self.mailbox = mailbox
        self.put = mailbox.put  # for the cells: one look-up less at each sending
        self.waker = Waker()
        self.timers = Timers()
        self.sources = Sources(self._send_as_system)
        self.spawner = Spawner(self.capabilities, self.sources.loaded)
        self.names: dict[str, Cell] = {}
        self.dead_letters = DeadLetters(self._send_as_system)
        self.closing = False
        self.when_closing: Callable[[], None] = do_nothing
        self._numbers = itertools.count()
        self._lock = threading.RLock()  # names, which several threads may want at once
        self._descendants = 0  # actors whose parent is an actor
        self.root = Cell(self, next(self._numbers), None)
        self.root.instance = self.root.actor = self
        self.root.children = {}

    def __repr__(self) -> str:
        return f"<Population of {self.name}: {len(self)} actors, {len(self.mailbox)} queued>"

    def __len__(self) -> int:
        """How many actors live (or have died and their parents do not know yet)."""
        return len(self.primaries) + self._descendants

    @property
    def primaries(self) -> dict[Cell, None]:
        """The actors whose parent is the system, oldest first."""
        return self.root.children if self.root.children is not None else {}

    # Birth

    def new_cell(self, parent: Cell, instance: Receiver | None = None) -> Cell:
        """An address; with `instance`, one that is alive without being an actor."""
        cell = Cell(self, next(self._numbers), parent)
        cell.actor = cell.instance = instance
        return cell

    def create(
        self,
        parent: Cell,
        actor_class: ActorClass,
        requirements: Requirements,
        global_name: str | None,
        source_hash: str | None,
    ) -> Cell:
        """Make a child of `parent`; or of the system, if it gets a name.

        Returns:
            Its address; that of the actor which has the name already; or a dead one, when it
            could not be made, of which the parent is told by ChildActorExited.
        """
        if global_name:
            with self._lock:
                return self._create_named(
                    parent, actor_class, requirements, global_name, source_hash
                )
        cell = self.new_cell(parent)
        if requirements or source_hash:
            cell.about = About(source_hash=source_hash, requirements=requirements)
        self._bring_to_life(cell, actor_class, requirements, source_hash, must_succeed=False)
        return cell

    def create_primary(
        self,
        actor_class: ActorClass,
        requirements: Requirements,
        global_name: str | None,
        source_hash: str | None,
    ) -> Cell:
        """Make a child of the system, for a caller outside.

        Raises:
            Exception: Whatever went wrong, except a failed assertion of the constructor.
        """
        with self._lock:
            if global_name and global_name in self.names:
                return self.names[global_name]
            cell = self.new_cell(self.root)
            cell.about = About(global_name, None, source_hash, requirements)
            self._bring_to_life(cell, actor_class, requirements, source_hash, must_succeed=True)
            return cell

    def _create_named(
        self,
        creator: Cell,
        actor_class: ActorClass,
        requirements: Requirements,
        global_name: str,
        source_hash: str | None,
    ) -> Cell:
        known = self.names.get(global_name)  # wins even if the class does not exist
        if known is not None:
            return known
        cell = self.new_cell(self.root)
        nanny = None if creator is self.root else creator
        cell.about = About(global_name, nanny, source_hash, requirements)
        if creator.actor is not None:  # an exiting creator makes no children, named or not
            self._bring_to_life(cell, actor_class, requirements, source_hash, must_succeed=False)
        return cell

    def _bring_to_life(
        self,
        cell: Cell,
        actor_class: ActorClass,
        requirements: Requirements,
        source_hash: str | None,
        *,
        must_succeed: bool,
    ) -> None:
        parent = cell.parent
        if parent is None or parent.actor is None:
            return  # else a parent that replaces its children while it exits would never end
        if parent.children is None:
            parent.children = {}
        parent.children[cell] = None
        if parent is not self.root:
            self._descendants += 1
        if source_hash:
            self.sources.enter(source_hash)
        try:
            actor = self.spawner.spawn(actor_class, requirements, source_hash)
        except BaseException as error:
            log.warning("could not create an actor of %s", actor_class, exc_info=True)
            self.bury(cell)
            if must_succeed and not isinstance(error, AssertionError):
                raise
            if not isinstance(error, Exception | SystemExit):
                raise
            return
        actor._myRef = cell
        cell.actor = cell.instance = actor
        if cell.about is not None and cell.about.global_name:
            self.names[cell.about.global_name] = cell

    # Death

    def exit(self, cell: Cell, *, recursive: bool) -> None:
        """The actor has had its exit request: it goes when its last child has gone."""
        if cell.actor is None:
            return  # asked before
        cell.actor = None
        if cell.pending_timers:
            self.timers.forget(cell)
        if recursive and cell.children:
            ask_to_exit(cell.children, cell)
        else:
            self.bury(cell)

    def kill(self, cell: Cell) -> None:
        """The actor is gone at once, as if its process had ended; its children are sent away."""
        children = list(cell.children or ())
        self.bury(cell)
        ask_to_exit(children, self.root)

    def child_gone(self, cell: Cell, child: ActorAddress) -> None:
        """The actor at `cell` has been told that this child is dead."""
        if cell.children is not None and isinstance(child, Cell):
            cell.children.pop(child, None)
            if cell.is_exiting and not cell.children and cell is not self.root:
                self.bury(cell)

    def bury(self, cell: Cell) -> None:
        """Forget a dead actor everywhere, then tell its parent (and its nanny)."""
        cell.actor = cell.instance = None
        parent = cell.parent or self.root
        if parent is not self.root:
            self._descendants -= 1
        if cell.pending_timers:
            self.timers.forget(cell)
        self.dead_letters.register(cell, enable=False)
        self.sources.forget(cell)
        if cell.children:
            self._adopt_children_of(cell)
        cell.actor_send(parent, ChildActorExited(cell))
        about, cell.about = cell.about, None
        if about is not None:
            if about.global_name and self.names.get(about.global_name) is cell:
                del self.names[about.global_name]
            if about.nanny is not None:
                cell.actor_send(about.nanny, ChildActorExited(cell))
            if about.source_hash:
                self.sources.leave(about.source_hash)

    def _adopt_children_of(self, cell: Cell) -> None:
        # one that is dead has told its old parent, and would stay with the new one for ever
        orphans = [child for child in cell.children or () if child.instance is not None]
        cell.children = None
        for child in orphans:
            child.parent = self.root
            self.primaries[child] = None
        self._descendants -= len(orphans)
        if self.closing:
            ask_to_exit(orphans, self.root)

    # Messages

    def post(self, target: ActorAddress, message: object, sender: Cell) -> None:
        """Send to any address; any thread."""
        if isinstance(target, Cell):
            sender.actor_send(target, message)
        elif target.actorAddressString == SYSTEM_ADDRESS:
            sender.actor_send(self.root, message)
        else:
            sender.actor_send(self.root, Stray(target, message))

    def _send_as_system(self, target: ActorAddress, message: object) -> None:
        self.post(target, message, self.root)

    def receiveMessage(self, msg: object, sender: Cell, /) -> None:
        """What is sent to the system itself."""
        if isinstance(msg, ChildActorExited):
            self.child_gone(self.root, msg.childAddress)
        elif isinstance(msg, Stray):
            self.dead_letters.add(*msg)
        elif isinstance(msg, ValidatedSource):
            self.sources.accept(msg, sender)
        elif isinstance(msg, Thespian_StatusReq):
            self.post(sender, system_status(self), self.root)

    # What cells call for their actors

    def set_timer(self, cell: Cell, period: Period, payload: object) -> None:
        """Wake the actor after a while; any thread."""
        if cell.actor is not None:  # an exiting actor gets no more wake-ups
            due_ns = self.clock.monotonic_ns() + period_ns(period)
            self.timers.add(cell, due_ns, period, payload)
            if self.waker.asleep:
                self.waker.wake()

    def handle_dead_letters(self, address: ActorAddress, *, enable: bool) -> None:
        """Send dead letters to this actor: the latest to register gets them."""
        self.dead_letters.register(address, enable=enable)

    def register_source_authority(self, address: ActorAddress) -> None:
        """Let this actor validate sources from now on."""
        self.sources.authority = address

    def watch_sources(self, address: ActorAddress, *, enable: bool) -> None:
        """Tell this actor of sources, or no longer."""
        self.sources.watch(address, enable=enable)

    def load_source(self, file: str | BinaryIO) -> str:
        """Offer a source to the authority; its hash."""
        return self.sources.offer(file)

    def unload_source(self, source_hash: str) -> None:
        """Forget a source."""
        self.sources.unload(source_hash)
        self.spawner.forget_classes()

    def update_capability(self, name: str, value: object) -> None:
        """Set a capability or remove it with None; actors that no longer fit are sent away."""
        if value is None:
            self.capabilities.pop(name, None)
        else:
            self.capabilities[name] = value
        ask_to_exit([cell for cell in self.everyone() if not self._fits(cell)], self.root)

    def begin_shutdown(self) -> None:
        """Ask every actor to exit, and make no more of them; any thread."""
        with self._lock:  # nobody is born meanwhile
            self.closing = True
            self.root.actor = None
            ask_to_exit(self.primaries, self.root)
        self.when_closing()

    def let_go(self) -> None:
        """The end: forget timers, sources and messages. Called when nobody dispatches any more."""
        self.sources.let_go()
        self.spawner.forget_classes()
        self.timers.clear()
        self.mailbox.clear()

    def everyone(self) -> list[Cell]:
        """All actors, level by level."""
        found = list(self.primaries)
        for cell in found:  # it grows while we go through it: level by level
            found.extend(list(cell.children or ()))
        return found

    def _fits(self, cell: Cell) -> bool:
        check = getattr(cell.instance, "actorSystemCapabilityCheck", None)
        requirements = None if cell.about is None else cell.about.requirements
        return check is None or bool(check(self.capabilities, requirements or {}))


def do_nothing() -> None:
    """Nobody wants to know."""
