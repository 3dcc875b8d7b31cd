"""The thread that carries a process's calls to the node, and comes back for more."""

from __future__ import annotations

import contextlib
import logging
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Final

from ..errors import ConfigError, LinkError
from .dialing import READ_BYTES, Connection, Dialer
from .frames import Ack, Drain, Frame, Ping, Pong, Refused, to_bytes
from .outbound import ENOUGH, Outbound

LINGER_SECONDS: Final = 0.02  # a batch waits so long for more calls, if the last one is as recent
RETRY_MIN_SECONDS: Final = 0.05
RETRY_MAX_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 1.0  # how long a call that came at the very moment of falling asleep may lie
PING_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 15.0
LOG_SECONDS: Final = 60.0
_BUSY: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_log = logging.getLogger("greenroom.link")


class Courier:
    """Carries one `Outbound` over one connection at a time; made anew after a fork.

    Args:
        dialer: Makes connections.
        client_id: Of the outbound.
        begin: Called on the thread before it dials for the first time, and whenever nobody
            answers: may start a node.
    """

    def __init__(
        self, dialer: Dialer, client_id: bytes, begin: Callable[[], None] | None = None
    ) -> None:
        self._dialer = dialer
        self._client_id = client_id
        self._begin = begin
        self._outbound: Outbound
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None  # its other end wakes the thread
        self._woken: socket.socket | None = None
        self._connection: Connection | None = None
        self._stopped = self._urged = False
        self._logged_at = -LOG_SECONDS

    def carry(self, outbound: Outbound) -> None:
        """What to carry; once, before the first rouse."""
        self._outbound = outbound

    def rouse(self) -> None:
        """Wake the thread, or start it; from any thread."""
        self._outbound.sleep_until(None)  # so that the next calls need not ring too
        if self._thread is None:
            self._start()
        elif self._bell is not None:
            with contextlib.suppress(OSError):  # full of rings, or just closed: it looks anyway
                self._bell.send(b"\0")

    def urge(self) -> None:
        """Somebody waits: do not linger."""
        self._urged = True
        self.rouse()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            self._woken, self._bell = socket.socketpair()
            self._woken.setblocking(False)  # noqa: FBT003  # the standard library's form
            self._bell.setblocking(False)  # noqa: FBT003
            self._thread = threading.Thread(target=self._run, name="greenroom-link", daemon=True)
            self._thread.start()

    def stop(self, timeout_seconds: float | None) -> None:
        """Hang up and end the thread."""
        with self._lock:
            self._stopped = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self.rouse()
            thread.join(timeout_seconds)

    def disown(self) -> None:
        """This is a forked child: close its copies of the parent's descriptors, say nothing."""
        for end in (self._connection, self._bell, self._woken):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()

    # ── on the thread ────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        wait = RETRY_MIN_SECONDS
        while not self._stopped:
            began = time.monotonic()
            try:
                self._connection = self._dialer.dial(self._client_id)
                self._outbound.connects += 1
                self._outbound.connected = True
                self._converse(self._connection)
            except (OSError, LinkError, ConfigError) as error:
                self._say(error)
            finally:
                self._outbound.connected = False
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
            if self._stopped:
                break
            if time.monotonic() - began > RETRY_MAX_SECONDS:
                wait = RETRY_MIN_SECONDS  # it went well for a while
            elif self._begin is not None:
                self._begin()
            self._pause(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, RETRY_MAX_SECONDS)
        for end in (self._bell, self._woken):
            if end is not None:
                end.close()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped and (left := until - time.monotonic()) > 0:
            self._outbound.sleep_until(None)
            self._poll(None, writes=False, seconds=left)

    def _converse(self, connection: Connection) -> None:
        """Send batches and hear acks until the connection ends.

        Raises:
            OSError, LinkError: It ended in another way than asked for.
        """
        outbound, window = self._outbound, max(1, connection.welcome.window)
        outbound.batch_bytes = connection.welcome.batch_bytes or outbound.batch_bytes
        out = memoryview(b"".join(outbound.again()))
        talk = _Talk()
        while not self._stopped:
            now = time.monotonic()
            outbound.sleep_until(None)
            if not talk.draining and not out and outbound.unacked_batches < window:
                waiting = len(outbound.waiting)
                due = talk.sent_at + LINGER_SECONDS
                if waiting and (self._urged or waiting >= ENOUGH or now >= due):
                    frame = outbound.pack()
                    if frame is not None:
                        out, talk.sent_at = memoryview(frame), now
                if not outbound.waiting:
                    self._urged = False
            if out:
                out = _send(connection.sock, out)
            if talk.draining and not outbound.unacked_batches:
                return
            if not out and now - talk.heard_at > PING_SECONDS and outbound.unacked_batches:
                if now - talk.heard_at > SILENT_SECONDS:
                    raise LinkError(f"{connection.peer} has been silent for {SILENT_SECONDS:g} s")
                if now - talk.asked_at > PING_SECONDS:
                    out, talk.asked_at = memoryview(to_bytes(Ping())), now
                    continue
            seconds = self._sleep_seconds(talk, window, out)
            if self._poll(connection.sock, writes=bool(out), seconds=seconds):
                self._hear(connection, talk)

    def _sleep_seconds(self, talk: _Talk, window: int, out: memoryview) -> float:
        """How long nothing is to be done, and what the callers are to wake the thread for."""
        outbound = self._outbound
        if out or talk.draining or outbound.unacked_batches >= window:
            return PING_SECONDS  # an ack or a free socket comes first
        since = time.monotonic() - talk.sent_at
        if outbound.waiting or since <= LINGER_SECONDS:
            outbound.sleep_until(ENOUGH)
            hurry = self._urged or len(outbound.waiting) >= ENOUGH
            return 0.0 if hurry else max(0.0, LINGER_SECONDS - since)
        outbound.sleep_until(0)
        if outbound.waiting:
            return 0.0
        return LINGER_SECONDS if since < 3 * LINGER_SECONDS else IDLE_SECONDS

    def _hear(self, connection: Connection, talk: _Talk) -> None:
        while True:
            try:
                data = connection.sock.recv(READ_BYTES)
            except _BUSY:
                return
            if not data:
                raise LinkError(f"{connection.peer} closed the connection")
            talk.heard_at = time.monotonic()
            connection.reader.feed(data)
            for frame in connection.reader.frames():
                self._obey(frame, talk)
            if len(data) < READ_BYTES and not isinstance(connection.sock, ssl.SSLSocket):
                return

    def _obey(self, frame: Frame, talk: _Talk) -> None:
        if isinstance(frame, Ack):
            self._outbound.acked(frame.sequence)
        elif isinstance(frame, Drain):
            talk.draining = True
        elif isinstance(frame, Refused):
            raise LinkError(frame.text, frame.code)
        elif not isinstance(frame, Pong):
            raise LinkError(f"a {type(frame).__name__} from a node")

    def _poll(self, sock: socket.socket | None, *, writes: bool, seconds: float) -> bool:
        """Sleep until the node says something (True), takes more, or somebody rings."""
        poll = select.poll()
        woken = self._woken
        assert woken is not None
        poll.register(woken, select.POLLIN)
        if sock is not None:
            poll.register(sock, select.POLLIN | (select.POLLOUT if writes else 0))
        events = dict(poll.poll(seconds * 1000))
        if woken.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                woken.recv(READ_BYTES)
        return sock is not None and bool(events.get(sock.fileno(), 0) & ~select.POLLOUT)

    def _say(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS and not self._stopped:
            self._logged_at = now
            _log.warning(
                "no link to %s: %s; calls wait (%d so far)",
                self._dialer.address,
                error,
                len(self._outbound.waiting),
            )


class _Talk:
    """What is known of the present connection."""

    __slots__ = ("asked_at", "draining", "heard_at", "sent_at")

    def __init__(self) -> None:
        self.heard_at = self.asked_at = time.monotonic()
        self.sent_at = 0.0
        self.draining = False


def _send(sock: socket.socket, out: memoryview) -> memoryview:
    """Send what the socket takes; what is left."""
    try:
        return out[sock.send(out) :]
    except _BUSY:
        return out
