"""What one process has for its frames: key, address, endpoints, nonces, counts.

One per process and not per actor system, because Thespian makes its buffers without saying for
whom. A forked child goes on with the key and the address, and with nothing else.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from typing import Final

from thespian.system.utilis import thesplog_control

from ...errors import ConfigError, LifecycleError
from .frames import WINDOW_MS, Endpoint, FrameKey, Header, Kind
from .nonces import NonceCache
from .refusals import Reason, Refusals, RefusedError
from .secret import Secret

LOOPBACK: Final = "127.0.0.1"
THESPIAN_LOG_FILE: Final = "THESPLOG_FILE"  # Thespian's own variable


def check_bind(address: str) -> str:
    """The address in its usual form.

    Raises:
        ConfigError: It is not one IPv4 address that others can reach this machine by.
    """
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        raise ConfigError(
            f"bind: expected an IPv4 address of this machine, got {address!r}"
        ) from None
    if parsed.is_unspecified or parsed.is_multicast or parsed == ipaddress.IPv4Address(2**32 - 1):
        raise ConfigError(
            f"bind: {address} is not the address of one interface: name the one by which the "
            f"other nodes reach this machine, or {LOOPBACK}"
        )
    with socket.socket() as probe:
        try:
            probe.bind((str(parsed), 0))
        except OSError as error:
            raise ConfigError(
                f"bind: {address} is not an address of this machine: {error.strerror}"
            ) from None
    return str(parsed)


class Wire:
    """The frames' side of this process.

    Args:
        secret: What the nodes share.
        bind: The address that this process listens on and is known by.
    """

    def __init__(self, secret: Secret, bind: str) -> None:
        self.secret = secret
        self.bind = bind
        self.key = FrameKey(secret)
        self.nonces = NonceCache(2 * WINDOW_MS / 1000)
        self.refusals = Refusals()
        self.endpoints: dict[Endpoint, int] = {}  # where this process listens, and since when

    def admit(self, header: Header, answer_to: bytes | None) -> None:
        """Let in what an authentic header announces.

        Args:
            header: Of the frame.
            answer_to: The nonce of the message that this connection waits to have answered.

        Raises:
            RefusedError: It is for somebody else, or was here before.
        """
        if header.kind is not Kind.MESSAGE:
            if header.nonce != answer_to:
                raise RefusedError(Reason.UNEXPECTED_ANSWER)
            return
        since_ms = self.endpoints.get(header.target)
        if since_ms is None:
            raise RefusedError(Reason.OTHER_TARGET)
        if header.sealed_ms < since_ms:
            # for who had this port before: its nonces are not known here
            raise RefusedError(Reason.STALE, "sealed before this process listened")
        if header.nonce in self.nonces:
            raise RefusedError(Reason.REPLAYED)

    def listen(self, endpoint: Endpoint, since_ms: int) -> None:
        """Take frames that were sealed for this endpoint from a moment on."""
        self.endpoints[endpoint] = since_ms


_wire: Wire | None = None


def current() -> Wire:
    """The wire of this process.

    Raises:
        LifecycleError: There is none.
    """
    if _wire is None:
        raise LifecycleError("no node in this process: call start_system() or join_system()")
    return _wire


def wired() -> bool:
    """Whether this process has its wire: not if it was spawned just now."""
    return _wire is not None


def configure(secret: Secret, bind: str) -> Wire:
    """Give this process its wire, or keep the one it has.

    Raises:
        ConfigError: The address cannot be used, or actor systems with other settings are open.
    """
    global _wire
    bind = check_bind(bind)
    if _wire is None or not (_wire.secret == secret and _wire.bind == bind):
        if _wire is not None and _wire.endpoints:
            raise ConfigError(
                f"this process has an actor system at {_wire.bind}, maybe with another secret: "
                "close it first, or use another process"
            )
        _wire = Wire(secret, bind)
    quiet_thespian()
    return _wire


def quiet_thespian() -> None:
    """Keep Thespian from logging messages into a file that everybody can read, in /tmp.

    Who sets THESPLOG_FILE wants the file, and gets it.
    """
    if THESPIAN_LOG_FILE not in os.environ:
        thesplog_control(logging.CRITICAL, False, 0)


def refusal_counts() -> dict[str, int]:
    """How many frames this process refused since its start, for each reason that there was."""
    return current().refusals.counts()


def _begin_anew() -> None:
    global _wire
    if _wire is not None:
        _wire = Wire(_wire.secret, _wire.bind)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
