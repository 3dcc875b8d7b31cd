"""A client that has joined and keeps to no rule harms nobody but itself."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import select
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgpack
import pytest

from greenroom import ConnectedTelemetry, connect
from greenroom.testing.linked import FakeNode
from greenroom.testing.patience import wait_until
from greenroom.testing.raw_link import ClosedError, RawClient
from greenroom.testing.samples import room

SEED: Final = 20_240_301
FUZZED: Final = 10_000
TOO_MUCH: Final = 32 * 1024 * 1024  # of bytes that a server may be made to read for nothing
STARTED: Final = ("room:a", msgpack.packb([1, "RoomStarted", b""]))


@pytest.fixture
def client(node: FakeNode) -> Iterator[RawClient]:
    with RawClient(str(node.path)) as client:
        assert client.join()[0] == "welcome"
        yield client


@pytest.fixture
def other(node: FakeNode) -> Iterator[ConnectedTelemetry]:
    with connect(node.address) as telemetry:
        yield telemetry


def is_served(other: ConnectedTelemetry) -> bool:
    other.room_started(room())
    return other.sync() and other.statistics().connects == 1


def refused(client: RawClient) -> str:
    """What it was told before the server hung up, acks aside."""
    while True:
        kind, *fields = client.receive()
        if kind == "refused":
            assert client.is_hung_up()
            assert fields[0] == "protocol"
            text: str = fields[1]
            return text
        assert kind == "ack"


def test_more_batches_than_the_window_are_refused(
    node: FakeNode, client: RawClient, other: ConnectedTelemetry
) -> None:
    assert is_served(other)
    node.shard.is_holding = True
    for sequence in range(1, 6):
        client.batch(sequence, [STARTED])

    assert "unacknowledged" in refused(client)

    assert len(node.shard.taken) == 1 + 4
    node.shard.release()
    assert is_served(other)


@pytest.mark.parametrize("sequences", [(0,), (1, 1), (5, 4), (2**63 - 1, 1)])
def test_sequences_that_do_not_rise_are_refused(
    client: RawClient, sequences: tuple[int, ...]
) -> None:
    for sequence in sequences:
        client.batch(sequence, [STARTED])

    assert refused(client)


@pytest.mark.parametrize(
    ("calls", "payload"),
    [
        (1, msgpack.packb([*STARTED, *STARTED])),
        (2, msgpack.packb(STARTED)),
        (0, msgpack.packb([])),
        (2**62, msgpack.packb(STARTED)),
        (1, msgpack.packb([1, 2, 3])),
        (1, b""),
        (1, b"\xc1"),
        (1_000_000, msgpack.packb(["", b""] * 1_000_000)),
    ],
    ids=["more", "fewer", "none", "astronomical", "odd", "empty", "no msgpack", "a million"],
)
def test_a_batch_that_does_not_hold_the_calls_it_says_is_refused(
    node: FakeNode, client: RawClient, other: ConnectedTelemetry, calls: int, payload: bytes
) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.send("batch", 1, calls, payload)

    with contextlib.suppress(ClosedError):  # what was sent behind it may have cost the last word
        assert "calls" in refused(client)

    assert not node.shard.taken
    assert is_served(other)


def test_the_largest_number_of_malformed_calls_is_counted_and_acknowledged(
    node: FakeNode, client: RawClient, other: ConnectedTelemetry
) -> None:
    client.batch(1, [("", b"")] * 8_192)

    assert is_served(other)
    assert client.receive() == ["ack", 1]
    assert node.shard.lost == {"malformed": 8_192}


@pytest.mark.parametrize("depth", [2, 1_000, 1_000_000])
def test_nested_arrays_are_malformed_wherever_they_are(
    node: FakeNode, client: RawClient, other: ConnectedTelemetry, depth: int
) -> None:
    nested = b"\x91" * depth + b"\xc0"
    client.batch(1, [("room:a", nested), (nested, b""), STARTED])
    client.send("batch", 2, 1, b"\x92" + nested + nested)

    while client.receive() != ["ack", 2]:
        pass
    assert len(node.shard.taken) == 1
    assert node.shard.lost == {"malformed": 3}
    assert is_served(other)


def test_the_largest_call_is_taken_and_a_larger_frame_is_not(
    node: FakeNode, client: RawClient, other: ConnectedTelemetry
) -> None:
    client.batch(1, [("", b"x" * (16 * 1024 * 1024))])
    assert client.receive() == ["ack", 1]
    assert node.shard.lost == {"malformed": 1}

    client.sock.sendall(struct.pack(">I", 16_842_753))

    assert "16842752 are allowed" in refused(client)
    assert is_served(other)


def test_who_reads_no_answers_is_not_read_any_more_until_it_does(
    client: RawClient, other: ConnectedTelemetry
) -> None:
    ping = struct.pack(">I", 6) + msgpack.packb(["ping"])
    client.sock.setblocking(False)
    total = 0
    while total < TOO_MUCH:
        try:
            total += client.sock.send(ping[total % len(ping) :] + ping * 100)
        except BlockingIOError:
            if not select.select([], [client.sock], [], 1.0)[1]:
                break  # nobody has read for so long, unless the machine is very slow
    assert total < TOO_MUCH
    assert is_served(other)

    client.sock.settimeout(30.0)
    for _ in range(total // len(ping)):
        assert client.receive() == ["pong"]


def test_who_does_not_wait_for_acks_is_refused(
    client: RawClient, other: ConnectedTelemetry
) -> None:
    body = msgpack.packb(["batch", 1, 1, msgpack.packb(["", b""])])
    frames = b"".join(
        struct.pack(">I", len(body)) + body.replace(b"\x01", bytes([number]), 1)
        for number in range(1, 100)
    )
    client.sock.sendall(frames)

    assert "unacknowledged" in refused(client)
    assert is_served(other)


def test_a_second_join_and_a_servers_frames_are_refused(node: FakeNode) -> None:
    join = ("join", b"c" * 16, b"n" * 32, b"", "")
    for frame in (join, ("ack", 1), ("drain", 1), ("pong",), ("hello", "", 0, b"n" * 32, False)):
        with RawClient(str(node.path)) as client:
            client.join()
            client.send(*frame)
            assert "from a client" in refused(client)


def test_questions_come_one_at_a_time_and_are_short(node: FakeNode, client: RawClient) -> None:
    client.send("ask", 1, "x" * 201)

    assert "short" in refused(client)


class Bomb:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_pickles_among_the_calls_are_malformed(
    node: FakeNode, client: RawClient, tmp_path: Path
) -> None:
    mark = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(mark))
    inside = msgpack.packb([1, "RoomStarted", bomb])

    client.batch(1, [(bomb, b""), ("", bomb), ("", inside), (bomb, bomb), STARTED])

    assert client.receive() == ["ack", 1]
    assert len(node.shard.taken) == 1
    assert node.shard.lost == {"malformed": 4}
    assert not mark.exists()


def test_fuzzed_batches_harm_nobody(node: FakeNode, other: ConnectedTelemetry) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    head = msgpack.packb(["RM_1", "a", "DE", 0, "PA_1", "TR_1", 2, 1, True])
    payload = msgpack.packb([head, b"\x08\x01", *STARTED])
    whole = msgpack.packb(["batch", 1, 2, payload])
    client: RawClient | None = None
    for number in range(FUZZED):
        if client is None or number % 20 == 0:
            if client is not None:
                client.sock.close()
            client = RawClient(str(node.path))
            client.join()
        body = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        try:
            client.sock.sendall(struct.pack(">I", len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            client.sock.close()
            client = None
    if client is not None:
        client.sock.close()

    assert is_served(other)
    wait_until(lambda: len(node.server.peers) == 1)
