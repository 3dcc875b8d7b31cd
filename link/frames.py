"""The frames of the link: a length, then a msgpack array of a kind and its fields.

    u32 length (big endian) | [kind, field, field, …]

Nothing is parsed before its length is known to be allowed, and fields are never nested, so bytes
from anywhere give either a frame or `LinkError`. Source of the form: Fluentd's Forward protocol
(chunks with ids that are acknowledged, a handshake with a shared key). See docs/link.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias, get_args, get_type_hints

import msgpack

from ..errors import LinkError
from ..messages.codec import MAX_BYTES as CALL_MAX

VERSION: Final = 1
PREAMBLE: Final = b"GRL" + bytes([VERSION])  # what each side sends first
HANDSHAKE_MAX: Final = 4096  # bytes of a frame of somebody who has not joined
FRAME_MAX: Final = CALL_MAX + 65_536  # one call of the largest size, and what is around it
BATCH_CALLS_MAX: Final = 8_192  # four times what fills a batch; bounds what one frame may cost
ID_BYTES: Final = 16
NONCE_BYTES: Final = 32
_LENGTH: Final = struct.Struct(">I")
_FIELDS_MAX: Final = 16


class Hello(NamedTuple):
    """Server: who it is, and what it wants to have proven."""

    node_id: str
    shard: int
    nonce: bytes
    needs_secret: bool


class Join(NamedTuple):
    """Client: who it is; `digest` proves the secret, and is empty where none is needed."""

    client_id: bytes
    nonce: bytes
    digest: bytes
    about: str  # for the server's log: its program and process id


class Welcome(NamedTuple):
    """Server: the client may send; `digest` proves the secret to it in turn."""

    digest: bytes
    window: int  # batches that may be unacknowledged
    batch_bytes: int  # a batch of several calls should not be longer


class Refused(NamedTuple):
    """Server: the last word before it closes. `code` is for programs, `text` for people."""

    code: str
    text: str


class Batch(NamedTuple):
    """Client: `calls` calls. A sequence that the server has already is acknowledged again."""

    sequence: int  # 1, 2, 3 … of this client id; on one connection each is above the last
    calls: int  # at most BATCH_CALLS_MAX
    payload: bytes  # see batches.py


class Ack(NamedTuple):
    """Server: this batch and all before it took effect."""

    sequence: int


class Drain(NamedTuple):
    """Server: it takes no batch after this one; look for another server."""

    sequence: int  # the last that it took of this connection; 0: none


class Ping(NamedTuple):
    """Client: is anybody there?"""


class Pong(NamedTuple):
    """Server: yes."""


class Ask(NamedTuple):
    """Client: a question about the node, such as `status`."""

    number: int
    question: str


class Answer(NamedTuple):
    """Server: the answer to the question of that number, as JSON."""

    number: int
    body: bytes


Frame: TypeAlias = (
    Hello | Join | Welcome | Refused | Batch | Ack | Drain | Ping | Pong | Ask | Answer
)
_KINDS: Final[dict[str, type[Any]]] = {kind.__name__.lower(): kind for kind in get_args(Frame)}
_TYPES: Final = {
    name: tuple(get_type_hints(kind)[field] for field in kind._fields)
    for name, kind in _KINDS.items()
}
_pack = msgpack.packb


def to_bytes(frame: Frame) -> bytes:
    """The frame as it travels, its length before it."""
    body: bytes = _pack((type(frame).__name__.lower(), *frame))
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Takes bytes as they come, gives whole frames.

    Args:
        max_bytes: No frame may be longer; may be set anew between two frames.
    """

    __slots__ = ("_buffer", "_needs_preamble", "max_bytes")

    def __init__(self, max_bytes: int = HANDSHAKE_MAX) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()
        self._needs_preamble = True

    def feed(self, data: bytes) -> None:
        """Take more bytes; at most one frame's worth of them should be given at a time."""
        self._buffer += data

    def frames(self) -> Iterator[Frame]:
        """The frames that are complete.

        Raises:
            LinkError: The other side does not speak this protocol; the reader is of no use then.
        """
        buffer = self._buffer
        if self._needs_preamble:
            if not PREAMBLE.startswith(buffer[: len(PREAMBLE)]):
                raise LinkError(_why_not(bytes(buffer[: len(PREAMBLE)])))
            if len(buffer) < len(PREAMBLE):
                return
            del buffer[: len(PREAMBLE)]
            self._needs_preamble = False
        while len(buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer)
            if length > self.max_bytes:
                raise LinkError(f"a frame of {length} bytes; {self.max_bytes} are allowed")
            end = _LENGTH.size + length
            if len(buffer) < end:
                return
            body = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            yield _from_bytes(body)


def _why_not(start: bytes) -> str:
    if start[:3] == PREAMBLE[:3]:
        return f"version {start[3]} of the link; this is version {VERSION}"
    return "not the link protocol"


def _from_bytes(body: bytes) -> Frame:
    try:
        kind, *fields = msgpack.unpackb(
            body, max_array_len=_FIELDS_MAX, max_map_len=0, max_ext_len=0
        )
        types = _TYPES[kind]
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise LinkError(f"malformed frame: {type(error).__name__}") from None
    if len(fields) != len(types) or any(
        type(field) is not wanted for field, wanted in zip(fields, types, strict=True)
    ):
        raise LinkError(f"malformed frame: the fields of {kind!r}")
    if any(type(field) is int and not 0 <= field < 2**63 for field in fields):
        raise LinkError(f"malformed frame: a number of {kind!r}")
    frame: Frame = _KINDS[kind](*fields)
    return frame
