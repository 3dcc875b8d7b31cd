"""A client of the link that knows `docs/link.md` and nothing of `greenroom.link`.

What it sends is up to the test, and need not be right.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final, Self

import msgpack

PREAMBLE: Final = b"GRL\x01"
TIMEOUT_SECONDS: Final = 30.0  # only a failure ever takes that long


class ClosedError(Exception):
    """The server hung up."""


class RawClient:
    """A blocking client.

    Args:
        where: Path of a Unix socket, or host and port.
        client_id: 16 bytes; None: random ones.
    """

    def __init__(self, where: str | tuple[str, int], client_id: bytes | None = None) -> None:
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.sock.connect(where)  # blocks, so that a queue that is full is waited for
        except BaseException:
            self.sock.close()
            raise
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.client_id = os.urandom(16) if client_id is None else client_id
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def send(self, *frame: object) -> None:
        """Send a frame: its kind and fields."""
        body = msgpack.packb(list(frame))
        self.sock.sendall(struct.pack(">I", len(body)) + body)

    def receive(self) -> list[Any]:
        """The next frame.

        Raises:
            ClosedError: There is none.
        """
        (length,) = struct.unpack(">I", self._exactly(4))
        frame: list[Any] = msgpack.unpackb(self._exactly(length))
        return frame

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                data = self.sock.recv(65_536)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                raise ClosedError
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def hello(self) -> list[Any]:
        """Exchange preambles; the server's greeting."""
        self.sock.sendall(PREAMBLE)
        assert self._exactly(4) == PREAMBLE
        return self.receive()

    def join(self, secret: bytes | None = None, nonce: bytes = b"n" * 32) -> list[Any]:
        """Shake hands; the answer to the join."""
        _, _, _, server_nonce, needs_secret = self.hello()
        proof = b""
        if needs_secret and secret is not None:
            proof = digest(secret, b"client", server_nonce, nonce, self.client_id)
        self.send("join", self.client_id, nonce, proof, "a test")
        return self.receive()

    def batch(self, sequence: int, items: Sequence[tuple[object, object]]) -> None:
        """Send a batch of such items."""
        flat = [value for item in items for value in item]
        self.send("batch", sequence, len(items), msgpack.packb(flat))

    def is_hung_up(self) -> bool:
        """Read until the server hangs up."""
        while True:
            try:
                self.receive()
            except ClosedError:
                return True


def digest(
    secret: bytes, side: bytes, server_nonce: bytes, nonce: bytes, client_id: bytes
) -> bytes:
    """What a side sends to prove that it knows the secret."""
    key = hmac.digest(secret.strip(), b"greenroom link 1", "sha256")
    return hmac.digest(key, side + b"\0" + server_nonce + nonce + client_id, "sha256")
