"""How a client makes a connection: reach the node, prove the secret, be let in."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from ..errors import LinkError
from ..runtime.secure.secret import Secret
from .address import Address, check_directory
from .frames import (
    FRAME_MAX,
    ID_BYTES,
    NONCE_BYTES,
    PREAMBLE,
    Frame,
    FrameReader,
    Hello,
    Join,
    Refused,
    Welcome,
    to_bytes,
)
from .proof import digest, is_proven

TIMEOUT_SECONDS: Final = 5.0
READ_BYTES: Final = 65_536

F = TypeVar("F", bound=Frame)


@dataclass(slots=True)
class Connection:
    """A connection that has been let in; its socket does not block."""

    sock: socket.socket
    reader: FrameReader
    hello: Hello
    welcome: Welcome
    peer: str

    def close(self) -> None:
        """Close this process's end."""
        self.sock.close()


@dataclass(frozen=True, slots=True)
class Dialer:
    """Knows where the node is, and the secret.

    Args:
        address: Of the node; of a directory, any socket in it that answers.
        secret: Shared with the node; None: only a Unix socket of the same user will do.
        tls: For addresses of that kind.
    """

    address: Address
    secret: Secret | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def dial(self, client_id: bytes) -> Connection:
        """Connect and join.

        Raises:
            OSError: Nobody answers there.
            LinkError: Who answers is no node of ours, or does not let this client in.
            ConfigError: The socket is where anybody could have put it.
        """
        if self.address.kind != "unix":
            return self._join(self._connect_tcp(), str(self.address), client_id)
        paths = self.address.sockets()
        start = int.from_bytes(client_id[:4], "big") % max(1, len(paths))
        error: Exception = FileNotFoundError(
            f"no node at {self.address}: greenroom serve --listen {self.address.path}"
        )
        for path in paths[start:] + paths[:start]:  # clients spread over the shards
            try:
                return self._join(_connect_unix(path), f"unix:{path}", client_id)
            except FileNotFoundError:
                continue  # there is no such directory, or its node ended just now
            except (OSError, LinkError) as failed:
                error = failed
        raise error

    def _connect_tcp(self) -> socket.socket:
        address = (self.address.host, self.address.port)
        sock = socket.create_connection(address, TIMEOUT_SECONDS)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.address.kind == "tls":
                context = self.tls or ssl.create_default_context()
                return context.wrap_socket(sock, server_hostname=self.address.host)
        except BaseException:
            sock.close()
            raise
        return sock

    def _join(self, sock: socket.socket, peer: str, client_id: bytes) -> Connection:
        try:
            sock.settimeout(TIMEOUT_SECONDS)
            return self._shake_hands(sock, peer, client_id)
        except BaseException:
            sock.close()
            raise

    def _shake_hands(self, sock: socket.socket, peer: str, client_id: bytes) -> Connection:
        reader = FrameReader()
        sock.sendall(PREAMBLE)
        hello = _next(sock, reader, Hello)
        nonce = secrets.token_bytes(NONCE_BYTES)
        proof = b""
        if hello.needs_secret:
            if self.secret is None:
                raise LinkError(f"{peer} wants a secret: set GREENROOM_SECRET_FILE", "secret")
            proof = digest(self.secret, "client", hello.nonce, nonce, client_id)
        about = f"{Path(sys.argv[0]).name if sys.argv else ''} pid {os.getpid()}"
        sock.sendall(to_bytes(Join(client_id, nonce, proof, about[:200])))
        welcome = _next(sock, reader, Welcome)
        if self.secret is not None and hello.needs_secret:
            expected = digest(self.secret, "server", hello.nonce, nonce, client_id)
            if not is_proven(expected, welcome.digest):
                raise LinkError(f"{peer} does not know the secret", "secret")
        elif self.address.kind != "unix":
            raise LinkError(f"{peer} asks for no proof of the secret: it is no node of ours")
        reader.max_bytes = FRAME_MAX
        sock.setblocking(False)  # noqa: FBT003  # the standard library's form
        return Connection(sock, reader, hello, welcome, peer)


def new_client_id() -> bytes:
    """16 random bytes: no two clients of a node have the same."""
    return secrets.token_bytes(ID_BYTES)


def _connect_unix(path: str) -> socket.socket:
    Path(path).lstat()  # that nothing is there says more than where it would be
    check_directory(Path(path).parent)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(TIMEOUT_SECONDS)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _next(sock: socket.socket, reader: FrameReader, wanted: type[F]) -> F:
    """The next frame, which must be of that kind."""
    while True:
        for frame in reader.frames():
            if isinstance(frame, wanted):
                return frame
            if isinstance(frame, Refused):
                raise LinkError(frame.text, frame.code)
            raise LinkError(f"a {type(frame).__name__} where a {wanted.__name__} was due")
        data = sock.recv(READ_BYTES)
        if not data:
            raise LinkError("closed during the handshake")
        reader.feed(data)
