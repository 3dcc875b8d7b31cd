"""The system base: what an ActorSystem needs to start the admin, or to find the one that runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Final

from thespian.actors import ActorSystem, InvalidActorAddress
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
        logger: Its process id; the admin ends with it.
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
        self._logger = 0
        self._pid = os.getpid()
        self._left = False
        system.capabilities["Thespian ActorSystem Name"] = NAME
        system.capabilities["Thespian ActorSystem Version"] = 1
        system.capabilities["Thespian Watch Supported"] = os.name != "nt"
        try:
            super().__init__(system, logDefs)
        except BaseException:
            self.leave()
            raise

    def processes(self) -> SystemProcesses:
        """The processes that this object started.

        Raises:
            LifecycleError: It started none.
        """
        if self._admin is None or self._admin.pid is None:
            raise LifecycleError("this process did not start the actor system, it only joined it")
        return SystemProcesses(self._admin.pid, self._logger)

    def shutdown(self) -> None:
        """End the system; of what it started, nothing is left afterwards.

        Does nothing a second time, and in a process that was forked from the one that started it.
        """
        if self._left or self._pid != os.getpid():
            return
        super().shutdown()
        if self._admin is not None:
            self._admin.join(EXIT_SECONDS)  # it may still try to reach nodes that are gone
        self.kill()

    def kill(self) -> None:
        """End the admin's process, and with it (on Linux) all others of the system."""
        if self._admin is not None and self._pid == os.getpid():
            self._admin.kill()
            self._admin.join()
        self.leave()

    def leave(self) -> None:
        """End the connections of this object, and nothing else."""
        self._left = True
        if hasattr(self, "transport"):
            self.transport.close()

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
        ours, theirs = self.mpcontext.Pipe(duplex=False)
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
            ours.close()
            raise LifecycleError(f"the admin of an actor system did not come up at {where}")
        with ours:  # the logger is told before the admin says that it is up
            (self._logger,) = PID.unpack(ours.recv_bytes(PID.size))


class JoiningBase(ActorSystemBase):
    """Connects to an admin that runs; starts none, and ends none."""

    may_start = False
    unanswered = 0

    def _verifyAdminRunning(self) -> bool:
        """Ask the admin whether it is one; Thespian's asks for 14 s, whatever the reason.

        Raises:
            InvalidActorAddress: It did not answer twice, in 2 s each.
        """
        if super()._verifyAdminRunning():
            return True
        self.unanswered += 1
        if self.unanswered == 2:
            raise InvalidActorAddress(self.adminAddr, "no answer")
        return False

    def shutdown(self) -> None:
        """Leave the system, which goes on for the others."""
        self.leave()
