"""SupervisingActor: restarts children that stand still, or hands the failure upwards.

A child that failed is told to restart at once, or after a back-off; how often, its spec says.
What is beyond that is this actor's own failure (`RestartBudgetError`), reported to its parent.
"""

from __future__ import annotations

from ..core.metrics import Metrics
from ..core.ports import DeadLetterBox, Reporter
from ..core.restarts import ChildSpec, RestartBudget
from ..errors import RestartBudgetError
from ..messages.control import ChildFailed, DeadLetter, Restart, RestartDue, Stamped
from ._base import ActorAddress, GreenroomActor, stamped, told


class SupervisingActor(GreenroomActor):
    """Base of those who have children. A subclass says who and by which spec."""

    metrics: Metrics
    reporter: Reporter
    dead_letters: DeadLetterBox
    _budgets: dict[tuple[str, int], RestartBudget]

    def find_child(self, actor: str, incarnation: int) -> tuple[ActorAddress, ChildSpec] | None:
        """Where a child is and how it is supervised; None: it is gone."""
        raise NotImplementedError

    def give_up(self, due: RestartDue, address: ActorAddress) -> None:
        """A child failed more often than its spec bears.

        Raises:
            RestartBudgetError: That is this actor's own failure; unless a subclass knows better.
        """
        raise RestartBudgetError(f"{due.actor} failed more often than its child spec bears")

    @told(ChildFailed)
    def on_child_failed(self, failed: ChildFailed, sender: ActorAddress) -> None:
        """Keep the poison for people; what the child needs is decided when the stamp is there."""
        self.metrics.failed(failed.actor)
        self.reporter.input_failed(failed)
        self.dead_letters.add(
            DeadLetter(
                actor=failed.actor,
                key=failed.key,
                message=failed.message,
                position=failed.position,
                at_ns=failed.at_ns,
                error=failed.error,
                traceback=failed.traceback,
                body=failed.body,
            )
        )
        if failed.stands_still:
            due = RestartDue(failed.actor, failed.incarnation, has_waited=False)
            if not self.door.enter(self.myAddress, due):
                self.send(sender, Restart())  # at the end: it is to hand over what it has

    @stamped(RestartDue)
    def on_restart_due(self, due: RestartDue, stamp: Stamped) -> None:
        """Restart the child, or let it wait, or give it up."""
        child = self.find_child(due.actor, due.incarnation)
        if child is None:
            return
        address, spec = child
        if not due.has_waited:
            budget = self._budgets.setdefault((due.actor, due.incarnation), RestartBudget(spec))
            seconds = budget.spend(stamp.at_ns)
            if seconds is None:
                self.give_up(due, address)
                return
            if seconds:
                later = RestartDue(due.actor, due.incarnation, has_waited=True)
                self.wake_after(seconds, later)
                return
        self.metrics.restarted(due.actor)
        self.send(address, Restart())
