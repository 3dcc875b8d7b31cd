"""The event loop of the HTTP thread: uvloop's if installed, for a tenth more attempts a second."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any


def new_event_loop() -> asyncio.AbstractEventLoop:
    """One of `greenroom[fast]`, or else of the standard library."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()

    class Loop(uvloop.Loop):
        """Looks names up on the executor's threads: libuv has 4, and a hanging name keeps one."""

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            look_up = partial(socket.getaddrinfo, host, port, **options)
            return await self.run_in_executor(None, look_up)

    return Loop()
