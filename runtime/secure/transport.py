"""Thespian's TCP transport with sealed frames, on given addresses, and bounded.

The class changes a private copy of Thespian's module, so its own TCP base stays as it is. What the
copy's functions look up in their module is replaced first, and then the methods that need more.
"""

from __future__ import annotations

import logging
import os
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from thespian.system.transport import (
    ReceiveEnvelope,
    TransmitIntent,
)

from ...errors import MessageError
from .addresses import BoundAddress
from .allowed import ClassName, added_names, allow_names, dumps
from .buffers import FrameBuffer
from .frames import MOST_BODY_BYTES, Kind, now_ms
from .lifeline import die_with
from .logs import plain_record
from .pinned import check_installed, load_copy
from .refusals import Reason, RefusedError
from .secret import Secret
from .wire import configure, current, quiet_thespian, wired

MOST_UNAUTHENTICATED: Final = 128  # connections that have not said anything authentic
FRAME_PERIOD: Final = timedelta(seconds=20)  # for the whole of a frame: 7 Mbit/s for the largest

check_installed()
_copy = load_copy("thespian.system.transport.TCPTransport", f"{__package__}._tcp_copy")

if TYPE_CHECKING:
    from thespian.system.transport.TCPTransport import (
        ExternalTransportCopy,
        TCPEndpoint,
        TCPIncomingPersistent,
        TCPTransport,
    )
else:
    ExternalTransportCopy = _copy.ExternalTransportCopy
    TCPEndpoint = _copy.TCPEndpoint
    TCPIncomingPersistent = _copy.TCPIncomingPersistent
    TCPTransport = _copy.TCPTransport


@contextmanager
def exclusive_processing(transport: SecureTransport) -> Iterator[None]:
    """As Thespian's, which is never free again once the block has raised.

    Afterwards it is a good moment to log: a record is a message, which the transport can now take.
    """
    while not transport._exclusively_processing():
        time.sleep(0.000001)  # Thespian's; only where several threads use one actor system
    try:
        yield
    finally:
        transport._not_processing()
    current().refusals.report()


_replaced: Final[dict[str, object]] = {
    "TCPv4ActorAddress": BoundAddress,
    "ReceiveBuffer": FrameBuffer,
    "exclusive_processing": exclusive_processing,
    "MAX_INCOMING_SOCKET_PERIOD": FRAME_PERIOD,
    # made anew for each turn of the loop, and poll() needs no descriptor
    "selectors": SimpleNamespace(
        DefaultSelector=getattr(selectors, "PollSelector", selectors.DefaultSelector),
        EVENT_READ=selectors.EVENT_READ,
        EVENT_WRITE=selectors.EVENT_WRITE,
    ),
}
for _name, _value in _replaced.items():
    assert hasattr(_copy, _name), "the sources are the tested ones"
    setattr(_copy, _name, _value)


class SecureEndpoint(TCPEndpoint):
    """What a new process gets from its parent: Thespian's part, and what the wire needs.

    Args:
        args: Thespian's.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.parent: int = os.getpid()
        self.bind: str = current().bind
        self.allowed: tuple[ClassName, ...] = added_names()

    def begin(self) -> None:
        """Make this process, forked or spawned just now, one of the actor system's.

        Raises:
            ConfigError: It was spawned, and finds no secret in its environment.
        """
        die_with(self.parent)
        if wired():
            quiet_thespian()
        else:
            configure(Secret.from_environment(), self.bind)
            allow_names(self.allowed)


class SecureTransport(TCPTransport):
    """What an admin, a logger, an actor or a client of them sends and receives with.

    Args:
        init: What it is for: a client, or a process that was just started.
        args: Thespian's.
    """

    def __init__(self, init: object, *args: object) -> None:
        if isinstance(init, SecureEndpoint):
            init.begin()
        since_ms = now_ms()  # before it listens, so no frame for it is older
        super().__init__(init, *args)
        self._pid = os.getpid()
        self._endpoint = self.socket.getsockname()
        current().listen(self._endpoint, since_ms)

    def prepEndpoint(self, assignedLocalAddr: object, capabilities: object) -> SecureEndpoint:
        """What to start a child process with."""
        return SecureEndpoint(*super().prepEndpoint(assignedLocalAddr, capabilities).args)

    def external_transport_clone(self) -> SecureTransport:
        """Another endpoint of the same client."""
        return SecureTransport(ExternalTransportCopy(), self._adminAddr, self.txOnly, False)

    def close(self) -> None:
        """End all connections; in a forked child, leave those of the parent alone."""
        if getattr(self, "_pid", None) != os.getpid() or not hasattr(self, "socket"):
            return
        current().endpoints.pop(self._endpoint, None)
        # Thespian's close() leaves these to the garbage collector
        for idle in self._openSockets.values():
            idle.close()
        self._openSockets = {}
        self.socket.close()
        super().close()

    # --- sending

    def serializer(self, intent: TransmitIntent) -> bytes:
        """The body only: a frame is sealed when it is sent, so each retry is a new one.

        Raises:
            MessageError: The message does not fit in one frame.
        """
        message = intent.message
        if isinstance(message, logging.LogRecord):
            message = plain_record(message)
        body = dumps((self.myAddress, message))
        if len(body) > MOST_BODY_BYTES:
            raise MessageError(
                f"a {type(message).__name__} of {len(body)} bytes: nodes send each other "
                f"at most {MOST_BODY_BYTES} at once"
            )
        intent.body = body
        return body

    def _next_XMIT_2(self, intent: TransmitIntent) -> object:
        """Send, after sealing what is still to be begun."""
        if hasattr(intent, "socket") and intent.amtSent == 0:
            target = intent.targetAddr.addressDetails
            assert isinstance(target, BoundAddress), "there are no others here"
            intent.serMsg, intent.nonce = current().key.seal_message(intent.body, target.endpoint)
        return super()._next_XMIT_2(intent)

    def _next_XMIT_3(self, intent: TransmitIntent) -> object:
        """Begin to wait for the answer."""
        waiting = super()._next_XMIT_3(intent)
        intent.ackbuf.expect_answer(intent.nonce)
        return waiting

    def _next_XMIT_4(self, intent: TransmitIntent) -> object:
        """Receive the answer; after one that is refused, try again on another connection."""
        try:
            return super()._next_XMIT_4(intent)
        except RefusedError:
            intent.backoffPause(True)
            intent.stage = self._XMITStepRetry
            return self._nextTransmitStep(intent)

    def _check_XMIT_4_done(self, intent: TransmitIntent, received: bytes) -> object:
        """Receive the answer into this buffer, or into that after a message which crossed it."""
        intent.ackbuf.expect_answer(intent.nonce)
        return super()._check_XMIT_4_done(intent, received)

    # --- receiving

    def _acceptNewIncoming(self) -> None:
        """Accept one, and if there are too many that have not said anything, drop the oldest."""
        super()._acceptNewIncoming()
        silent = [
            number
            for number, incoming in self._incomingSockets.items()
            if incoming.fromAddress.addressDetails is None
        ]
        if len(silent) > MOST_UNAUTHENTICATED:
            current().refusals.count(Reason.CROWDED_OUT)
            self._incomingSockets.pop(silent[0]).close()

    def _handlePossibleIncoming(
        self,
        incomingSocket: TCPIncomingPersistent,
        fileno: int,
        closed: bool = False,
        has_exclusive_flag: bool = False,
    ) -> TCPIncomingPersistent | None:
        """Receive from a connection, and note whether it ended within a frame."""
        kept = super()._handlePossibleIncoming(incomingSocket, fileno, closed, has_exclusive_flag)
        if kept is None and incomingSocket._rData.cut_off:
            current().refusals.count(Reason.CUT_OFF)
        return kept

    def _addedDataToIncoming(
        self,
        inc: TCPIncomingPersistent,
        skipFinish: bool = False,
        has_exclusive_flag: bool = False,
    ) -> TCPIncomingPersistent | None:
        """Hand on the message that is complete, and answer it.

        Returns:
            The connection, if it is within a frame; else it is closed, or waits for the next one.
        """
        if not inc.receivedAllData():
            return inc
        buffer = inc._rData
        assert buffer.header is not None, "all data was received"
        try:
            content, extra = inc.data
        except RefusedError as refused:
            if refused.reason in (Reason.FORBIDDEN_CLASS, Reason.MALFORMED):
                # from somebody who has the key, and would try again for minutes
                self._answer(inc, Kind.REFUSED, buffer.header.nonce)
            inc.close()
            return None
        envelope = ReceiveEnvelope(*content)
        self._answer(inc, Kind.TAKEN, buffer.header.nonce)
        inc.fromAddress = envelope.sender
        self._processReceivedEnvelope(envelope, has_exclusive_flag=has_exclusive_flag)
        if extra:
            following = TCPIncomingPersistent(inc.fromAddress, inc.socket)
            try:
                following.addData(extra)
            except RefusedError:
                following.close()
                return None
            return self._addedDataToIncoming(following, has_exclusive_flag=has_exclusive_flag)
        if not skipFinish:
            self._finishIncoming(inc, envelope.sender)
        return None

    @staticmethod
    def _answer(incoming: TCPIncomingPersistent, kind: Kind, nonce: bytes) -> None:
        with suppress(OSError):  # then the sender tries again, on another connection
            incoming.socket.send(current().key.seal_answer(kind, nonce))
