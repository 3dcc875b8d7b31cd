"""Guardian: stands above the supervisor, and restarts it.

It configures the supervisor of its shard and is its parent. A supervisor that fails more often
than its spec bears cannot be helped: then the shard is given up, and its host is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.ports import Ports
from ..core.restarts import SUPERVISOR_CHILD, ChildSpec
from ..messages.control import RestartDue
from ._base import ActorAddress
from .supervising import SupervisingActor
from .supervisor import ConfigureSupervisor


@dataclass(frozen=True, slots=True)
class ConfigureGuardian:
    """The guardian's first message: where the supervisor is, and what it is to be told."""

    supervisor: ActorAddress
    configure: ConfigureSupervisor


class Guardian(SupervisingActor):
    """The parent of one supervisor."""

    ports: Ports

    @classmethod
    def configured_by(cls) -> type:
        """The guardian passes on the supervisor's first message."""
        return ConfigureGuardian

    def on_configure(self, configure: ConfigureGuardian) -> None:
        """Become the supervisor's parent by telling it its first message."""
        ports = configure.configure.ports
        self.door, self.metrics, self.reporter = ports.door, ports.metrics, ports.reporter
        self.dead_letters, self.host = ports.dead_letters, ports.host
        self._budgets = {}
        self.supervisor = configure.supervisor
        self.send(self.supervisor, configure.configure)

    def find_child(self, actor: str, incarnation: int) -> tuple[ActorAddress, ChildSpec] | None:
        """There is only one."""
        return self.supervisor, SUPERVISOR_CHILD

    def give_up(self, due: RestartDue, address: ActorAddress) -> None:
        """There is nobody above but the host."""
        self.host.shard_given_up(f"the {due.actor} failed more often than its child spec bears")
