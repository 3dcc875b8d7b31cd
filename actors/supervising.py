"""SupervisingActor: restarts children that stand still, or hands the failure upwards.

A child that failed is told to restart at once, or after a back-off; how often, its spec says.
What is beyond that is this actor's own failure (`RestartBudgetError`), reported to its parent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..core.metrics import Metrics
from ..core.ports import DeadLetterBox, Reporter
from ..core.restarts import ChildSpec, RestartBudget
from ..errors import RestartBudgetError
from ..messages.control import ChildFailed, Drain, Restart, RestartDue, Stamped
from ._base import ActorAddress, GreenroomActor, stamped, told


class ChildID(NamedTuple):
    """One child of an actor: its class, and which StatsWorker it is (0: it is none)."""

    actor: str
    incarnation: int


class SupervisingActor(GreenroomActor):
    """Base of those who have children. A subclass says who and by which spec."""

    metrics: Metrics
    reporter: Reporter
    dead_letters: DeadLetterBox
    _budgets: dict[ChildID, RestartBudget]
    _standing: dict[ChildID, ActorAddress]  # who stands still
    _backing_off: set[ChildID]  # for whom there is a wake-up
    _drains = False
    _restarts_at_ns = 0  # when one was due the last time (Unix ns)

    @property
    def standing(self) -> int:
        """How many children stand still now."""
        return len(self._standing)

    def prepare_supervision(self) -> None:
        """Nobody has failed yet; to be called at the configuration."""
        self._budgets, self._standing, self._backing_off = {}, {}, set()

    def spec_of(self, which: ChildID) -> ChildSpec:
        """How a child is supervised."""
        raise NotImplementedError

    def give_up(self, which: ChildID, at_ns: int) -> None:
        """A child failed more often than its spec bears; it stands still.

        Raises:
            RestartBudgetError: That is this actor's own failure; unless a subclass knows better.
        """
        raise RestartBudgetError(f"the {which.actor} failed more often than its child spec bears")

    def due_after(self, failed: ChildFailed) -> RestartDue:
        """What the failed child is due, on which of its budgets."""
        return RestartDue(failed.letter.actor, failed.letter.incarnation, has_waited=False)

    def is_wanted_by(self, sender: ActorAddress) -> bool:
        """The system ends it, which has drained it before."""
        return self._drains or super().is_wanted_by(sender)

    @told(ChildFailed)
    def on_child_failed(self, failed: ChildFailed, sender: ActorAddress) -> None:
        """Keep the poison for people; what the child needs is decided when the stamp is there."""
        self.metrics.failed(failed.letter.actor)
        self.reporter.input_failed(failed.letter)
        self.dead_letters.add(failed.letter)
        if not failed.stands_still:
            return
        due = self.due_after(failed)
        which = ChildID(due.actor, due.incarnation)
        self._standing[which] = sender
        self._ask_restart(which)

    @stamped(RestartDue)
    def on_restart_due(self, due: RestartDue, stamp: Stamped) -> None:
        """Restart the child, or let it wait, or give it up."""
        which = ChildID(due.actor, due.incarnation)
        self._restarts_at_ns = stamp.at_ns
        if which in self._standing and not due.has_waited:
            if which not in self._budgets:
                self._budgets[which] = RestartBudget(self.spec_of(which))
            seconds = self._budgets[which].spend(stamp.at_ns)
            if seconds is None:
                del self._budgets[which]
                self.give_up(which, stamp.at_ns)
                return
            if seconds and not self._drains:
                self.put_off(which)
                if which not in self._backing_off:  # else it ended while it waited
                    self._backing_off.add(which)
                    self.wake_after(seconds, replace(due, has_waited=True))
                return
        self._backing_off.discard(which)
        self._restart(which)

    def put_off(self, which: ChildID) -> None:
        """It has to wait, whatever was allowed before."""

    @told(Drain)
    def on_drain(self, drain: Drain, sender: ActorAddress) -> None:
        """Let nobody wait any more."""
        self._drains = True
        self.restart_all()

    def restart_all(self) -> None:
        """Restart whoever stands still: a failure of this actor must not leave it so."""
        for which in list(self._standing):
            self._restart(which)

    def _ask_restart(self, which: ChildID) -> None:
        """Through the door, for a stamp; at the end at once: it is to hand over what it has."""
        due = RestartDue(which.actor, which.incarnation, has_waited=False)
        if self._drains or not self.door.enter(self.myAddress, due):
            self._restart(which)

    def _restart(self, which: ChildID) -> None:
        address = self._standing.get(which)
        if address is not None:
            self.send(address, Restart())
            del self._standing[which]
            self.metrics.restarted(which.actor)
