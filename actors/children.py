"""Children: which children a supervisor has, by their roles or by the roster, and their heirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..core.roster import Roster
from ..core.worker_state import WorkerState
from ..messages.ids import Incarnation
from ..messages.outputs import RecordStats
from ..messages.stats import WorkerSpec
from ._base import ActorAddress, ActorExitRequest, GreenroomActor
from .estate import Configure
from .notifier import Notifier
from .recorder import Recorder
from .stats_worker import ConfigureWorker, RecorderMoved, StatsWorker
from .succeeding import SucceedingActor
from .succession import is_at
from .supervising import ChildID
from .timer import Timer

ROLES: Final = ("recorder", "notifier", "timer")  # of those that last; so are they attributes


@dataclass(frozen=True, slots=True)
class ChildClasses:
    """Which classes the supervisor starts; a test may put its own in place."""

    recorder: type[GreenroomActor] = Recorder
    notifier: type[GreenroomActor] = Notifier
    timer: type[GreenroomActor] = Timer
    worker: type[GreenroomActor] = StatsWorker


class Children(SucceedingActor):
    """The part of the supervisor that knows where its children live."""

    recorder: ActorAddress
    notifier: ActorAddress
    timer: ActorAddress
    roster: Roster[ActorAddress]
    _children: ChildClasses
    _told_all: Configure
    _close_wait_ns: int

    def class_of(self, which: ChildID) -> type[GreenroomActor]:
        """One of the configured classes."""
        if which.incarnation:
            return self._children.worker
        found: type[GreenroomActor] = getattr(self._children, self._role(which))
        return found

    def address_of(self, which: ChildID) -> ActorAddress | None:
        """By its role, or by the roster."""
        if which.incarnation:
            entry = self.roster.keeper_of(Incarnation(which.incarnation))
            return None if entry is None else entry.address
        address: ActorAddress = getattr(self, self._role(which))
        return address

    def child_at(self, address: ActorAddress | str) -> ChildID | None:
        """The roster is not kept by addresses: it is searched, which happens seldom."""
        for role in ROLES:
            if is_at(getattr(self, role), address):
                return ChildID(getattr(self._children, role).__name__, 0)
        for entry in self.roster.newest_first():
            if is_at(entry.address, address):
                return ChildID(self._children.worker.__name__, entry.incarnation)
        return None

    def move(self, which: ChildID, address: ActorAddress) -> None:
        """To where it is looked for; the workers know the recorder."""
        if which.incarnation:
            entry = self.roster.keeper_of(Incarnation(which.incarnation))
            if entry is not None:
                entry.address = address
            return
        setattr(self, self._role(which), address)
        if address is self.recorder:
            for each in self.roster.newest_first():
                self.send(each.address, RecorderMoved(address))

    def worker_of(self, first_message: object) -> ChildID | None:
        """By the spec in it."""
        if not isinstance(first_message, ConfigureWorker):
            return None
        return ChildID(self._children.worker.__name__, first_message.spec.incarnation)

    def first_message_of(self, which: ChildID, state: Any, returned: object) -> object:
        """A worker's needs its spec."""
        if not which.incarnation:
            return self._told_all
        if state is not None:
            held: WorkerState = state["state"]
            spec = WorkerSpec(held.key, held.incarnation, held.room_name)
        elif isinstance(returned, ConfigureWorker):
            spec = returned.spec
        else:
            return None
        return ConfigureWorker(spec, self.recorder, self._close_wait_ns)

    def lose(self, which: ChildID, heir: ActorAddress) -> None:
        """A worker without a spec: none can be like it."""
        self._forget_worker(which, heir)
        self.send(heir, ActorExitRequest())

    def redirect(self, message: object) -> None:
        """Statistics are the recorder's, whoever got them back."""
        if isinstance(message, RecordStats):
            self.send(self.recorder, message)
        else:
            self.metrics.dropped("undeliverable")

    def _role(self, which: ChildID) -> str:
        """The name of the supervisor's attribute, and of that in ChildClasses."""
        return next(r for r in ROLES if getattr(self._children, r).__name__ == which.actor)

    def _forget_worker(self, which: ChildID, address: ActorAddress) -> None:
        entry = self.roster.retire(Incarnation(which.incarnation))
        if entry is not None and not entry.closed:
            self.metrics.participant_closed()
        self.metrics.dropped("worker_given_up")
        self.let_go(which, address)
