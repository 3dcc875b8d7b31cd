from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from greenroom import ConfigError, ConnectedTelemetry, connect
from greenroom.link.address import Address
from greenroom.link.server import LinkSettings
from greenroom.testing.linked import SECRET, FakeNode, fake_node
from greenroom.testing.patience import wait_until
from greenroom.testing.samples import room

DATA: Final = Path(__file__).resolve().parents[1] / "data"
CERTIFICATE: Final = DATA / "self_signed.pem"
LOOPBACK: Final = Address("tcp", host="127.0.0.1")
OTHER: Final = b"o" * 32


def with_tls() -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    return tls


@pytest.fixture(autouse=True)
def no_secret_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREENROOM_SECRET", raising=False)
    monkeypatch.delenv("GREENROOM_SECRET_FILE", raising=False)


@pytest.fixture
def tcp(directory: Path) -> Iterator[FakeNode]:
    with fake_node(directory, addresses=(LOOPBACK,), secret=SECRET) as node:
        yield node


@pytest.fixture
def tls(directory: Path) -> Iterator[FakeNode]:
    address = Address("tls", host="127.0.0.1")
    with fake_node(directory, addresses=(address,), secret=SECRET, tls=with_tls()) as node:
        yield node


def reaches(telemetry: ConnectedTelemetry, node: FakeNode) -> bool:
    with telemetry:
        telemetry.room_started(room())
        return telemetry.sync() and len(node.shard.taken) == 1


def refusal(telemetry: ConnectedTelemetry, caplog: pytest.LogCaptureFixture) -> str:
    """What is logged, when a call cannot be delivered."""
    telemetry.room_started(room())
    wait_until(lambda: "no link to" in caplog.text)
    assert not telemetry.close(0.0)
    return caplog.text


def test_who_knows_the_secret_is_let_in_over_tcp(tcp: FakeNode) -> None:
    assert reaches(connect(tcp.address, secret=b"s" * 32), tcp)


def test_the_secret_may_come_from_a_file(
    tcp: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_bytes(b"s" * 32 + b"\n")
    monkeypatch.setenv("GREENROOM_SECRET_FILE", str(file))

    assert reaches(connect(tcp.address), tcp)


def test_without_a_secret_there_is_no_client_over_a_network(tcp: FakeNode) -> None:
    with pytest.raises(ConfigError, match="GREENROOM_SECRET_FILE"):
        connect(tcp.address)


def test_another_secret_is_refused_and_nothing_taken(
    tcp: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    said = refusal(connect(tcp.address, secret=OTHER), caplog)

    assert "the secret is not proven" in said
    assert not tcp.shard.taken


def test_who_knows_the_secret_and_trusts_the_certificate_is_let_in_over_tls(
    tls: FakeNode,
) -> None:
    assert reaches(connect(tls.address, secret=b"s" * 32, tls_ca=CERTIFICATE), tls)


def test_another_secret_is_refused_over_tls(
    tls: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    said = refusal(connect(tls.address, secret=OTHER, tls_ca=CERTIFICATE), caplog)

    assert "the secret is not proven" in said
    assert not tls.shard.taken


def test_a_certificate_that_is_not_trusted_gets_no_calls(
    tls: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    said = refusal(connect(tls.address, secret=b"s" * 32), caplog)

    assert "certificate verify failed" in said
    assert not tls.shard.taken


def test_a_certificate_of_another_host_gets_no_calls(
    tls: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    address = tls.address.replace("127.0.0.1", "localhost")

    said = refusal(connect(address, secret=b"s" * 32, tls_ca=CERTIFICATE), caplog)

    assert "ostname mismatch" in said


def test_a_server_that_speaks_no_tls_gets_no_calls(
    tcp: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    address = tcp.address.replace("tcp:", "tls:")

    refusal(connect(address, secret=b"s" * 32, tls_ca=CERTIFICATE), caplog)

    assert not tcp.shard.taken


def test_certificates_that_cannot_be_read_are_a_wrong_parameter(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tls_ca"):
        connect("tls://127.0.0.1:1", secret=OTHER, tls_ca=tmp_path / "none")


def test_a_directory_that_others_may_write_to_gets_no_calls(
    node: FakeNode, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.chmod(0o777)

    said = refusal(connect(node.address), caplog)

    assert "can be written by others" in said
    assert not node.shard.taken


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_gets_no_calls(
    node: FakeNode, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.chown(directory, 12_345, -1)

    said = refusal(connect(node.address), caplog)

    assert "belongs to another user" in said


def test_no_node_listens_in_a_directory_that_others_may_write_to(directory: Path) -> None:
    directory.chmod(0o777)

    with pytest.raises(ConfigError, match="can be written by others"), fake_node(directory):
        pass


def test_where_no_node_is_the_log_says_so_and_not_what_is_wrong_with_the_place(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.chmod(0o777)

    said = refusal(connect(f"{directory}/greenroom"), caplog)

    assert "no node at" in said
    assert "written by others" not in said


def test_the_socket_is_for_its_user_alone(node: FakeNode) -> None:
    assert node.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"addresses": (LOOPBACK,)}, "secret"),
        ({"addresses": (Address("tls", host="127.0.0.1"),), "secret": SECRET}, "tls"),
        ({"addresses": (), "window": 0}, "window"),
        ({"addresses": (), "window": 17}, "window"),
    ],
    ids=["no secret", "no certificate", "no window", "a window that outgrows the memory"],
)
def test_settings_that_would_let_anybody_in_are_refused(
    wrong: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        LinkSettings(**wrong)  # type: ignore[arg-type]
