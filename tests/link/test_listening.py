from __future__ import annotations

import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from greenroom import ConfigError
from greenroom.link.address import Address, is_answered
from greenroom.link.server import LinkServer, LinkSettings
from greenroom.link.starting import Starter
from greenroom.testing.linked import SECRET, FakeNode, fake_node


def test_where_a_node_listens_no_other_does(node: FakeNode, directory: Path) -> None:
    with pytest.raises(ConfigError, match="another node listens there"), fake_node(directory):
        pass

    assert is_answered(str(node.path))


def test_a_socket_that_a_dead_node_left_is_replaced(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(directory / "n.sock"))

    with fake_node(directory) as node:
        assert is_answered(str(node.path))


def test_a_closed_node_takes_its_socket_away(directory: Path) -> None:
    with fake_node(directory) as node:
        pass

    assert not node.path.exists()
    assert not list(directory.iterdir())


def test_a_closed_node_leaves_the_socket_of_its_successor(directory: Path) -> None:
    with fake_node(directory) as old:
        assert old.server.drain(30.0)
        with fake_node(directory) as successor:
            old.close()
            assert is_answered(str(successor.path))


def test_an_address_of_another_machine_is_refused_by_name(node: FakeNode) -> None:
    address = Address("tls", host="192.0.2.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    settings = LinkSettings(addresses=(address,), secret=SECRET, tls=tls)

    with pytest.raises(ConfigError, match=r"listen: tls://192\.0\.2\.1:0"):
        LinkServer(settings, node.intake, lambda _: b"")


def test_several_processes_may_share_a_port(directory: Path) -> None:
    here = Address("tcp", host="127.0.0.1")
    with (
        fake_node(directory, addresses=(here,), secret=SECRET) as first,
        fake_node(directory, addresses=first.server.addresses, secret=SECRET) as second,
    ):
        assert second.server.addresses == first.server.addresses


def test_a_server_that_was_never_started_can_be_closed(node: FakeNode, directory: Path) -> None:
    other = Address("unix", path=str(directory / "other.sock"))
    before = threading.active_count()
    server = LinkServer(LinkSettings(addresses=(other,)), node.intake, lambda _: b"")

    server.close()

    assert threading.active_count() == before
    assert not Path(other.path).exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_no_node_is_started_in_a_directory_of_another_user(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.chown(directory, 12_345, -1)

    Starter(Address("unix", path=str(directory)))()

    assert "no node could be started" in caplog.text


def test_no_node_is_started_where_one_answers(node: FakeNode, directory: Path) -> None:
    Starter(Address("unix", path=str(directory)))()

    assert not (directory / "node.log").exists()
