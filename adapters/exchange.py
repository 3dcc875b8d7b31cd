"""Exchange: one POST and its answer, over pooled connections.

Redirects are not followed, cookies are not kept, and an answer's body is read only so far that
the connection can be used again. Belongs to one asyncio loop.

What is not allowed to reach private addresses has connections of its own, each made to a vetted
address. Behind a proxy it is the proxy that looks names up: there only addresses are vetted that
the URL itself spells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from ssl import SSLContext
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from ..core.addresses import literal_address, refused_class
from ..core.attempt import Attempt
from ..core.url import check_url, post_error
from ..errors import TransportError
from .connector import Connector, Request, request
from .guarded_resolver import GuardedResolver
from .proxies import Proxies, Proxy
from .transport_errors import refusal, transport_error

LARGE_BODY: Final = 1024 * 1024  # bytes that aiohttp wants as a file, to send it in parts
DRAIN_BYTES: Final = 64 * 1024
DRAIN_SECONDS: Final = 0.25
ROUTES_MAX: Final = 1024  # URLs whose parsing is remembered


class Answer(NamedTuple):
    """What counts of an HTTP answer; `retry_after` is the header's text or empty."""

    status: int
    retry_after: str


class _Route(NamedTuple):
    """How a URL is asked; the same for each attempt."""

    url: URL
    session: aiohttp.ClientSession
    proxy: Proxy | None


class Exchange:
    """An async context manager; made and used on a running loop.

    Args:
        user_agent: The header's value.
        resolver: Looks names up; None: the system's.
        refused: The class of an address that is not public, None for one that is.
        tls: Whom to trust; None: the system's authorities.
    """

    def __init__(
        self,
        user_agent: str,
        resolver: AbstractResolver | None = None,
        refused: Callable[[str], str | None] = refused_class,
        tls: SSLContext | None = None,
    ) -> None:
        self._proxies = Proxies()
        self._refused = refused
        self._resolver = aiohttp.ThreadedResolver() if resolver is None else resolver
        self._open = Connector(self._resolver, tls)
        self._guarded = Connector(GuardedResolver(self._resolver, refused), tls)
        self._open_session = _new_session(user_agent, self._open)
        self._guarded_session = _new_session(user_agent, self._guarded)
        self._route = lru_cache(ROUTES_MAX)(self._new_route)
        self._timeout = lru_cache(ROUTES_MAX)(_new_timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._guarded_session.close()
        await self._open_session.close()
        await self._resolver.close()

    @property
    def connections(self) -> int:
        """How many are open, idle ones included."""
        return self._open.connections + self._guarded.connections

    async def answer(self, attempt: Attempt) -> Answer:
        """Make the attempt.

        Raises:
            TransportError: There was no answer, or the target is not allowed.
        """
        route = self._route(attempt.url, attempt.allow_private)
        try:
            async with asyncio.timeout(attempt.total_timeout_seconds):
                response = await self._post(route, attempt)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise transport_error(attempt.url, error) from error
        if response.connection is not None:  # else it was read whole, and is in the pool again
            await _drain(response)
        return Answer(response.status, response.headers.get("Retry-After", ""))

    async def _post(self, route: _Route, attempt: Attempt) -> aiohttp.ClientResponse:
        """POST, and once more if it was lost on an idle connection that the server had closed.

        Go's transport does the same; receivers tell a repetition by the event's id.
        """
        noted = Request()
        request.set(noted)
        try:
            return await self._post_once(route, attempt)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if noted.is_new:
                raise
        return await self._post_once(route, attempt)

    async def _post_once(self, route: _Route, attempt: Attempt) -> aiohttp.ClientResponse:
        url, session, proxy = route
        body = attempt.body if len(attempt.body) < LARGE_BODY else BytesIO(attempt.body)
        headers, connect_headers = attempt.headers, None
        if proxy and url.scheme == "http":
            headers += proxy.headers
        elif proxy:
            connect_headers = proxy.headers  # inside the tunnel the receiver would see them
        return await session.post(
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=self._timeout(attempt.connect_timeout_seconds),
            proxy=proxy.url if proxy else None,
            proxy_headers=connect_headers,
        )

    def _new_route(self, url: str, allow_private: bool) -> _Route:  # noqa: FBT001  # a cache's key
        """Check, parse and vet.

        Raises:
            TransportError: The URL cannot be asked, or spells an address that is refused.
        """
        parsed = _request_url(url)
        if not allow_private:
            address = literal_address(parsed.raw_host or "")
            kind = None if address is None else self._refused(address)
            if kind is not None:
                raise refusal(url, kind)
        proxy = self._proxies.proxy_for(parsed)
        # a proxy may well have a private address, and the one pool holds nothing else for it
        session = self._open_session if allow_private or proxy else self._guarded_session
        return _Route(parsed, session, proxy)


def spelled_address(url: str) -> str | None:
    """The address that the host of `url` spells, which no look-up decides; None for a name.

    Raises:
        TransportError: It cannot be asked.
    """
    return literal_address(_request_url(url).raw_host or "")


def _request_url(url: str) -> URL:
    """The URL to ask for: without credentials, as Authorization is the token's."""
    check_url(url)
    try:
        return URL(url).with_user(None).with_fragment(None)
    except ValueError as error:
        reason = post_error(url, "invalid URL")
        raise TransportError(reason, retryable=False, sent=False) from error


def _new_timeout(connect_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect_seconds)


def _new_session(user_agent: str, connector: Connector) -> aiohttp.ClientSession:
    """Nothing is remembered about anyone."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
        skip_auto_headers=("Accept",),
        auto_decompress=False,
    )


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short rest of the answer, so that the connection can be used again; else close it."""
    left = DRAIN_BYTES
    with suppress(aiohttp.ClientError, OSError):  # the answer counts; only the connection is lost
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0 and (chunk := await response.content.readany()):
                left -= len(chunk)
    response.close()  # the connection too, unless the answer's end gave it back
