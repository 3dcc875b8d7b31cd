"""URLs of endpoints: what is wrong with one, in the words of Go's net/url, and its host.

Source: Go 1.26 net/url parse, net/http Transport.roundTrip.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from ..config import hide_password
from ..errors import TransportError

SCHEMES: Final = frozenset({"http", "https"})
PORT_MAX: Final = 65535

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ANY_CREDENTIALS: Final = re.compile(r"//([^:@/?#]*):.*@", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_USERINFO: Final = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_PORT: Final = re.compile(r":([0-9]*)")
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_NO_HOST_ESCAPE: Final = re.compile(r"%(?!25|[89A-Fa-f][0-9A-Fa-f]).{0,2}", re.DOTALL)
_NO_HOST_CHARACTER: Final = re.compile(r"[\x00-\x7f](?<![A-Za-z0-9._~!$&'()*+,;=:\[\]<>\"%-])")


def post_error(url: str, reason: str) -> str:
    """How Go's HTTP client words a failed POST; it masks the password with three stars."""
    return f"Post {quoted(hide_password(url, '***'))}: {reason}"


def quoted(text: str) -> str:
    r"""`text` as Go's %q shows it: in quotes, control characters as \x01."""
    shown = (_QUOTES.get(one) or (one if one.isprintable() else repr(one)[1:-1]) for one in text)
    return f'"{"".join(shown)}"'


_QUOTES: Final = {'"': '\\"', "\\": "\\\\"}


def host_of(url: str) -> str:
    """Host and port of `url` as they stand there; empty if they might be a part of a password."""
    place = re.split("[?#]", url, maxsplit=1)[0].partition("//")[2]
    authority, _, path = place.partition("/")
    if ":" in authority and "@" in path:
        return ""
    return authority.rpartition("@")[2]


def check_url(url: str) -> None:
    """Make sure that a POST to `url` can be tried at all.

    Raises:
        TransportError: It does not parse (`sent` is False), or it has no http scheme, host or
            valid port. Not retryable either way.
    """
    problem = _parse_problem(url)
    if problem is not None:
        shown = quoted(_ANY_CREDENTIALS.sub(r"//\1:xxxxx@", url))
        raise TransportError(f"parse {shown}: {problem}", retryable=False, sent=False)
    problem = _request_problem(url)
    if problem is not None:
        raise TransportError(post_error(url, problem), retryable=False)


def _parse_problem(url: str) -> str | None:
    """What url.Parse objects to, in its order."""
    if _CONTROL.search(url):
        return "net/url: invalid control character in URL"
    rest, _, fragment = url.partition("#")
    if rest.startswith(":"):
        return "missing protocol scheme"
    scheme = _SCHEME.match(rest)
    rest = rest[scheme.end() if scheme else 0 :].partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return _escape_problem(fragment)
        if ":" in rest.partition("/")[0]:
            return "first path segment in URL cannot contain colon"
    path = rest
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, _, path = rest[2:].partition("/")
        problem = _authority_problem(authority)
        if problem is not None:
            if "@" in path:  # a password with a slash: what looks like a port may be a part of it
                return "net/url: invalid userinfo"
            return problem
    return _escape_problem(path) or _escape_problem(fragment)


def _authority_problem(authority: str) -> str | None:
    userinfo, at, host = authority.rpartition("@")
    problem = _host_problem(host)
    if problem is None and at:
        if not _USERINFO.fullmatch(userinfo):
            return "net/url: invalid userinfo"
        return _escape_problem(userinfo)
    return problem


def _host_problem(host: str) -> str | None:
    address: str | None = None
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            return "missing ']' in host"
        port, address = host[end + 1 :], host[1:end]
    elif "[" in host:
        return "invalid IP-literal"
    else:
        colon = host.rfind(":")
        port = "" if colon < 0 else host[colon:]
    if port and not _PORT.fullmatch(port):
        return f"invalid port {quoted(port)} after host"
    if escape := _NO_HOST_ESCAPE.search(host):
        return f"invalid URL escape {quoted(escape[0])}"
    if character := _NO_HOST_CHARACTER.search(host):
        return f"invalid character {quoted(character[0])} in host name"
    if address is not None:
        try:
            IPv6Address(address.partition("%25")[0])
        except AddressValueError:
            return f"invalid host: ParseAddr({quoted(address)}): unable to parse IP"
    return None


def _escape_problem(text: str) -> str | None:
    escape = _NO_ESCAPE.search(text)
    return f"invalid URL escape {quoted(escape[0])}" if escape else None


def _request_problem(url: str) -> str | None:
    """What the HTTP client objects to in a URL that parses."""
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else ""
    if scheme not in SCHEMES:
        return f"unsupported protocol scheme {quoted(scheme)}"
    rest = re.split("[/?#]", url[len(scheme) + 3 :], maxsplit=1)[0]
    host, colon, port = rest.rpartition("@")[2].rpartition(":")
    if not url[len(scheme) + 1 :].startswith("//") or not (host or (port and not colon)):
        return "http: no Host in request URL"
    if colon and port.isdigit() and int(port) > PORT_MAX:
        return f"dial tcp: address {port}: invalid port"
    return None
