"""The node's end of the link: one thread that takes batches of many clients and acks them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ..adapters.loops import new_event_loop
from ..errors import ConfigError, LifecycleError, LinkError
from ..runtime.secure.secret import Secret
from .address import Address
from .frames import Ack, Batch
from .intake import RECENT, Taker
from .listening import BACKLOG, listen
from .outbound import BATCH_BYTES, WINDOW
from .peer import JOIN_SECONDS, Peer

CLIENTS_MAX: Final = 4_096
JOINING_MAX: Final = 128
CALLS_MAX: Final = 65_536  # in the shard at once; more stay in the sockets and with the clients
BYTES_MAX: Final = 67_108_864  # likewise: a thousand full batches
CLOSE_SECONDS: Final = 2.0
LOG_SECONDS: Final = 60.0
_log = logging.getLogger("greenroom.link")

Answerer = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How a node lets clients in.

    Args:
        addresses: Where it listens.
        secret: What clients at other than Unix sockets must prove.
        tls: For `tls://` addresses.
        node_id: Named to clients.
        shard: Likewise.
        window: Batches of a client that may be unacknowledged.
        batch_bytes: How long they should be at most.
        calls_max: Calls that may be on their way through the shard at once.
        bytes_max: As many bytes of them.

    Raises:
        ConfigError: They do not fit together.
    """

    addresses: tuple[Address, ...]
    secret: Secret | None = None
    tls: ssl.SSLContext | None = None
    node_id: str = ""
    shard: int = 0
    window: int = WINDOW
    batch_bytes: int = BATCH_BYTES
    calls_max: int = CALLS_MAX
    bytes_max: int = BYTES_MAX

    def __post_init__(self) -> None:
        """Refuse what would let anybody in, or forget batches that may come again."""
        kinds = {address.kind for address in self.addresses}
        if self.secret is None and kinds - {"unix"}:
            raise ConfigError("secret: clients at other than Unix sockets must prove one")
        if self.tls is None and "tls" in kinds:
            raise ConfigError("tls: a tls:// address needs a certificate")
        if not 1 <= self.window <= RECENT:
            raise ConfigError(f"window: 1 to {RECENT}, got {self.window}")


class LinkServer:
    """Listens for clients, on a thread of its own.

    Args:
        settings: How.
        taker: Where batches go; told on this thread.
        answer: The answer to a client's question, as JSON; on a thread of its own, may block.

    Raises:
        ConfigError: An address cannot be listened at.
    """

    def __init__(self, settings: LinkSettings, taker: Taker, answer: Answerer) -> None:
        self.settings = settings
        self._taker = taker
        self.answer = answer
        self.peers: set[Peer] = set()
        self.joining: dict[Peer, None] = {}  # those who have not joined, the oldest first
        self._calls = self._bytes = 0  # in the shard
        self._held: deque[Peer] = deque()
        self._done: deque[tuple[Peer, int, int, int]] = deque()
        self._will_acknowledge = False
        self._strange = 0
        self._complained_at = -LOG_SECONDS
        self._draining = False
        self._sockets: list[tuple[Address, socket.socket, int]] = []
        try:
            for address in settings.addresses:
                self._sockets.append((address, listen(address), _inode(address)))
        except BaseException:
            self._close_sockets()
            raise
        self.addresses = tuple(_actual(address, sock) for address, sock, _ in self._sockets)
        self.loop = new_event_loop()
        self._ends = asyncio.Event()
        self._servers: list[asyncio.AbstractServer] = []
        self._thread = threading.Thread(
            target=self._run, name="greenroom-link-server", daemon=True
        )

    def start(self) -> None:
        """Let clients in."""
        self._thread.start()

    def drain(self, timeout_seconds: float | None) -> bool:
        """Take nothing more, and wait until all that was taken is acknowledged."""
        idle = asyncio.run_coroutine_threadsafe(self._drain(), self.loop)
        try:
            return idle.result(timeout_seconds)
        except TimeoutError:
            idle.cancel()
            return False

    def close(self) -> None:
        """Hang up on everybody, and end the thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(CLOSE_SECONDS)
        elif not self.loop.is_closed():  # it was never started
            self.loop.close()
        self._close_sockets()

    # ── on the thread ────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._live())
        finally:
            self.loop.close()

    async def _live(self) -> None:
        for address, sock, _ in self._sockets:
            self._servers.append(await self._serve(address, sock))
        await self._ends.wait()
        for peer in [*self.peers, *self.joining]:
            peer.hang_up()
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # the transports close

    async def _serve(self, address: Address, sock: socket.socket) -> asyncio.AbstractServer:
        def peer() -> Peer:
            return Peer(self, address.kind)

        if address.kind == "unix":
            return await self.loop.create_unix_server(peer, sock=sock, backlog=BACKLOG)
        if address.kind == "tcp":
            return await self.loop.create_server(peer, sock=sock, backlog=BACKLOG)
        return await self.loop.create_server(
            peer,
            sock=sock,
            backlog=BACKLOG,
            ssl=self.settings.tls,
            ssl_handshake_timeout=JOIN_SECONDS,
            ssl_shutdown_timeout=CLOSE_SECONDS,
        )

    def may_join(self, peer: Peer) -> bool:
        """Remember somebody new; the oldest who has not joined makes room."""
        if self._draining or len(self.peers) >= CLIENTS_MAX:
            return False
        self.joining[peer] = None
        if len(self.joining) > JOINING_MAX:
            oldest = next(iter(self.joining))
            self.forget(oldest)
            oldest.hang_up()
        return True

    def joined(self, peer: Peer) -> None:
        """The peer has proven what it has to."""
        self.joining.pop(peer, None)
        self.peers.add(peer)

    def forget(self, peer: Peer) -> None:
        """The peer is gone."""
        self.joining.pop(peer, None)
        self.peers.discard(peer)

    def complain(self, peer: Peer, error: LinkError) -> None:
        """Log who broke the protocol; strangers, who may be many, once in a while."""
        if peer in self.peers:
            _log.warning("%s broke the link's protocol: %s", peer.about, error)
            return
        self._strange += 1
        now = self.loop.time()
        if now - self._complained_at >= LOG_SECONDS:
            _log.warning(
                "somebody who had not joined was refused: %s; %d so far", error, self._strange
            )
            self._complained_at = now

    def take(self, peer: Peer, batch: Batch) -> None:
        """Let a batch enter the shard; read no more of this peer while there is too much in it."""
        count, size = batch.calls, len(batch.payload)
        on_done = partial(self._on_done, peer, batch.sequence, count, size)
        try:
            self._taker.take(peer.client_id, batch.sequence, batch.payload, on_done)
        except LifecycleError as error:
            peer.refuse("broken", str(error))
            return
        self._calls += count
        self._bytes += size
        if self._is_full:
            peer.hold()
            self._held.append(peer)

    @property
    def _is_full(self) -> bool:
        return self._calls > self.settings.calls_max or self._bytes > self.settings.bytes_max

    def _on_done(self, peer: Peer, sequence: int, count: int, size: int) -> None:
        """A batch took effect; on whatever thread, and on several at once."""
        self._done.append((peer, sequence, count, size))
        if not self._will_acknowledge:
            self._will_acknowledge = True
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._acknowledge)

    def _acknowledge(self) -> None:
        self._will_acknowledge = False  # before looking: what comes now rings again
        acks: dict[Peer, int] = {}
        while self._done:
            peer, sequence, count, size = self._done.popleft()
            self._calls -= count
            self._bytes -= size
            if done := peer.done(sequence):
                acks[peer] = done
        for peer, sequence in acks.items():
            peer.send(Ack(sequence))
        while self._held and not self._is_full:
            self._held.popleft().let_go()

    async def _drain(self) -> bool:
        self._draining = True
        for server in self._servers:
            server.close()
        for peer in [*self.peers]:
            peer.drain()
        while self._calls or self._done:
            await asyncio.sleep(0.01)
        return True

    @property
    def is_draining(self) -> bool:
        """Whether batches are ignored: clients send them to another server."""
        return self._draining

    def _close_sockets(self) -> None:
        for address, sock, inode in self._sockets:
            if address.kind == "unix" and _inode(address) == inode:  # else another took the place
                Path(address.path).unlink(missing_ok=True)
            sock.close()
        self._sockets.clear()


def _actual(address: Address, sock: socket.socket) -> Address:
    """With the port that the kernel chose."""
    if address.kind == "unix":
        return address
    return Address(address.kind, host=address.host, port=sock.getsockname()[1])


def _inode(address: Address) -> int:
    """Of the socket that is at a path now; 0: none is."""
    try:
        return Path(address.path).stat().st_ino if address.kind == "unix" else 0
    except OSError:
        return 0
