"""Sockets that a node listens at."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Final

from ..errors import ConfigError
from .address import Address, check_directory, is_answered

BACKLOG: Final = 1_024  # after a restart all clients come at once


def listen(address: Address) -> socket.socket:
    """A socket that listens at `address`.

    A Unix socket belongs to this user alone, and takes the place of one that nobody answers at
    any more. Several processes of a node may listen at the same TCP port: the kernel spreads
    connections over them.

    Raises:
        ConfigError: The address is taken, is not this machine's, or its directory is not safe.
    """
    try:
        return _listen_unix(address) if address.kind == "unix" else _listen_tcp(address)
    except OSError as error:
        raise ConfigError(f"listen: {address}: {error.strerror or error}") from error


def _listen_unix(address: Address) -> socket.socket:
    path = Path(address.path)
    check_directory(path.parent, "listen")
    if is_answered(address.path):
        raise ConfigError(f"listen: {address}: another node listens there")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        sock.bind(str(fresh))
        fresh.chmod(0o600)  # before it listens, and so before anybody can connect
        sock.listen(BACKLOG)
        fresh.rename(path)  # at once: no client finds a socket that does not listen yet
    except BaseException:
        sock.close()
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    return sock


def _listen_tcp(address: Address) -> socket.socket:
    family, _, _, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
