from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.addresses import literal_address, refused_class


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "cloud metadata"),
        ("168.63.129.16", "cloud metadata"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "reserved"),
        ("192.0.0.1", "reserved"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("198.19.0.1", "benchmark"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "site-local"),
        ("fc00::1", "unique-local"),
        ("fd12:3456::1", "unique-local"),
        ("fd00:ec2::254", "cloud metadata"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("2001:2::1", "benchmark"),
        ("100::1", "reserved"),
        ("4000::1", "reserved"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::127.0.0.1", "IPv4-compatible"),
        ("2002:7f00:1::", "6to4"),
        ("2001:0:1:2:3:4:5:6", "Teredo"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::7f00:1", "NAT64"),
        ("not an address", "reserved"),
    ],
)
def test_an_address_that_is_not_public_has_a_class(address: str, kind: str) -> None:
    assert refused_class(address) == kind


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "128.0.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001:80b::200e",
        "2001:4860:4860::8888",
    ],
)
def test_a_public_address_has_none(address: str) -> None:
    assert refused_class(address) is None


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_calls_private(
    address: IPv4Address | IPv6Address,
) -> None:
    anywhere = address.is_private or address.is_multicast or address.is_reserved
    assert not anywhere or refused_class(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_no_address_becomes_public_inside_one_of_ipv6(address: IPv4Address) -> None:
    number = int(address)
    wrapped = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x64FF9B0001 << 80) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
        IPv6Address(number),
    ]

    assert all(refused_class(str(one)) is not None for one in wrapped)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.0.0.1...",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F.1",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "１２７.０.０.１",  # noqa: RUF001  # full-width on purpose
        "127\u30020\u30020\u30021",
        "%31%32%37.0.0.1",
        "%ef%bc%91%ef%bc%92%ef%bc%97.0.0.1",
        "①②⑦.⓪.⓪.①",
        "localhost",
        "LocalHost.",
        "a.b.localhost",
    ],
)
def test_an_odd_spelling_of_this_machine_is_read(host: str) -> None:
    assert literal_address(host) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0", "0.0.0.0"),
        ("10.65535", "10.0.255.255"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("[::1]", "::1"),
        ("fe80::1%25eth0", "fe80::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_an_address_is_read_as_c_reads_it(host: str, address: str) -> None:
    read = literal_address(host)
    assert read is not None
    assert int(IPv6Address(read) if ":" in read else IPv4Address(read)) == int(
        IPv6Address(address) if ":" in address else IPv4Address(address)
    )


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "hooks.example",
        "localhost.example",
        "mylocalhost",
        "127.0.0.1.nip.io",
        "0xfg.1",
        "08.1",
        "256.1.1.1",
        "1.2.3.4.5",
        "4294967296",
        "1..2",
        "-1",
    ],
)
def test_anything_else_is_a_name(host: str) -> None:
    assert literal_address(host) is None


def test_what_has_a_colon_and_is_no_address_is_not_public() -> None:
    read = literal_address("1:2")
    assert read is not None
    assert refused_class(read) == "reserved"


@given(st.ip_addresses(v=4), st.integers(1, 4), st.sampled_from(["{}", "{:#x}", "0{:o}"]))
def test_every_spelling_of_an_address_is_that_address(
    address: IPv4Address, parts: int, form: str
) -> None:
    number = int(address)
    octets = [number >> shift & 0xFF for shift in (24, 16, 8)][: parts - 1]
    rest = number & ((1 << (32 - 8 * len(octets))) - 1)
    host = ".".join(form.format(part) for part in [*octets, rest])

    assert literal_address(host) == str(address)
