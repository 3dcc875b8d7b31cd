"""Which IP addresses are public, and which host of a URL is an address, however it is spelled.

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890; inet_aton(3); RFC 6761
for localhost. A table of its own, as `ipaddress.is_global` says other things in other versions.
"""

from __future__ import annotations

import unicodedata
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import unquote

LOOPBACK: Final = "loopback"
METADATA: Final = "cloud metadata"
PRIVATE: Final = "private"
RESERVED: Final = "reserved"

_V4_BITS: Final = 32
_OCTET_BITS: Final = 8
_PARTS_MAX: Final = 4
_LOCALHOST: Final = "localhost"
_IDEOGRAPHIC_STOP: Final = "\u3002"  # a dot to IDNA

_Network = IPv4Network | IPv6Network


def _table(*rows: tuple[str, str]) -> tuple[tuple[_Network, str], ...]:
    return tuple((ip_network(network), kind) for network, kind in rows)


# The first row that holds an address names it.
_V4: Final = _table(
    ("169.254.169.254/32", METADATA),
    ("169.254.170.2/32", METADATA),  # AWS ECS
    ("100.100.100.200/32", METADATA),  # Alibaba
    ("168.63.129.16/32", METADATA),  # Azure: it looks public
    ("192.0.0.192/32", METADATA),  # Oracle
    ("0.0.0.0/32", "unspecified"),
    ("0.0.0.0/8", RESERVED),
    ("10.0.0.0/8", PRIVATE),
    ("172.16.0.0/12", PRIVATE),
    ("192.168.0.0/16", PRIVATE),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", LOOPBACK),
    ("169.254.0.0/16", "link-local"),
    ("192.0.0.0/24", RESERVED),
    ("192.0.2.0/24", "documentation"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("192.88.99.0/24", RESERVED),  # 6to4 relays
    ("198.18.0.0/15", "benchmark"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", RESERVED),
)
_V6: Final = _table(
    ("fd00:ec2::/32", METADATA),  # AWS: 254 metadata, 253 DNS, 123 time, 23 EKS
    ("fd20:ce::254/128", METADATA),  # Google
    ("::/128", "unspecified"),
    ("::1/128", LOOPBACK),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("::/96", "IPv4-compatible"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("fc00::/7", "unique-local"),
    ("ff00::/8", "multicast"),
    ("2001::/32", "Teredo"),
    ("2001:2::/48", "benchmark"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("2001::/23", RESERVED),
    ("2002::/16", "6to4"),
)
_V6_GLOBAL: Final = IPv6Network("2000::/3")  # all that was ever given out


def refused_class(address: str) -> str | None:
    """The class of an address that is not public, such as "loopback"; None for a public one.

    An address that carries an IPv4 one in it is never public: what is there depends on routers.

    Args:
        address: As `ipaddress` reads it. What it cannot read counts as reserved.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return RESERVED
    for network, kind in _V4 if isinstance(parsed, IPv4Address) else _V6:
        if parsed in network:
            return kind
    if isinstance(parsed, IPv6Address) and parsed not in _V6_GLOBAL:
        return RESERVED
    return None


def literal_address(host: str) -> str | None:
    """The address that `host` spells, which no look-up decides; None for a name.

    Takes what inet_aton takes (2130706433, 0x7f.1, 0177.1), trailing dots, brackets, a zone,
    percent escapes, full-width digits, and localhost with all its subdomains.
    """
    plain = unicodedata.normalize("NFKC", unquote(host)).replace(_IDEOGRAPHIC_STOP, ".")
    plain = plain.lower().strip("[]").rstrip(".")
    if plain.rpartition(".")[2] == _LOCALHOST:
        return "127.0.0.1"
    if ":" in plain:
        try:
            return str(IPv6Address(plain.partition("%")[0]))
        except AddressValueError:
            return plain  # no name has a colon; whatever it is, it is not public
    number = _inet_aton(plain)
    return None if number is None else str(IPv4Address(number))


def _inet_aton(text: str) -> int | None:
    """Up to four numbers, of which the last fills what is left of the 32 bits."""
    parts = [_number(part) for part in text.split(".")]
    if len(parts) > _PARTS_MAX:
        return None
    value, left = 0, _V4_BITS
    for number in parts[:-1]:
        if number is None or number >> _OCTET_BITS:
            return None
        left -= _OCTET_BITS
        value |= number << left
    last = parts[-1]
    return None if last is None or last >> left else value | last


def _number(text: str) -> int | None:
    """As C reads it: 0x for hexadecimal, 0 for octal."""
    if not text.isascii() or not text.isalnum():
        return None
    try:
        if text.startswith("0x"):
            return int(text[2:] or "0", 16)
        return int(text, 8 if text.startswith("0") else 10)
    except ValueError:
        return None
