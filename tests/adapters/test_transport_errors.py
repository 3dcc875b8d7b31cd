from __future__ import annotations

import errno
import os
import socket
from typing import Final

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from greenroom.adapters.transport_errors import transport_error

URL: Final = "http://user:pw@hooks.example:8080/hook"
POST: Final = 'Post "http://user:***@hooks.example:8080/hook": '
KEY: Final = ConnectionKey(
    host="hooks.example",
    port=8080,
    is_ssl=False,
    ssl=True,
    proxy=None,
    proxy_auth=None,
    proxy_headers_hash=None,
)


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            aiohttp.ClientConnectorError(KEY, os_error(errno.ECONNREFUSED)),
            "dial tcp hooks.example:8080: connect: connection refused",
        ),
        (
            aiohttp.ClientConnectorError(KEY, os_error(errno.EHOSTUNREACH)),
            "dial tcp hooks.example:8080: connect: no route to host",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name not known")),
            "dial tcp: lookup hooks.example: no such host",
        ),
        (
            aiohttp.ClientProxyConnectionError(KEY, os_error(errno.ECONNREFUSED)),
            "proxyconnect tcp: dial tcp hooks.example:8080: connect: connection refused",
        ),
        (aiohttp.ConnectionTimeoutError(), "dial tcp hooks.example:8080: i/o timeout"),
        (
            TimeoutError(),
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        ),
        (aiohttp.ServerDisconnectedError(), "EOF"),
        (
            aiohttp.ClientOSError(errno.ECONNRESET, "reset"),
            "read tcp hooks.example:8080: read: connection reset by peer",
        ),
        (
            aiohttp.ClientConnectionResetError("Cannot write to closing transport"),
            "write tcp hooks.example:8080: write: broken pipe",
        ),
        (aiohttp.ClientPayloadError("of user:pw"), "ClientPayloadError"),
    ],
    ids=lambda value: "" if isinstance(value, Exception) else value.replace(" ", "_"),
)
def test_what_may_pass_is_worded_as_in_go_and_retried(error: Exception, reason: str) -> None:
    translated = transport_error(URL, error)

    assert translated.reason == POST + reason
    assert translated.retryable
    assert translated.sent


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    translated = transport_error("http://[::1]/hook", aiohttp.ConnectionTimeoutError())

    assert translated.reason == 'Post "http://[::1]/hook": dial tcp [::1]:80: i/o timeout'
