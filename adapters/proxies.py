"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY from the environment, as Go's HTTP client takes them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple
from urllib.request import getproxies_environment, proxy_bypass

from aiohttp import encode_basic_auth
from yarl import URL


class Proxy(NamedTuple):
    """Where requests go instead, and the headers with its own credentials."""

    url: URL
    headers: tuple[tuple[str, str], ...]


class Proxies:
    """Reads the environment once, when it is made.

    aiohttp's own `trust_env` would also take credentials for the endpoints from ~/.netrc, and
    would ask a proxy for what is on this machine.
    """

    def __init__(self) -> None:
        environment = getproxies_environment()
        self._by_scheme = {
            scheme: _proxy(environment[scheme])
            for scheme in ("http", "https")
            if environment.get(scheme)
        }

    def proxy_for(self, url: URL) -> Proxy | None:
        """The proxy for a request, or None to go directly."""
        proxy = self._by_scheme.get(url.scheme)
        host = url.raw_host or ""
        if proxy is None or _is_loopback(host) or proxy_bypass(host):
            return None
        return proxy


def _proxy(text: str) -> Proxy:
    url = URL(text if "://" in text else f"http://{text}")
    if url.user is None:
        return Proxy(url, ())
    credentials = encode_basic_auth(url.user, url.password or "")
    return Proxy(url.with_user(None), (("Proxy-Authorization", credentials),))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
