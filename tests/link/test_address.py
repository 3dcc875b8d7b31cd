from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import ConfigError, connect
from greenroom.link.address import Address, default_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/n.sock", Address("unix", path="/run/n.sock")),
        ("unix:/run/n.sock", Address("unix", path="/run/n.sock")),
        ("tcp://127.0.0.1:7800", Address("tcp", host="127.0.0.1", port=7800)),
        ("tcp://localhost:7800/", Address("tcp", host="localhost", port=7800)),
        ("tcp://[::1]:7800", Address("tcp", host="::1", port=7800)),
        ("tls://node.example:7800", Address("tls", host="node.example", port=7800)),
    ],
)
def test_an_address_is_a_socket_or_loopback_or_tls(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "://",
        "n.sock",
        "unix:n.sock",
        "http://127.0.0.1:1",
        "tcp://:1",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:70000",
        "tcp://127.0.0.1:x",
        "tcp://[::1:7800",
        "tls://a:1/path",
        "tls://me@a:1",
        "tls://a:1?x",
        "tls://a:1#x",
        "tcp://10.0.0.1:7800",
        "tcp://node.example:7800",
        "tcp://0.0.0.0:7800",
    ],
)
def test_any_other_address_is_refused_when_it_is_given(text: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        connect(text)


@pytest.mark.parametrize("text", ["/" + "x" * 100, "/a\0b", f"tls://{'x' * 64}:1"])
def test_what_no_socket_or_name_can_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        connect(text)


@given(st.text(max_size=30) | st.from_regex(r"(tcp|tls|unix)(:|://)[\w\[\]:@./?#]{0,20}"))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ConfigError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"GREENROOM_ADDRESS": "/a", "XDG_RUNTIME_DIR": "/run/user/7"}, "/a"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/greenroom"),
    ],
)
def test_the_environment_says_where_this_users_node_is(
    environ: dict[str, str], address: str
) -> None:
    assert default_address(environ) == address


def test_without_an_environment_the_node_is_in_a_directory_of_this_user() -> None:
    assert Path(default_address({})).name.startswith("greenroom-")


def test_only_a_node_on_this_machine_can_be_started() -> None:
    with pytest.raises(ConfigError, match="autostart"):
        connect("tls://node.example:7800", secret=b"s" * 32, autostart=True)
