"""The frames on the wire: what is sealed, and what is checked before anybody looks inside.

    frame  = header | body | HMAC(key, "B" nonce body)
    header = fields | HMAC(key, fields)
    fields = "GRF1" kind(1) size(4) time(8) nonce(16) target IP(4) target port(2)

Numbers are big-endian; the time is in milliseconds since 1970, the HMACs are HMAC-SHA256. An
answer has no body, no second HMAC, and the nonce of the frame that it answers. The header is
checked as soon as it is there: whoever has no key makes a node hold 71 bytes, and never more.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from .refusals import Reason, RefusedError
from .secret import Secret

PURPOSE: Final = b"greenroom thespian frame 1"
MAGIC: Final = b"GRF1"
FIELDS: Final = struct.Struct(">4sBIQ16s4sH")
TAG_SIZE: Final = 32  # of HMAC-SHA256
HEADER_SIZE: Final = FIELDS.size + TAG_SIZE
NONCE_SIZE: Final = 16
MOST_BODY_BYTES: Final = 16 << 20  # 250 batches of the size that is best, 64 KB
WINDOW_MS: Final = 60_000  # how far the clocks of two nodes may be apart, and a frame old
NO_ENDPOINT: Final = ("0.0.0.0", 0)  # an answer is bound by its nonce, not by an address

Buffer = bytes | bytearray | memoryview
Endpoint = tuple[str, int]  # IPv4 address in its usual form, port


class Kind(IntEnum):
    """What a frame is."""

    MESSAGE = 1
    TAKEN = 2  # the answer that the message is with its receiver
    REFUSED = 3  # the answer that it will never take it


@dataclass(frozen=True, slots=True)
class Header:
    """What an authentic header says.

    Attributes:
        kind: Of the frame.
        body_size: How many bytes its body has.
        sealed_ms: When it was made, in milliseconds since 1970 by the sender's clock.
        nonce: No other message has the same.
        target: The endpoint that the message is for.
    """

    kind: Kind
    body_size: int
    sealed_ms: int
    nonce: bytes
    target: Endpoint

    @property
    def frame_size(self) -> int:
        """How many bytes the whole frame has."""
        if self.kind is Kind.MESSAGE:
            return HEADER_SIZE + self.body_size + TAG_SIZE
        return HEADER_SIZE


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class FrameKey:
    """Seals frames, and tells those that were sealed with the same secret.

    Args:
        secret: What the nodes share.
        clock: Milliseconds since 1970.
    """

    def __init__(self, secret: Secret, clock: Callable[[], int] = now_ms) -> None:
        self._key = secret.derive(PURPOSE)
        self._clock = clock
        self._keyed = hmac.new(self._key, digestmod="sha256")

    def seal_message(self, body: bytes, target: Endpoint) -> tuple[bytes, bytes]:
        """A frame for one endpoint, valid for the time window from now on, and its nonce."""
        nonce = secrets.token_bytes(NONCE_SIZE)
        header = self._seal_header(Kind.MESSAGE, len(body), nonce, target)
        return b"".join((header, body, self._body_tag(nonce, body))), nonce

    def seal_answer(self, kind: Kind, nonce: bytes) -> bytes:
        """The frame that says what became of the message with this nonce."""
        return self._seal_header(kind, 0, nonce, NO_ENDPOINT)

    def open_header(self, header: bytes) -> Header:
        """Check and read `HEADER_SIZE` bytes.

        Raises:
            RefusedError: They are not authentic, too old, or announce too much.
        """
        fields, tag = header[: FIELDS.size], header[FIELDS.size :]
        if not hmac.compare_digest(hmac.digest(self._key, fields, "sha256"), tag):
            raise RefusedError(Reason.UNAUTHENTIC)
        magic, kind, size, sealed_ms, nonce, address, port = FIELDS.unpack(fields)
        if magic != MAGIC or kind not in Kind.__members__.values():
            raise RefusedError(Reason.MALFORMED, "a frame of another version")
        if size > MOST_BODY_BYTES:
            raise RefusedError(Reason.TOO_LARGE)
        off_ms = self._clock() - sealed_ms
        if abs(off_ms) > WINDOW_MS:
            raise RefusedError(
                Reason.STALE, f"its clock is {off_ms / 1000:.0f} s behind, or it is that old"
            )
        return Header(Kind(kind), size, sealed_ms, nonce, (socket.inet_ntoa(address), port))

    def check_body(self, nonce: bytes, body: Buffer, tag: Buffer) -> None:
        """Check the second part of a frame whose header was authentic.

        Raises:
            RefusedError: It is not authentic.
        """
        if not hmac.compare_digest(self._body_tag(nonce, body), tag):
            raise RefusedError(Reason.UNAUTHENTIC)

    def _seal_header(self, kind: Kind, size: int, nonce: bytes, target: Endpoint) -> bytes:
        address, port = target
        fields = FIELDS.pack(
            MAGIC, kind, size, self._clock(), nonce, socket.inet_aton(address), port
        )
        return fields + hmac.digest(self._key, fields, "sha256")

    def _body_tag(self, nonce: bytes, body: Buffer) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(b"B")
        keyed.update(nonce)
        keyed.update(body)
        return keyed.digest()

    def __repr__(self) -> str:
        return "FrameKey(...)"
