"""Exchange: one POST and its answer, over pooled connections.

Redirects are not followed, cookies are not kept, and an answer's body is read only so far that
the connection can be used again. Belongs to one asyncio loop.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace, TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
from yarl import URL

from ..core.attempt import Attempt
from ..core.url import check_url, post_error
from ..errors import TransportError
from .proxies import Proxies
from .transport_errors import transport_error

KEEP_ALIVE_SECONDS: Final = 90.0  # Go's DefaultTransport.IdleConnTimeout
DRAIN_BYTES: Final = 64 * 1024
DRAIN_SECONDS: Final = 0.25


class Answer(NamedTuple):
    """What counts of an HTTP answer; `retry_after` is the header's text or empty."""

    status: int
    retry_after: str


class Exchange:
    """An async context manager; made and used on a running loop.

    Args:
        user_agent: The header's value.
    """

    def __init__(self, user_agent: str) -> None:
        self._proxies = Proxies()
        self._session = _new_session(user_agent)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._session.close()

    async def answer(self, attempt: Attempt) -> Answer:
        """Make the attempt.

        Raises:
            TransportError: There was no answer.
        """
        url = _request_url(attempt.url)
        try:
            async with asyncio.timeout(attempt.total_timeout_seconds):
                response = await self._post(url, attempt)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise transport_error(attempt.url, error) from error
        await _drain(response)
        return Answer(response.status, response.headers.get("Retry-After", ""))

    async def _post(self, url: URL, attempt: Attempt) -> aiohttp.ClientResponse:
        """POST, and once more if it was lost on an idle connection that the server had closed.

        Go's transport does the same; receivers tell a repetition by the event's id.
        """
        connection = _Connection()
        try:
            return await self._post_once(url, attempt, connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not connection.was_used_before:
                raise
        return await self._post_once(url, attempt, connection)

    async def _post_once(
        self, url: URL, attempt: Attempt, connection: _Connection
    ) -> aiohttp.ClientResponse:
        proxy = self._proxies.proxy_for(url)
        headers, connect_headers = attempt.headers, None
        if proxy and url.scheme == "http":
            headers += proxy.headers
        elif proxy:
            connect_headers = proxy.headers  # inside the tunnel the receiver would see them
        return await self._session.post(
            url,
            data=attempt.body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=attempt.connect_timeout_seconds),
            proxy=proxy.url if proxy else None,
            proxy_headers=connect_headers,
            trace_request_ctx=connection,
        )


class _Connection:
    """Filled in by the session's tracing."""

    __slots__ = ("was_used_before",)

    def __init__(self) -> None:
        self.was_used_before = False


def _request_url(url: str) -> URL:
    """The URL to ask for: without credentials, as Authorization is the token's."""
    check_url(url)
    try:
        return URL(url).with_user(None).with_fragment(None)
    except ValueError as error:
        reason = post_error(url, "invalid URL")
        raise TransportError(reason, retryable=False, sent=False) from error


def _new_session(user_agent: str) -> aiohttp.ClientSession:
    """Idle connections are kept; nothing is remembered about anyone."""
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
        skip_auto_headers=("Accept",),
        auto_decompress=False,
        trace_configs=[tracing],
    )


async def _note_reuse(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.was_used_before = True


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short rest of the answer, so that the connection can be used again."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0 and (chunk := await response.content.readany()):
                left -= len(chunk)
    except (aiohttp.ClientError, OSError):  # the answer counts; only the connection is lost
        left = 0
    if left > 0:
        response.release()
    else:
        response.close()
