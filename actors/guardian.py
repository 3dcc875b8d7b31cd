"""Guardian: stands above the supervisor, and restarts it.

It configures the supervisor of its shard and is its parent. A supervisor that fails more often
than its spec bears cannot be helped: then the shard is given up, and its host is told. So it is
when somebody else ends the supervisor or the guardian: by Thespian's rules all children end with
a supervisor, and what they hold with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..core.restarts import ALL_CHILDREN, SUPERVISOR_CHILD, ChildSpec
from ..messages.control import ChildFailed, Drain, RestartDue
from ._base import ActorAddress, ActorExitRequest, told
from .estate import Estate
from .supervising import ChildID, SupervisingActor
from .supervisor import ConfigureSupervisor

CHILDREN: Final = "Supervisor with all its children"


@dataclass(frozen=True, slots=True)
class ConfigureGuardian:
    """The guardian's first message: where the supervisor is, and what it is to be told."""

    supervisor: ActorAddress
    configure: ConfigureSupervisor


class Guardian(SupervisingActor):
    """The parent of one supervisor."""

    @classmethod
    def configured_by(cls) -> type:
        """The guardian passes on the supervisor's first message."""
        return ConfigureGuardian

    def on_configure(self, configure: ConfigureGuardian) -> None:
        """Become the supervisor's parent by telling it its first message."""
        ports = configure.configure.ports
        self.door, self.metrics, self.reporter = ports.door, ports.metrics, ports.reporter
        self.dead_letters, self.host = ports.dead_letters, ports.host
        self.prepare_supervision()
        self.supervisor = configure.supervisor
        self.send(self.supervisor, configure.configure)

    def spec_of(self, which: ChildID) -> ChildSpec:
        """A budget for the supervisor's own failures, and one for its children's."""
        return ALL_CHILDREN if which.actor == CHILDREN else SUPERVISOR_CHILD

    def due_after(self, failed: ChildFailed) -> RestartDue:
        """A child of the supervisor beyond its budget counts for more than a bad call."""
        if failed.letter.message == RestartDue.__name__:
            return RestartDue(CHILDREN, 0, has_waited=False)
        return super().due_after(failed)

    def give_up(self, which: ChildID, at_ns: int) -> None:
        """There is nobody above but the host."""
        self.host.shard_given_up(f"the {which.actor} failed more often than its child spec bears")

    @told(Estate)
    def on_estate(self, estate: Estate, sender: ActorAddress) -> None:
        """The supervisor is about to end, and its children with it."""
        if not self._drains:
            self._give_up_ended(estate.actor)

    @told(ActorExitRequest)
    def on_exit_request(self, request: ActorExitRequest, sender: ActorAddress) -> None:
        """Without a guardian nobody would notice what comes of the supervisor."""
        if not self._drains:
            self._give_up_ended(type(self).__name__)

    def _give_up_ended(self, actor: str) -> None:
        self.host.shard_given_up(
            f"the {actor} was ended from outside: close this telemetry and start another one"
        )

    @told(Drain)
    def on_drain(self, drain: Drain, sender: ActorAddress) -> None:
        """First the supervisor, then through it all others."""
        super().on_drain(drain, sender)
        self.send(self.supervisor, drain)
