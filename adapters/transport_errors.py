"""From what aiohttp raises to `TransportError`, once, in the words of Go's HTTP client.

The texts end up in `WebhookInfo.send_error`, where LiveKit's users know them. They never hold the
URL's password or anything that the receiver said.
"""

from __future__ import annotations

import os
from errno import EPIPE
from typing import Final

import aiohttp
from yarl import URL

from ..core.url import post_error
from ..errors import TransportError
from .connector import INTERIM_MAX, TooManyInterimError
from .guarded_resolver import RefusedAddressError

_PERMANENT: Final = (aiohttp.ClientConnectorCertificateError, ValueError)


def transport_error(url: str, error: Exception) -> TransportError:
    """Why a POST to `url` got no answer.

    Args:
        url: As it was configured.
        error: What aiohttp raised, or asyncio's TimeoutError for the attempt's time limit.
    """
    reason = post_error(url, _reason(error, _address(url)))
    return TransportError(reason, retryable=not isinstance(error, _PERMANENT))


def refusal(url: str, kind: str) -> TransportError:
    """Why there was no POST to `url`, which spells an address of this class."""
    reason = f"dial tcp {_address(url)}: {_refused(kind)}"
    return TransportError(post_error(url, reason), retryable=False)


def _reason(error: Exception, address: str) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"tls: failed to verify certificate: x509: {_certificate_fault(error)}"
        case aiohttp.ClientConnectorSSLError():
            return f"tls: {_tls_fault(error.os_error)}"
        case aiohttp.ClientConnectorDNSError(os_error=RefusedAddressError() as refused):
            return f"dial tcp: lookup {error.host}: {_refused(refused.kind)}"
        case aiohttp.ClientConnectorDNSError():
            return f"dial tcp: lookup {error.host}: no such host"
        case aiohttp.ClientProxyConnectionError():
            return f"proxyconnect tcp: dial tcp {error.host}:{error.port}: {_dial_fault(error)}"
        case aiohttp.ClientConnectorError():
            return f"dial tcp {address}: {_dial_fault(error)}"
        case aiohttp.ConnectionTimeoutError():
            return f"dial tcp {address}: i/o timeout"
        case TimeoutError():
            return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        case aiohttp.ServerDisconnectedError():
            return "EOF"
        case aiohttp.ClientConnectionResetError():  # noticed when writing, so no errno
            return f"write tcp {address}: write: {os.strerror(EPIPE).lower()}"
        case aiohttp.ClientOSError():
            return f"read tcp {address}: read: {_os_fault(error)}"
        case aiohttp.ClientHttpProxyError():
            return f"proxy answered CONNECT with {error.status}"
        case aiohttp.ClientResponseError():
            return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
        case aiohttp.InvalidURL():
            return "invalid URL"
        case TooManyInterimError():
            return f"net/http: more than {INTERIM_MAX} 1xx informational responses"
        case _:
            return type(error).__name__


def _address(url: str) -> str:
    """`host:port` as Go dials it, IPv6 in brackets."""
    parsed = URL(url)
    host = parsed.raw_host or ""
    return f"[{host}]:{parsed.port}" if ":" in host else f"{host}:{parsed.port}"


def _refused(kind: str) -> str:
    """Without the address: what a name stands for inside is nobody's business outside."""
    return f"{kind} address refused; allow_private permits it"


def _dial_fault(error: aiohttp.ClientConnectorError) -> str:
    return f"connect: {_os_fault(error.os_error)}"


def _os_fault(error: OSError) -> str:
    return type(error).__name__ if error.errno is None else os.strerror(error.errno).lower()


def _certificate_fault(error: aiohttp.ClientConnectorCertificateError) -> str:
    reason = getattr(error.certificate_error, "verify_message", "")
    return str(reason or "certificate is not valid")


def _tls_fault(error: OSError) -> str:
    """OpenSSL's name of it, such as WRONG_VERSION_NUMBER, in small letters."""
    reason = getattr(error, "reason", None) or type(error).__name__
    return str(reason).lower().replace("_", " ")
