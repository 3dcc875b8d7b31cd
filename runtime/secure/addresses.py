"""Where an actor, admin or logger listens: exactly there, on no other interface."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

from thespian.system.transport.IPBase import TCPv4ActorAddress

from .allowed import allow
from .frames import Endpoint
from .wire import current


class BoundAddress(TCPv4ActorAddress):
    """Takes the place of Thespian's `TCPv4ActorAddress`, which listens on all interfaces.

    Args:
        initialIPAddr: A name or an address; nothing is that of this process.
        initialIPPort: The port, or its digits; 0 is any that is free.
        external: Thespian's; every address here is one that others can use.
    """

    def __init__(
        self,
        initialIPAddr: str | None = None,
        initialIPPort: int | str = 0,
        external: object = False,
    ) -> None:
        super().__init__(initialIPAddr or current().bind, initialIPPort)

    @property
    def endpoint(self) -> Endpoint:
        """What frames for this address are sealed for."""
        return self.sockname

    def __getstate__(self) -> Endpoint:
        return self.sockname

    def __setstate__(self, state: Endpoint | Mapping[str, object]) -> None:
        if not isinstance(state, tuple):
            raise TypeError("not the state of an address")
        address, port = state
        if not isinstance(port, int) or not 0 <= port < 1 << 16:
            raise ValueError("no port")
        self.af, self.socktype, self.proto = (
            socket.AF_INET,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
        )
        self.sockname = self.bindname = (str(ipaddress.IPv4Address(address)), port)


allow(BoundAddress)
