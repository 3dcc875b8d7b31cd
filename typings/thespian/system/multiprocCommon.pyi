from collections.abc import Iterable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

from thespian.actors import ActorAddress, ActorSystem
from thespian.system.transport import ReceiveEnvelope
from thespian.system.transport.TCPTransport import TCPTransport

MAX_ADMIN_STARTUP_DELAY: timedelta

def detach_child(childref: BaseProcess) -> None: ...
def closeFileNums(list: Iterable[int]) -> None: ...
def _startLogger(
    transportClass: type[TCPTransport],
    transport: TCPTransport,
    admin: MultiProcAdmin,
    capabilities: object,
    logDefs: object,
    concurrency_context: object,
) -> None: ...

class MultiProcAdmin:
    asLogProc: Any
    addrOfStarter: ActorAddress
    def __init__(
        self,
        transport: TCPTransport,
        adminAddr: ActorAddress,
        capabilities: object,
        logDefs: object,
        concurrency_context: object,
    ) -> None: ...
    def h_LoggerConnected(self, envelope: ReceiveEnvelope) -> object: ...
    def childDied(self) -> object: ...
    def isShuttingDown(self) -> bool: ...
    def signalChildDied(self, _signum: int, _frame: object) -> None: ...
    def run(self) -> object: ...

class multiprocessCommon:
    @property
    def transportType(self) -> type[TCPTransport]: ...
    transport: Any
    mpcontext: Any
    adminAddr: ActorAddress
    def __init__(self, system: ActorSystem, logDefs: object = None) -> None: ...
    def shutdown(self) -> None: ...
    def _verifyAdminRunning(self) -> bool: ...
    def _startAdmin(
        self,
        adminAddr: ActorAddress,
        addrOfStarter: ActorAddress,
        capabilities: object,
        logDefs: object,
    ) -> None: ...
