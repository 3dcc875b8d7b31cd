"""GuardedResolver: hands the connector public addresses only.

The connection goes to the very address that was vetted, as nobody looks the name up again. So a
name that is bound to another address in between (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult

from ..core.addresses import refused_class


class RefusedAddressError(OSError):
    """All addresses of a name are refused.

    Args:
        kind: The class of the first one, such as "loopback".
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind} address")
        self.kind = kind


class GuardedResolver(AbstractResolver):
    """Asks another resolver, and leaves out what is refused.

    Args:
        resolver: Who knows the addresses; whoever made it closes it.
        refused: The class of an address that is refused, None for one that is not.
    """

    def __init__(
        self,
        resolver: AbstractResolver,
        refused: Callable[[str], str | None] = refused_class,
    ) -> None:
        self._resolver = resolver
        self._refused = refused

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host` that are not refused, in the order given.

        Raises:
            OSError: There are none: `RefusedAddressError`, or what the other resolver raises.
        """
        found = await self._resolver.resolve(host, port, family)
        kinds = [self._refused(one["host"]) for one in found]
        allowed = [one for one, kind in zip(found, kinds, strict=True) if kind is None]
        if not allowed:
            raise RefusedAddressError(next(filter(None, kinds), "missing"))
        return allowed

    async def close(self) -> None:
        """Nothing of its own to close."""
