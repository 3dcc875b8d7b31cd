"""One client, as its server sees it: not yet trusted, then joined, then gone."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from ..errors import LinkError
from .batches import count_of
from .frames import (
    BATCH_CALLS_MAX,
    FRAME_MAX,
    ID_BYTES,
    NONCE_BYTES,
    PREAMBLE,
    Answer,
    Ask,
    Batch,
    Drain,
    Frame,
    FrameReader,
    Hello,
    Join,
    Ping,
    Pong,
    Refused,
    Welcome,
    to_bytes,
)
from .proof import digest, is_proven

if TYPE_CHECKING:
    from .server import LinkServer

JOIN_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 5.0  # for the last words to somebody who does not read them
QUESTION_MAX: Final = 200
ABOUT_MAX: Final = 200
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid
_log = logging.getLogger("greenroom.link")


class Peer(asyncio.Protocol):
    """A connection to a client. Before it has joined, nothing of it is parsed but its `Join`.

    Args:
        server: Whose client it is.
        kind: Of the address it came by: "unix", "tcp" or "tls".
    """

    def __init__(self, server: LinkServer, kind: str) -> None:
        self._server = server
        self._kind = kind
        self._reader = FrameReader()
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_asking = False
        self._has_joined = False
        self._last = 0  # sequence of the last batch over this connection
        self._open: dict[int, bool] = {}  # batches that are not acknowledged: whether done
        self._is_held = False  # by the server, as too much is in the shard
        self._is_clogged = False  # it does not read what is written to it
        self.client_id = b""
        self.about = "somebody"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet it, if there is room."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        if self._kind == "unix" and not self._is_welcome(transport.get_extra_info("socket")):
            self.refuse("user", "this node belongs to another user")
            return
        if not self._server.may_join(self):
            code = "drain" if self._server.is_draining else "full"
            self.refuse(code, "this node takes no more clients")
            return
        if self._kind != "unix":  # a machine that vanished must not keep its place for ever
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        settings = self._server.settings
        self._timer = self._server.loop.call_later(JOIN_SECONDS, self.hang_up)
        self._transport.write(PREAMBLE)
        self.send(Hello(settings.node_id, settings.shard, self._nonce, self._kind != "unix"))

    def _is_welcome(self, sock: socket.socket) -> bool:
        if not hasattr(socket, "SO_PEERCRED"):
            return True  # then the directory's mode alone keeps others out
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _, uid, _ = _UCRED.unpack(raw)
        return uid in (0, os.getuid())

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; what it sent takes effect all the same."""
        if self._timer is not None:
            self._timer.cancel()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read frames; whoever breaks the protocol is told so and left."""
        try:
            self._reader.feed(data)
            for frame in self._reader.frames():
                if self._is_gone:
                    return
                self._obey(frame)
        except LinkError as error:
            self._server.complain(self, error)
            self.refuse(error.code or "protocol", error.reason)

    def _obey(self, frame: Frame) -> None:
        if not self._has_joined:
            if not isinstance(frame, Join):
                raise LinkError(f"a {type(frame).__name__} before its join")
            self._join(frame)
        elif isinstance(frame, Batch):
            self._take(frame)
        elif isinstance(frame, Ping):
            self.send(Pong())
        elif isinstance(frame, Ask):
            self._ask(frame)
        else:
            raise LinkError(f"a {type(frame).__name__} from a client")

    def _join(self, join: Join) -> None:
        if len(join.client_id) != ID_BYTES or len(join.nonce) != NONCE_BYTES:
            raise LinkError("a client id or nonce of another length")
        proof = b""
        if self._kind != "unix":
            secret = self._server.settings.secret
            assert secret is not None  # LinkSettings are checked when the node starts
            nonces = (self._nonce, join.nonce, join.client_id)
            if not is_proven(digest(secret, "client", *nonces), join.digest):
                raise LinkError("the secret is not proven", "secret")
            proof = digest(secret, "server", *nonces)
        if self._server.is_draining:
            raise LinkError("this node takes no more clients", "drain")
        about = join.about[:ABOUT_MAX]
        self.client_id = join.client_id
        self.about = about if about.isprintable() else repr(about)
        self._has_joined = True
        self._reader.max_bytes = FRAME_MAX
        if self._timer is not None:
            self._timer.cancel()
        self._server.joined(self)
        settings = self._server.settings
        self.send(Welcome(proof, settings.window, settings.batch_bytes))

    def _take(self, batch: Batch) -> None:
        if batch.sequence <= self._last:
            raise LinkError(f"batch {batch.sequence} after {self._last}")
        if len(self._open) >= self._server.settings.window:
            raise LinkError(f"more than {len(self._open)} batches unacknowledged")
        if not 1 <= batch.calls == count_of(batch.payload) <= BATCH_CALLS_MAX:
            raise LinkError(f"a batch of {batch.calls} calls that holds others, or too many")
        if not self._server.is_draining:
            self._last = batch.sequence
            self._open[batch.sequence] = False
            self._server.take(self, batch)

    def _ask(self, ask: Ask) -> None:
        if self._is_asking or len(ask.question) > QUESTION_MAX:
            raise LinkError("one question at a time, and a short one")
        self._is_asking = True
        loop = self._server.loop
        answer = loop.run_in_executor(None, self._server.answer, ask.question)

        def say(done: asyncio.Future[bytes]) -> None:
            self._is_asking = False
            if done.cancelled():
                return
            error = done.exception()
            if error is not None:
                _log.error("the answer to %r failed", ask.question, exc_info=error)
                self.refuse("failed", f"{type(error).__name__}: {error}"[:500])
            else:
                self.send(Answer(ask.number, done.result()))

        answer.add_done_callback(say)

    def drain(self) -> None:
        """What it sends from now on is not taken any more."""
        self.send(Drain(self._last))

    def done(self, sequence: int) -> int:
        """It took effect: the last one that did with all before it; 0: an earlier one has not."""
        self._open[sequence] = True
        last = 0
        for each in [*self._open]:  # in the order of their coming
            if not self._open[each]:
                break
            last = each
            del self._open[each]
        return last

    @property
    def _is_gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def send(self, frame: Frame) -> None:
        """Send a frame, if it is still there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(to_bytes(frame))

    def refuse(self, code: str, text: str) -> None:
        """Say why, and hang up."""
        if self._transport is not None and not self._transport.is_closing():
            if self._timer is None:  # it has not even been greeted
                self._transport.write(PREAMBLE)
            self._transport.write(to_bytes(Refused(code, text)))
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, once what was written to it is sent, if that is soon."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.close()
            if transport.get_write_buffer_size():
                self._server.loop.call_later(CLOSE_SECONDS, transport.abort)

    def hold(self) -> None:
        """Read nothing more until `let_go()`."""
        self._is_held = True
        self._read_or_not()

    def let_go(self) -> None:
        """Read on."""
        self._is_held = False
        self._read_or_not()

    def pause_writing(self) -> None:
        """It does not read: all that is said to it answers something, so hear nothing more."""
        self._is_clogged = True
        self._read_or_not()

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_clogged = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_held or self._is_clogged:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
