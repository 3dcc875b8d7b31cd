"""The admin's process, as a child of the one that starts the actor system.

Thespian's `startAdmin` detaches the admin by a second fork, so that it outlives whoever started
it. Here a node lives and dies as one, so it stays a child: node -> admin -> logger and actors.
"""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, Final

from thespian.actors import ActorAddress
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.multiprocCommon import (
    MultiProcAdmin,
    _startLogger,
    closeFileNums,
)
from thespian.system.systemCommon import actorStartupFailed
from thespian.system.transport import ReceiveEnvelope, TransmitIntent

from .transport import SecureEndpoint, SecureTransport

PID: Final = struct.Struct(">q")


class GreenroomAdmin(MultiProcAdmin):
    """Thespian's admin, which tells whoever started it the logger's process id.

    It ends with its logger. Thespian's would start another, which the actors then do not know; in
    4.0.1 it fails to.
    """

    pids: Connection

    def h_LoggerConnected(self, envelope: ReceiveEnvelope) -> object:
        """The logger is there, so the system is up."""
        with suppress(OSError):  # nobody to tell: then this process is about to end as well
            self.pids.send_bytes(PID.pack(self.asLogProc.childProc.pid))
        return super().h_LoggerConnected(envelope)

    def childDied(self) -> object:
        """Some child has ended; if it is the logger, so does the system."""
        if not self.isShuttingDown() and not self.asLogProc.childProc.is_alive():
            os.write(2, b"greenroom: the logger's process has ended, and so does its system\n")
            os._exit(1)
        return super().childDied()


def run_admin(
    pids: Connection,
    inherited: Sequence[int],
    starter: ActorAddress,
    endpoint: SecureEndpoint,
    address: ActorAddress,
    capabilities: Mapping[str, object],
    log_config: Mapping[str, Any],
    context: object,
) -> None:
    """The whole life of an admin's process; after `multiprocCommon.startAdmin`.

    Args:
        pids: Where to tell the logger's process id.
        inherited: Descriptors of the starter's connections, of which a fork has copies.
        starter: Whom to tell that the system is up, or that it failed.
        endpoint: Of this process.
        address: Where to listen.
        capabilities: Of the system.
        log_config: For `logging.config.dictConfig` in the logger's process.
        context: The `multiprocessing` context that actors are started with.
    """
    closeFileNums(inherited)
    _forget_signals()
    with suppress(OSError, AttributeError):
        os.setsid()  # Ctrl-C in a terminal is for the node, which then shuts the system down
    transport = SecureTransport(endpoint)
    try:
        admin = GreenroomAdmin(transport, address, capabilities, log_config, context)
    except Exception:
        transport.scheduleTransmit(
            None,
            TransmitIntent(starter, EndpointConnected(0)).addCallback(
                onFailure=actorStartupFailed
            ),
        )
        raise
    admin.pids = pids
    admin.addrOfStarter = starter

    def child_died(number: int, frame: FrameType | None) -> None:
        admin.signalChildDied(number, frame)

    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, child_died)
    _startLogger(SecureTransport, transport, admin, capabilities, log_config, context)
    transport.enableRXPauseFlowControl(False)  # Thespian's: an admin that only sends can deadlock
    admin.run()


def _forget_signals() -> None:
    """Let go of the handlers of the process that forked: they would act for that one.

    What asks for an end is for that one too: some supervisors send it to all processes at once,
    and only the first can end the system in an orderly way. The logger inherits this.
    """
    signal.set_wakeup_fd(-1)
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):  # Windows has only some
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
