from collections.abc import Mapping, Sequence

from thespian.actors import ActorAddress, ActorSystemMessage
from thespian.system.timing import ExpirationTimer

class Thespian_StatusReq(ActorSystemMessage): ...

class _Status(ActorSystemMessage):
    childActors: list[ActorAddress]
    pendingWakeups: list[tuple[ActorAddress, ExpirationTimer]]
    def addChild(self, childAddress: ActorAddress) -> None: ...
    def addWakeups(
        self, wakeups_list: Sequence[tuple[ActorAddress, ExpirationTimer]]
    ) -> None: ...

class Thespian_SystemStatus(_Status):
    adminAddress: ActorAddress
    capabilities: Mapping[str, object]
    globalActors: dict[str, ActorAddress]
    inShutdown: bool
    def __init__(
        self,
        address: ActorAddress,
        conventionLeader: ActorAddress | None = None,
        capabilities: Mapping[str, object] | None = None,
        inShutdown: bool = False,
    ) -> None: ...
    def addGlobalActor(self, name: str, address: ActorAddress) -> None: ...
    def setDeadLetterHandler(self, address: ActorAddress) -> None: ...

class Thespian_ActorStatus(_Status):
    actorAddress: ActorAddress
    actorClass: str
    adminAddress: ActorAddress
    parentAddress: ActorAddress | None
    sourceHash: str | None
    exiting: bool | None
    def __init__(
        self,
        address: ActorAddress,
        actorClass: str,
        adminAddress: ActorAddress,
        parentAddress: ActorAddress | None = None,
        sourceHash: str | None = None,
        exiting: bool | None = None,
    ) -> None: ...
