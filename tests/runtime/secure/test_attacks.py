"""What a stranger on the network, or a peer with the secret, can do to a node: not much."""

from __future__ import annotations

import hmac
import os
import pickle
import random
import socket
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from greenroom.errors import MessageError
from greenroom.runtime.secure.frames import (
    FIELDS,
    HEADER_SIZE,
    MAGIC,
    MOST_BODY_BYTES,
    PURPOSE,
    WINDOW_MS,
    FrameKey,
    Kind,
    now_ms,
)
from greenroom.runtime.secure.system import processes_of
from greenroom.runtime.secure.transport import MOST_UNAUTHENTICATED
from greenroom.testing.patience import wait_until

from .probes import (
    HOST,
    OTHER_SECRET,
    SECRET,
    Node,
    connect,
    descriptors,
    resident_mb,
    send,
)

FUZZ_SEED: Final = 7
FUZZ_FRAMES: Final = 3_000
IDLE: Final = 300
OWN_DESCRIPTORS: Final = 40  # what a process has besides connections that said nothing


class Boom:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def ports_of(node: Node) -> tuple[int, int]:
    return node.port, node.actor_port


def answer_kind(answer: bytes) -> Kind:
    return FrameKey(SECRET).open_header(answer).kind


def test_a_pickle_without_a_seal_is_not_unpickled(node: Node, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickled = pickle.dumps(Boom(mark)).ljust(HEADER_SIZE, b".")

    for port in ports_of(node):
        assert send(port, pickled) == b""
        assert send(port, b"%d>" % len(pickled) + pickled) == b""  # as Thespian's own base has it

    assert not mark.exists()
    assert node.refusals() == {"unauthentic": 2}
    assert node.is_well()


def test_a_frame_of_somebody_with_another_secret_is_not_unpickled(
    node: Node, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    for port in ports_of(node):
        assert send(port, node.frame(Boom(mark), port, FrameKey(OTHER_SECRET))) == b""

    assert not mark.exists()
    assert node.refusals() == {"unauthentic": 1}
    assert node.is_well()


def test_a_class_that_is_not_allowed_is_refused_even_from_a_peer_with_the_secret(
    node: Node, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    for port in ports_of(node):
        assert answer_kind(send(port, node.frame(Boom(mark), port))) is Kind.REFUSED

    assert not mark.exists()
    assert node.refusals() == {"forbidden_class": 1}
    assert node.is_well()


def test_whoever_sends_what_is_not_allowed_gets_an_error_and_sends_nothing(node: Node) -> None:
    with pytest.raises(MessageError, match=r"pathlib\..*Path may not be sent"):
        node.system.tell(node.actor, Path("anywhere"))

    assert node.is_well()
    assert node.refusals() == {}


def test_a_message_that_fits_in_no_frame_is_an_error_at_its_sender(node: Node) -> None:
    with pytest.raises(MessageError, match="at most 16777216"):
        node.system.tell(node.actor, bytes(MOST_BODY_BYTES + 1))

    assert node.is_well()


def test_a_frame_that_is_sent_again_is_taken_once(node: Node) -> None:
    frame = node.frame(b"once", node.actor_port)

    assert answer_kind(send(node.actor_port, frame)) is Kind.TAKEN
    assert send(node.actor_port, frame) == b""

    assert node.ask("told") == 1
    assert node.refusals() == {"replayed": 1}


def test_frames_that_come_in_one_go_are_all_taken(node: Node) -> None:
    frames = [node.frame(b"one of three", node.actor_port) for _ in range(3)]

    send(node.actor_port, b"".join(frames))

    wait_until(lambda: node.ask("told") == 3)


def test_a_frame_for_one_endpoint_is_refused_by_all_others(node: Node) -> None:
    frame = node.frame(b"for nobody", node.port)

    assert send(node.actor_port, frame) == b""

    assert node.ask("told") == 0
    assert node.refusals() == {"other_target": 1}


def test_a_frame_from_outside_the_time_window_is_refused(node: Node) -> None:
    late = FrameKey(SECRET, lambda: now_ms() - WINDOW_MS - 1000)
    early = FrameKey(SECRET, lambda: now_ms() + WINDOW_MS + 1000)

    for key in (late, early):
        assert send(node.actor_port, node.frame(b"when", node.actor_port, key)) == b""

    assert node.ask("told") == 0
    assert node.refusals() == {"stale": 2}


def test_a_frame_from_before_the_process_is_refused(node: Node) -> None:
    # who has recorded the frames of a node that is restarted on the same port
    before = FrameKey(SECRET, lambda: now_ms() - WINDOW_MS // 2)

    assert send(node.actor_port, node.frame(b"before", node.actor_port, before)) == b""

    assert node.ask("told") == 0
    assert node.refusals() == {"stale": 1}


@pytest.mark.parametrize("place", ["in the header", "in the body", "in the last byte"])
def test_a_flipped_bit_is_noticed(node: Node, place: str) -> None:
    frame = bytearray(node.frame(b"whole", node.actor_port))
    at = {"in the header": 20, "in the body": HEADER_SIZE + 20, "in the last byte": -1}[place]
    frame[at] ^= 4

    assert send(node.actor_port, bytes(frame)) == b""

    assert node.ask("told") == 0
    assert node.refusals() == {"unauthentic": 1}


def test_a_frame_that_ends_early_is_dropped_and_counted(node: Node) -> None:
    frame = node.frame(b"half", node.actor_port)

    for length in (1, HEADER_SIZE - 1, HEADER_SIZE, len(frame) - 1):
        assert send(node.actor_port, frame[:length], ending=True) == b""

    assert node.ask("told") == 0
    assert node.refusals() == {"cut_off": 4}


@pytest.mark.parametrize("sealed", [False, True], ids=["by a stranger", "by a peer"])
def test_a_gigabyte_that_is_announced_is_not_received(node: Node, *, sealed: bool) -> None:
    nonce, address = bytes(16), socket.inet_aton(HOST)
    fields = FIELDS.pack(MAGIC, Kind.MESSAGE, 1 << 30, now_ms(), nonce, address, node.actor_port)
    key = (SECRET if sealed else OTHER_SECRET).derive(PURPOSE)
    header = fields + hmac.digest(key, fields, "sha256")
    pid = node.ask("pid")
    before = resident_mb(pid)

    with pytest.raises(ConnectionError):
        send_on(node.actor_port, header, bytes(200 << 20))

    assert node.is_well()
    assert resident_mb(pid) - before < 20
    assert node.refusals() == {"too_large" if sealed else "unauthentic": 1}


def send_on(port: int, *parts: bytes) -> None:
    with connect(port) as connection:
        for part in parts:
            connection.sendall(part)


def test_thousands_of_random_frames_change_nothing(node: Node) -> None:
    chance = random.Random(FUZZ_SEED)
    pids = (processes_of(node.system).admin, node.ask("pid"))
    before = [resident_mb(pid) for pid in pids]

    for number in range(FUZZ_FRAMES):
        port = ports_of(node)[number % 2]
        with connect(port) as connection:
            connection.sendall(fuzz(node, chance, port))
            if chance.random() < 0.2:  # closed with a reset
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if number % 500 == 0:
            assert node.ask("still there?") == "still there?"

    assert node.is_well()
    assert node.ask("told") == 0
    for pid, memory in zip(pids, before, strict=True):
        assert resident_mb(pid) - memory < 20
    assert set(node.refusals()) <= {"unauthentic", "cut_off"}


def fuzz(node: Node, chance: random.Random, port: int) -> bytes:
    noise = chance.randbytes(chance.randint(1, 300))
    match chance.randrange(6):
        case 0:
            return noise
        case 1:
            return b"%d>" % chance.randint(-(10**12), 10**12) + noise
        case 2:
            return b"\x80\x05" + noise
        case 3:
            return MAGIC + noise
        case 4:
            frame = bytearray(node.frame(b"changed", port))
            for _ in range(chance.randint(1, 5)):
                frame[chance.randrange(len(frame))] ^= chance.randint(1, 255)
            return bytes(frame)
        case _:
            return FIELDS.pack(MAGIC, 1, len(noise), now_ms(), bytes(16), bytes(4), port) + noise


def test_connections_that_say_nothing_are_bounded(node: Node) -> None:
    bound = MOST_UNAUTHENTICATED + OWN_DESCRIPTORS
    pids = {node.port: processes_of(node.system).admin, node.actor_port: node.ask("pid")}

    for port, pid in pids.items():
        with ExitStack() as stack:
            held = [stack.enter_context(connect(port)) for _ in range(IDLE)]
            wait_until(lambda held=held: sum(map(is_closed, held)) >= IDLE - bound)  # type: ignore[misc]
            assert node.is_well()
            assert descriptors(pid) <= bound

    assert node.refusals()["crowded_out"] >= IDLE - bound


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
