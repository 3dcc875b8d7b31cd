"""`connect()`: the telemetry of a node, from any process of a server.

Nothing is started at import, and no thread before the first call. A process may fork at any time.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import ssl
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from ..config import check_count
from ..errors import ConfigError
from ..messages.calls import Call
from ..runtime.forks import watch_forks
from ..runtime.limit import Limit
from ..runtime.secure.secret import Secret
from ..service.calls import TelemetryCalls
from .address import Address, default_address
from .courier import Courier
from .dialing import Dialer, new_client_id
from .outbound import CAPACITY, LinkStatistics, Outbound
from .starting import Starter

EXIT_SECONDS: Final = 2.0  # sentry-sdk's bound for the flush at interpreter exit
WAIT_SECONDS: Final = 10.0
# Children of these end without atexit, but run what is registered there.
_FINALIZERS: Final = ("multiprocessing.util", "billiard.util")
_log = logging.getLogger("greenroom.link")


class ConnectedTelemetry(TelemetryCalls):
    """A `TelemetryService` whose calls take effect in a node; made by `connect()`.

    Args:
        dialer: Makes connections.
        capacity: Statistics that may wait here.
        begin: Called when nobody answers; may start a node.
    """

    def __init__(
        self, dialer: Dialer, *, capacity: int = CAPACITY, begin: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self._dialer = dialer
        self._capacity = capacity
        self._begin_node = begin
        self._closed = False
        self._begin()
        watch_forks(self)
        atexit.register(_at_exit, weakref.ref(self))

    def _begin(self) -> None:
        self._client_id = new_client_id()
        self._courier = Courier(self._dialer, self._client_id, self._begin_node)
        self._outbound = Outbound(self._capacity, self._rouse)
        self._courier.carry(self._outbound)
        self._is_known_to_finalizers = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        seen = self._outbound.statistics()
        state = "closed" if self._closed else "connected" if seen.connected else "not connected"
        return f"<ConnectedTelemetry {self._dialer.address} {state}, {seen.waiting} waiting>"

    def guard(self) -> int:
        """As `TelemetryService.guard`; no two processes get the same."""
        return secrets.randbits(63)

    def sync(self, timeout: float | None = WAIT_SECONDS) -> bool:
        """Wait until all calls made so far by this thread took effect in the node.

        That is: they are counted and in the workers, and their webhooks are queued, in a data
        directory on the disk.

        Args:
            timeout: Seconds; None waits for as long as it takes.

        Returns:
            False when the time ran out: they are kept, and sent when the node is there.
        """
        if self._outbound.is_idle:
            return True
        self._courier.urge()
        return self._outbound.wait(Limit(timeout).left())

    def statistics(self) -> LinkStatistics:
        """What became of the calls of this process."""
        return self._outbound.statistics()

    def close(self, timeout: float | None = WAIT_SECONDS) -> bool:
        """Hand over what waits, and hang up. Calls made afterwards raise.

        Args:
            timeout: Seconds in all; None: no limit.

        Returns:
            Whether everything took effect in time; what did not is lost, counted and logged.
        """
        if self._closed:
            return not self._outbound.statistics().dropped.get("closed")
        limit = Limit(timeout)
        self.sync(limit.left())
        self._closed = True
        lost = self._outbound.close()
        self._courier.stop(EXIT_SECONDS if timeout is None else min(EXIT_SECONDS, timeout))
        if lost:
            _log.error("%d calls were lost: the node did not acknowledge them in time", lost)
        return not lost

    def disown(self) -> None:
        """This is a forked child: what waits is the parent's; the child begins anew."""
        self._courier.disown()
        self._begin()
        if self._closed:
            self._outbound.close()

    def _tell(self, call: Call) -> None:
        self._outbound.add(call)

    def _rouse(self) -> None:
        if not self._is_known_to_finalizers:
            self._is_known_to_finalizers = True
            for name in _FINALIZERS:
                finalize = getattr(sys.modules.get(name), "Finalize", None)
                if finalize is not None:
                    finalize(None, _at_exit, args=(weakref.ref(self),), exitpriority=10)
        self._courier.rouse()


def _at_exit(telemetry: weakref.ref[ConnectedTelemetry]) -> None:
    alive = telemetry()
    if alive is not None:
        alive.close(EXIT_SECONDS)


def _secret_of_environment(where: Address) -> Secret | None:
    """What the environment names; a Unix socket needs none, and so none is looked for."""
    return None if where.kind == "unix" else Secret.from_environment()


def connect(
    address: str | None = None,
    *,
    capacity: int = CAPACITY,
    secret: Secret | bytes | None = None,
    tls_ca: str | Path | None = None,
    autostart: bool = False,
) -> ConnectedTelemetry:
    """The telemetry of the node of this machine, or of the one at `address`.

    Returns at once, whether the node is there or not: calls wait in memory until it is. Safe in
    threads, asyncio, and before or after a fork.

    Args:
        address: `/path` or `unix:/path` of a socket or a directory of sockets,
            `tcp://127.0.0.1:PORT`, or `tls://HOST:PORT`; None: `GREENROOM_ADDRESS`, else where
            `greenroom serve` listens by default.
        capacity: Statistics that may wait here; when full, new ones are dropped and counted.
            Calls of other kinds have twice that room.
        secret: Shared with the node, at least 32 bytes; None: `GREENROOM_SECRET_FILE` or
            `GREENROOM_SECRET`. A Unix socket of the same user needs none.
        tls_ca: File with the certificates to trust for `tls://`; None: the system's.
        autostart: Whether to start a node on this machine if none answers.

    Raises:
        ConfigError: A parameter is wrong.
    """
    where = Address.parse(default_address() if address is None else address)
    check_count("capacity", capacity)
    if autostart and where.kind != "unix":
        raise ConfigError(
            "autostart: only a node on this machine can be started, at a Unix socket"
        )
    tls = None
    if where.kind == "tls":
        try:
            tls = ssl.create_default_context(cafile=None if tls_ca is None else str(tls_ca))
        except OSError as error:
            raise ConfigError(f"tls_ca: {tls_ca}: {error}") from error
    if secret is None:
        secret = _secret_of_environment(where)
    elif not isinstance(secret, Secret):
        secret = Secret(secret)
    dialer = Dialer(where, secret, tls)
    begin = Starter(where) if autostart else None
    return ConnectedTelemetry(dialer, capacity=capacity, begin=begin)
