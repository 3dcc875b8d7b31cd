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

from ..errors import ConfigError, GreenroomError, LinkError
from .dialing import READ_BYTES, Connection, Dialer
from .frames import Ack, Drain, Ping, Pong, Refused, to_bytes
from .outbound import ENOUGH, Outbound

LINGER_SECONDS: Final = 0.02  # a batch waits so long for more calls, if the last one is as recent
RETRY_MIN_SECONDS: Final = 0.05
RETRY_MAX_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 1.0  # how long a call that came at the very moment of falling asleep may lie
PING_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 15.0
LOG_SECONDS: Final = 60.0
BATCH_BYTES_MAX: Final = 1_048_576  # whatever a node says
_NOTHING: Final = memoryview(b"")
_PING: Final = to_bytes(Ping())
_BUSY: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_log = logging.getLogger("greenroom.link")


class Courier:
    """Carries one `Outbound` over one connection at a time; made anew after a fork.

    Args:
        dialer: Makes connections.
        client_id: Of the outbound.
        begin: Called on the thread whenever nobody answers: may start a node.
        now: Monotonic seconds, by which a node is silent.
    """

    def __init__(
        self,
        dialer: Dialer,
        client_id: bytes,
        begin: Callable[[], None] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dialer = dialer
        self._client_id = client_id
        self._begin = begin
        self._now = now
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
        """Start the thread; where that cannot be, the next call tries again."""
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            thread = threading.Thread(target=self._run, name="greenroom-link", daemon=True)
            try:
                self._woken, self._bell = socket.socketpair()
                self._woken.setblocking(False)  # noqa: FBT003  # the standard library's form
                self._bell.setblocking(False)  # noqa: FBT003
                thread.start()
            except (OSError, RuntimeError) as error:  # no descriptor, no thread, or the very end
                self._close_bell()
                self._outbound.sleep_until(0)
                self._say(error)
            else:
                self._thread = thread

    def stop(self, timeout_seconds: float | None) -> None:
        """Hang up and end the thread."""
        with self._lock:
            self._stopped = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self.rouse()
            thread.join(timeout_seconds)

    def _close_bell(self) -> None:
        for end in (self._bell, self._woken):
            if end is not None:
                end.close()

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
                self._meet()
            except Exception as error:  # noqa: BLE001  # the top of a thread that must not end
                self._say(error)
            if self._stopped:
                break
            if time.monotonic() - began > RETRY_MAX_SECONDS:
                wait = RETRY_MIN_SECONDS  # it went well for a while
            self._pause(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, RETRY_MAX_SECONDS)
        self._close_bell()

    def _meet(self) -> None:
        """Connect, and carry calls until that connection ends.

        Raises:
            OSError, LinkError, ConfigError: There is none, or it ended unasked.
        """
        connection = self._connection = self._dial()
        self._outbound.connects += 1
        self._outbound.connected = True
        try:
            self._converse(connection)
        finally:
            self._outbound.connected = False
            self._connection = None
            connection.close()

    def _dial(self) -> Connection:
        try:
            return self._dialer.dial(self._client_id)
        except (OSError, LinkError, ConfigError):
            if self._begin is None or self._stopped:
                raise
        self._begin()
        return self._dialer.dial(self._client_id)

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
        outbound, sock = self._outbound, connection.sock
        outbound.begin_anew()
        outbound.batch_bytes = min(max(1, connection.welcome.batch_bytes), BATCH_BYTES_MAX)
        talk = _Talk(connection.welcome.window, self._now())
        self._obey_all(connection, talk)  # what came together with the welcome
        while not self._stopped:
            outbound.sleep_until(None)
            now = self._now()
            if not talk.out:
                talk.out = self._next(talk, now)
            if talk.out:
                left = _send(sock, talk.out)
                if len(left) < len(talk.out):
                    talk.sent_at = now
                talk.out = left
            if talk.last is not None and outbound.is_acked(talk.last):
                return
            quiet = now - max(talk.heard_at, talk.sent_at)
            if outbound.unacked_batches and quiet > PING_SECONDS:
                if quiet > SILENT_SECONDS:
                    raise LinkError(f"{connection.peer} has been silent for {SILENT_SECONDS:g} s")
                if not talk.out and now - talk.asked_at > PING_SECONDS:
                    talk.asked_at = now
                    talk.out = _send(sock, memoryview(_PING))
            if self._poll(sock, writes=bool(talk.out), seconds=self._sleep_seconds(talk)):
                self._hear(connection, talk)

    def _next(self, talk: _Talk, now: float) -> memoryview:
        """The next frame to send now; empty: none."""
        outbound = self._outbound
        if talk.last is not None:
            return _NOTHING
        frame = outbound.again(talk.window)
        if frame is None and outbound.unacked_batches < talk.window:
            waiting = len(outbound.waiting)
            due = talk.sent_at + LINGER_SECONDS
            if waiting and (self._urged or waiting >= ENOUGH or now >= due):
                frame = outbound.pack()
            if not outbound.waiting:
                self._urged = False
        return _NOTHING if frame is None else memoryview(frame)

    def _sleep_seconds(self, talk: _Talk) -> float:
        """How long nothing is to be done, and what the callers are to wake the thread for."""
        outbound = self._outbound
        if talk.out or talk.last is not None or outbound.unacked_batches >= talk.window:
            return PING_SECONDS  # an ack or a free socket comes first
        since = self._now() - talk.sent_at
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
            talk.heard_at = self._now()
            connection.reader.feed(data)
            self._obey_all(connection, talk)
            if len(data) < READ_BYTES and not isinstance(connection.sock, ssl.SSLSocket):
                return

    def _obey_all(self, connection: Connection, talk: _Talk) -> None:
        for frame in connection.reader.frames():
            if isinstance(frame, Ack):
                self._outbound.acked(frame.sequence)
            elif isinstance(frame, Drain):
                talk.last = frame.sequence
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
        """Log why there is no link, now and then; a bug with its traceback."""
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS and not self._stopped:
            self._logged_at = now
            _log.warning(
                "no link to %s: %s; calls wait (%d so far)",
                self._dialer.address,
                error,
                len(self._outbound.waiting),
                exc_info=None if isinstance(error, OSError | GreenroomError) else error,
            )


class _Talk:
    """What is known of the present connection."""

    __slots__ = ("asked_at", "heard_at", "last", "out", "sent_at", "window")

    def __init__(self, window: int, now: float) -> None:
        self.window = max(1, window)
        self.out = _NOTHING  # what the socket has not taken yet of the present frame
        self.last: int | None = None  # batch that the node takes before it ends; None: no end yet
        self.heard_at = self.asked_at = now
        self.sent_at = -LINGER_SECONDS


def _send(sock: socket.socket, out: memoryview) -> memoryview:
    """Send what the socket takes; what is left."""
    try:
        return out[sock.send(out) :]
    except _BUSY:
        return out
