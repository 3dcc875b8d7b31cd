"""The system base: what an ActorSystem needs to start the admin, or to find the one that runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Final

from thespian.actors import ActorSystem
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.multiprocCommon import (
    MAX_ADMIN_STARTUP_DELAY,
    detach_child,
    multiprocessCommon,
)
from thespian.system.transport import ReceiveEnvelope

from ...errors import ConfigError, LifecycleError
from .admin import PID, run_admin
from .transport import SecureTransport

NAME: Final = "greenroomSecureTCPBase"
EXIT_SECONDS: Final = 5.0  # for an admin that has said it is shut down
UNSUPPORTED: Final = ("Admin Routing", "Outbound Only")  # would let others pass messages on


@dataclass(frozen=True, slots=True)
class SystemProcesses:
    """The processes of an actor system that a watcher has to know.

    Attributes:
        admin: Its process id; all others end with it.
        logger: Its process id; the admin starts another when it ends.
    """

    admin: int
    logger: int


class ActorSystemBase(multiprocessCommon):
    """As Thespian's `multiprocTCPBase`, authenticated; needs a configured wire.

    Args:
        system: Whose base it is, or what has its capabilities.
        logDefs: For `logging.config.dictConfig` in the logger's process.

    Raises:
        ConfigError: A capability asks for what this base does not do.
    """

    transportType = SecureTransport
    may_start = True  # False: connects to an admin only

    def __init__(self, system: ActorSystem, logDefs: Any = None) -> None:
        for name in UNSUPPORTED:
            if system.capabilities.get(name):
                raise ConfigError(f"capability {name!r}: nodes reach each other directly only")
        self._admin: BaseProcess | None = None
        self._pids: Any = None
        self._logger = 0
        system.capabilities["Thespian ActorSystem Name"] = NAME
        system.capabilities["Thespian ActorSystem Version"] = 1
        system.capabilities["Thespian Watch Supported"] = os.name != "nt"
        super().__init__(system, logDefs)

    def processes(self) -> SystemProcesses:
        """The processes that this object started.

        Raises:
            LifecycleError: It started none.
        """
        if self._admin is None or self._admin.pid is None:
            raise LifecycleError("this process did not start the actor system, it only joined it")
        while self._pids.poll():
            (self._logger,) = PID.unpack(self._pids.recv_bytes(PID.size))
        return SystemProcesses(self._admin.pid, self._logger)

    def shutdown(self) -> None:
        """End the system; of what it started, nothing is left afterwards."""
        super().shutdown()
        if self._admin is not None:
            self._admin.join(EXIT_SECONDS)  # it may still try to reach nodes that are gone
            self.kill()

    def kill(self) -> None:
        """End the admin's process, and with it (on Linux) all others of the system."""
        if self._admin is not None:
            self._admin.kill()
            self._admin.join()
            self._pids.close()

    def _startAdmin(
        self, adminAddr: Any, addrOfStarter: Any, capabilities: Any, logDefs: Any
    ) -> None:
        """After `multiprocessCommon._startAdmin`, without a second fork.

        Raises:
            LifecycleError: It may not be started from here, or did not say that it is up.
        """
        where = "{}:{}".format(*adminAddr.addressDetails.endpoint)
        if not self.may_start:
            raise LifecycleError(f"no actor system runs at {where}: start the node first")
        self._pids, theirs = self.mpcontext.Pipe(duplex=False)
        forked = self.mpcontext.get_start_method() == "fork"
        self._admin = self.mpcontext.Process(
            target=run_admin,
            args=(
                theirs,
                self.transport.childResetFileNumList() if forked else [],
                addrOfStarter,
                self.transport.prepEndpoint(adminAddr, capabilities),
                adminAddr,
                capabilities,
                logDefs,
                self.mpcontext,
            ),
            name="greenroom-admin",
        )
        self._admin.start()
        detach_child(self._admin)  # or the interpreter would wait for it at its end
        theirs.close()
        response = self.transport.run(None, MAX_ADMIN_STARTUP_DELAY)
        if not isinstance(response, ReceiveEnvelope) or not isinstance(
            response.message, EndpointConnected
        ):
            self.kill()
            raise LifecycleError(f"the admin of an actor system did not come up at {where}")


class JoiningBase(ActorSystemBase):
    """Connects to an admin that runs, and never starts one."""

    may_start = False
