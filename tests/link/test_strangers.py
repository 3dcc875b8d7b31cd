"""Whoever has not joined: nothing that they send is executed, kept, or of harm to others."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgpack
import pytest

from greenroom import ConnectedTelemetry, connect
from greenroom.link.address import Address
from greenroom.link.server import JOINING_MAX
from greenroom.runtime.secure.secret import Secret
from greenroom.testing.linked import FakeNode, fake_node
from greenroom.testing.patience import wait_until
from greenroom.testing.raw_link import PREAMBLE, ClosedError, RawClient, digest
from greenroom.testing.samples import room

SECRET: Final = b"s" * 32
SEED: Final = 20_240_229
FUZZED: Final = 10_000
IDLE: Final = 1_500


class Door:
    """A way in, and somebody who came by it and must be served on."""

    def __init__(
        self, node: FakeNode, where: str | tuple[str, int], joined: ConnectedTelemetry
    ) -> None:
        self.node = node
        self.where = where
        self.joined = joined

    def client(self) -> RawClient:
        return RawClient(self.where)

    def serves_on(self) -> bool:
        """Whether the joined client is served, and over the same connection as before."""
        before = len(self.node.shard.taken)
        self.joined.room_started(room())
        return (
            self.joined.sync()
            and len(self.node.shard.taken) == before + 1
            and self.joined.statistics().connects == 1
        )


@pytest.fixture(params=["unix", "tcp"])
def door(request: pytest.FixtureRequest, directory: Path) -> Iterator[Door]:
    is_unix = request.param == "unix"
    settings = {} if is_unix else {"addresses": (Address("tcp", host="127.0.0.1"),)}
    with fake_node(directory, secret=Secret(SECRET), **settings) as node:
        (address,) = node.server.addresses
        where = str(node.path) if is_unix else (address.host, address.port)
        with connect(node.address, secret=SECRET) as joined:
            door = Door(node, where, joined)
            assert door.serves_on()
            yield door


class Bomb:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_refused_by_their_first_bytes(
    door: Door, tmp_path: Path, protocol: int
) -> None:
    mark = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(mark), protocol)

    for data in (bomb, struct.pack(">I", len(bomb)) + bomb, PREAMBLE + bomb):
        with door.client() as client:
            client.sock.sendall(data)
            client.sock.shutdown(socket.SHUT_WR)
            assert hung_up(client)

    assert door.serves_on()
    assert not mark.exists()


def hung_up(client: RawClient) -> bool:
    """Read, whatever it is, until the server hangs up."""
    with contextlib.suppress(ConnectionResetError):
        while client.sock.recv(65_536):
            pass
    return True


@pytest.mark.parametrize(
    "frame",
    [
        ("batch", 1, 1, msgpack.packb(["", b""])),
        ("ask", 1, "status"),
        ("ping",),
        ("welcome", b"", 4, 65_536),
        ("join", b"too short", b"n" * 32, b"", ""),
        ("join", b"c" * 16, b"too short", b"", ""),
    ],
    ids=["batch", "ask", "ping", "welcome", "client id", "nonce"],
)
def test_nothing_but_a_join_is_understood(door: Door, frame: tuple[object, ...]) -> None:
    with door.client() as client:
        client.hello()
        client.send(*frame)

        assert client.receive()[:2] == ["refused", "protocol"]
        assert client.is_hung_up()

    assert door.serves_on()


def test_a_gigabyte_is_refused_when_it_is_announced(door: Door) -> None:
    with door.client() as client:
        client.hello()
        client.sock.sendall(struct.pack(">I", 2**30))

        assert client.receive()[:2] == ["refused", "protocol"]
        assert client.is_hung_up()

    assert door.serves_on()


def test_frames_that_never_end_keep_nobody_else_waiting(door: Door) -> None:
    whole = msgpack.packb(["join", b"c" * 16, b"n" * 32, b"", ""])
    with contextlib.ExitStack() as stack:
        for length in range(len(whole)):
            client = stack.enter_context(door.client())
            client.hello()
            client.sock.sendall(struct.pack(">I", len(whole)) + whole[:length])

        assert door.serves_on()
    assert door.serves_on()


def test_fuzzed_frames_change_nothing(door: Door) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    whole = msgpack.packb(["join", b"c" * 16, b"n" * 32, b"d" * 32, "about"])
    start = PREAMBLE + struct.pack(">I", len(whole)) + whole
    taken = len(door.node.shard.taken)
    for number in range(FUZZED):
        data = bytearray(rng.randbytes(rng.randrange(1, 80)) if number % 4 == 0 else start)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with door.client() as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sock.sendall(data)

    assert len(door.node.shard.taken) == taken
    assert door.serves_on()
    wait_until(lambda: not door.node.server.joining)


def test_idle_connections_make_room_for_each_other_and_are_no_ones_harm(door: Door) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(door.client()) for _ in range(IDLE)]

            assert all(hung_up(client) for client in clients[: IDLE - JOINING_MAX])
            assert len(door.node.server.joining) <= JOINING_MAX
            assert door.serves_on()
            with door.client() as one_more:
                assert one_more.join(SECRET)[0] == "welcome"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ── the secret ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tcp(directory: Path) -> Iterator[Door]:
    here = Address("tcp", host="127.0.0.1")
    with fake_node(directory, addresses=(here,), secret=Secret(SECRET)) as node:
        (address,) = node.server.addresses
        with connect(node.address, secret=SECRET) as joined:
            yield Door(node, (address.host, address.port), joined)


@pytest.mark.parametrize("secret", [None, b"x" * 32, SECRET + b"x"])
def test_a_wrong_digest_is_refused(tcp: Door, secret: bytes | None) -> None:
    with tcp.client() as client:
        assert client.join(secret)[:2] == ["refused", "secret"]
        assert client.is_hung_up()


def test_a_handshake_that_was_overheard_is_of_no_use(tcp: Door) -> None:
    with tcp.client() as client:
        _, _, _, nonce, _ = client.hello()
        mine = digest(SECRET, b"client", nonce, b"n" * 32, client.client_id)
        join = ("join", client.client_id, b"n" * 32, mine, "a test")
        client.send(*join)
        assert client.receive()[0] == "welcome"

    with tcp.client() as replayed:
        replayed.hello()
        replayed.send(*join)
        assert replayed.receive()[:2] == ["refused", "secret"]


def test_the_servers_own_digest_does_not_open_its_door(tcp: Door) -> None:
    with tcp.client() as client:
        _, _, _, nonce, _ = client.hello()
        theirs = digest(SECRET, b"server", nonce, b"n" * 32, client.client_id)
        client.send("join", client.client_id, b"n" * 32, theirs, "a test")

        assert client.receive()[:2] == ["refused", "secret"]


def test_a_digest_is_of_one_client_id(tcp: Door) -> None:
    with tcp.client() as client:
        _, _, _, nonce, _ = client.hello()
        mine = digest(SECRET, b"client", nonce, b"n" * 32, client.client_id)
        client.send("join", b"other" + client.client_id[5:], b"n" * 32, mine, "a test")

        assert client.receive()[:2] == ["refused", "secret"]
        with pytest.raises(ClosedError):
            client.receive()
