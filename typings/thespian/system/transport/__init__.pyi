from typing import Any

from thespian.actors import ActorAddress

class ExternalInterfaceTransportInit: ...

class TransmitIntent:
    targetAddr: ActorAddress
    message: object
    result: object
    stage: int
    amtSent: int
    ackbuf: Any
    serMsg: bytes
    # greenroom's own
    body: bytes
    nonce: bytes
    def __init__(self, targetAddr: ActorAddress, msg: object) -> None: ...
    def addCallback(self, onSuccess: object = None, onFailure: object = None) -> TransmitIntent: ...
    def backoffPause(self, startPausing: bool = False) -> object: ...

class ReceiveEnvelope:
    def __init__(self, sender: ActorAddress, msg: object) -> None: ...
    @property
    def sender(self) -> ActorAddress: ...
    @property
    def message(self) -> object: ...
