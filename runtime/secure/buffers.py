"""What one connection has received of the frame that it is receiving."""

from __future__ import annotations

from typing import Final

from thespian.actors import ActorAddress

from .allowed import loads
from .frames import HEADER_SIZE, TAG_SIZE, Header, Kind
from .refusals import Reason, RefusedError
from .wire import current

# what Thespian's transport understands: streamBuffer.ackPacket and ackDataErrPacket
ANSWERS: Final = {Kind.TAKEN: "ACK", Kind.REFUSED: "ACK+DATAERR"}

READ_AHEAD: Final = 80 << 10  # a batch of 64 KB, and what is around it

Content = str | tuple[ActorAddress, object]  # an answer, or a sender and its message


class FrameBuffer:
    """Takes the place of Thespian's `ReceiveBuffer`, and has its methods.

    Args:
        deserialize: Thespian's; not used.
    """

    def __init__(self, deserialize: object = None) -> None:
        self._wire = current()
        self._received = bytearray()
        self._answer_to: bytes | None = None
        self._content: Content | None = None
        self._refused = False
        self.header: Header | None = None

    def expect_answer(self, nonce: bytes) -> None:
        """This connection waits for the answer to the message with this nonce."""
        self._answer_to = nonce

    @property
    def cut_off(self) -> bool:
        """Whether it would be lost if the connection ended now."""
        return bool(self._received) and not self._refused and not self.isDone()

    def addMore(self, data: bytes | str) -> None:
        """Take what was received.

        Raises:
            RefusedError: It is the end of a header that is not admitted.
        """
        if not data:
            return  # Thespian says "" for nothing
        assert not isinstance(data, str), "sockets give bytes"
        self._received += data
        if self.header is None and len(self._received) >= HEADER_SIZE:
            try:
                header = self._wire.key.open_header(bytes(self._received[:HEADER_SIZE]))
                self._wire.admit(header, self._answer_to)
            except RefusedError as refused:
                self._refuse(refused)
                raise
            self.header = header

    def remainingAmount(self) -> int:
        """How many bytes to receive next, at most.

        The header is checked when it is there, so of what is received with it nothing is kept
        unless it is authentic; and most frames are here at once.
        """
        if self.header is not None:
            return self.header.frame_size - len(self._received)
        ahead = 0 if self._answer_to is not None else READ_AHEAD
        return HEADER_SIZE + ahead - len(self._received)

    def isDone(self) -> bool:
        """Whether the frame is here."""
        return self.header is not None and len(self._received) >= self.header.frame_size

    def is_empty(self) -> bool:
        """Whether nothing is here."""
        return not self._received

    def removeExtra(self) -> None:
        """Forget what followed the frame."""
        if self.header is not None:
            del self._received[self.header.frame_size :]

    def completed(self) -> tuple[Content, bytes] | None:
        """The content and what followed the frame, or None as long as it is not here.

        Raises:
            RefusedError: It is not authentic, a copy, or nothing that is allowed.
        """
        if self.header is None or not self.isDone():
            return None
        extra = bytes(self._received[self.header.frame_size :])
        if self._content is None:  # Thespian looks twice when two messages cross
            try:
                self._content = self._open(self.header)
            except RefusedError as refused:
                self._refuse(refused)
                raise
        return self._content, extra

    def _open(self, header: Header) -> Content:
        if header.kind is not Kind.MESSAGE:
            return ANSWERS[header.kind]
        with memoryview(self._received) as received:
            end = header.frame_size - TAG_SIZE
            with received[HEADER_SIZE:end] as body, received[end : header.frame_size] as tag:
                self._wire.key.check_body(header.nonce, body, tag)
                if not self._wire.nonces.add(header.nonce):
                    raise RefusedError(Reason.REPLAYED)
                content = loads(body)
        if not isinstance(content, tuple) or len(content) != 2:
            raise RefusedError(Reason.MALFORMED, "not a sender and a message")
        sender, message = content
        if not isinstance(sender, ActorAddress):
            raise RefusedError(Reason.MALFORMED, "the sender is no address")
        return sender, message

    def _refuse(self, refused: RefusedError) -> None:
        self._refused = True
        self._wire.refusals.count(refused.reason, refused.detail)
