"""The connector behind an exchange: tells new connections, and bounds what precedes an answer.

It extends two private places of aiohttp's connector, `_create_connection` and `_factory`: tracing,
the public way to learn of a reused connection, costs a fifth of a whole request, and there is no
public way to count interim answers. The tests of
tests/adapters would notice a change.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from ssl import SSLContext
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace

KEEP_ALIVE_SECONDS: Final = 90.0  # Go's DefaultTransport.IdleConnTimeout
INTERIM_MAX: Final = 5  # 1xx answers before the final one; Go's

_INTERIM: Final = frozenset(range(100, 200)) - {
    101
}  # 101 is final: an offer that nobody asked for


class TooManyInterimError(aiohttp.ClientError):
    """A receiver sends one 1xx answer after the other."""


class Request:
    """What the connector notes of a request: put into `request` by whoever makes it."""

    __slots__ = ("is_new",)

    def __init__(self) -> None:
        self.is_new = False


request: Final[ContextVar[Request]] = ContextVar("request")


class Connector(aiohttp.TCPConnector):
    """Keeps idle connections, without a limit of its own.

    Args:
        resolver: Looks names up; whoever made it closes it.
        tls: Whom to trust; None: the system's authorities.
    """

    def __init__(self, resolver: AbstractResolver, tls: SSLContext | None = None) -> None:
        super().__init__(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            resolver=resolver,
            ssl=True if tls is None else tls,
        )
        handler: type[ResponseHandler] = _Handler
        self._factory = partial(handler, loop=self._loop)

    @property
    def connections(self) -> int:
        """How many are open, in use or idle, or being made."""
        return len(self._acquired) + sum(map(len, self._conns.values()))

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        """Only called when there is no idle one."""
        request.get().is_new = True
        return await super()._create_connection(req, traces, timeout)


class _Handler(ResponseHandler):
    """Gives up on a receiver that floods it with 1xx answers, which would keep the loop busy."""

    _interim = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take one answer."""
        if data[0].code not in _INTERIM:
            self._interim = 0
        elif self._interim == INTERIM_MAX:
            if self.transport is not None and self.exception() is None:
                self.set_exception(TooManyInterimError())
                self.transport.abort()
            return
        else:
            self._interim += 1
        super().feed_data(data, size)
