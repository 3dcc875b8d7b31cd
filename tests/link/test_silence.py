from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from greenroom.link.address import Address
from greenroom.link.courier import PING_SECONDS, SILENT_SECONDS, Courier
from greenroom.link.dialing import Dialer, new_client_id
from greenroom.link.outbound import Outbound
from greenroom.testing.linked import FakeNode
from greenroom.testing.patience import wait_until
from greenroom.testing.samples import track_stats


class Client:
    """A courier by a clock of the test's own."""

    def __init__(self, path: Path) -> None:
        self.seconds = 0.0
        dialer = Dialer(Address("unix", path=str(path)))
        self.courier = Courier(dialer, new_client_id(), now=lambda: self.seconds)
        self.outbound = Outbound(1_000, self.courier.rouse)
        self.courier.carry(self.outbound)

    def call(self) -> bool:
        """Whether one more call took effect."""
        self.outbound.add(track_stats())
        self.courier.urge()
        return self.outbound.wait(30.0)

    def later(self, seconds: float) -> None:
        self.seconds += seconds
        self.courier.urge()


@contextlib.contextmanager
def client_of(path: Path) -> Iterator[Client]:
    client = Client(path)
    try:
        yield client
    finally:
        client.outbound.close()
        client.courier.stop(30.0)


@pytest.mark.parametrize("seconds", [SILENT_SECONDS + 1, 3_600.0])
def test_a_connection_that_was_idle_for_long_is_as_good_as_new(
    node: FakeNode, seconds: float
) -> None:
    with client_of(node.path) as client:
        for _ in range(3):
            assert client.call()
            client.later(seconds)

        seen = client.outbound.statistics()
        assert (seen.connects, seen.resent) == (1, 0)


class SlowServer:
    """Lets clients in and answers pings, if it is told to; acknowledges nothing of itself."""

    def __init__(self, path: Path, *, answers: bool) -> None:
        self.connections = self.pings = 0
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock.makefile("rb") as stream:
            sock.sendall(b"GRL\x01")
            say(sock, "hello", "", 0, b"n" * 32, False)
            say(sock, "welcome", b"", 4, 65_536)
            self.connections += 1
            stream.read(4)
            while header := stream.read(4):
                (kind, *_) = msgpack.unpackb(stream.read(int.from_bytes(header, "big")))
                if kind == "ping" and self._answers:
                    say(sock, "pong")
                    self.pings += 1

    @property
    def is_read(self) -> bool:
        """Whether clients have read all that was said to them."""
        unread = [fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)) for sock in self._open]
        return not any(int.from_bytes(size, sys.byteorder) for size in unread)

    def acknowledge(self, sequence: int) -> None:
        for sock in self._open:
            say(sock, "ack", sequence)

    def close(self) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._open):
            sock.close()


def say(sock: socket.socket, *frame: object) -> None:
    body = msgpack.packb(frame)
    sock.sendall(struct.pack(">I", len(body)) + body)


@contextlib.contextmanager
def slow_server(path: Path, *, answers: bool) -> Iterator[SlowServer]:
    server = SlowServer(path, answers=answers)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says what was read")
def test_a_node_that_is_slow_but_answers_keeps_its_connection(directory: Path) -> None:
    path = directory / "n.sock"
    with slow_server(path, answers=True) as server, client_of(path) as client:
        client.outbound.add(track_stats())
        client.courier.urge()
        wait_until(lambda: client.outbound.statistics().unacknowledged == 1)
        client.later(PING_SECONDS + 1)
        wait_until(lambda: server.pings == 1 and server.is_read)

        client.later(SILENT_SECONDS - 1)  # since the answer, and longer since the call
        server.acknowledge(1)

        assert client.outbound.wait(30.0)
        assert client.outbound.statistics().connects == 1


def test_a_node_that_says_nothing_is_left_for_another_connection(directory: Path) -> None:
    path = directory / "n.sock"
    with slow_server(path, answers=False) as server, client_of(path) as client:
        client.outbound.add(track_stats())
        client.courier.urge()
        wait_until(lambda: client.outbound.statistics().unacknowledged == 1)

        client.later(SILENT_SECONDS + 1)

        wait_until(lambda: server.connections == 2)
        wait_until(lambda: client.outbound.statistics().resent == 1)
