"""Every error greenroom raises, one tree.

GreenroomError
├─ ConfigError (also ValueError)        your settings are wrong; raised before anything starts
├─ MessageError
│  ├─ DecodeError                       these bytes are not a greenroom message
│  ├─ UnknownMessageError               an actor was sent something it has no handler for
│  └─ NotReplayableError                a dead letter that cannot be replayed; says what to do
├─ TransportError                       a webhook attempt got no HTTP answer
├─ UnsendableError                      a webhook cannot be signed as it was asked for
├─ ReceiveError                         a webhook that arrived is refused; `status` answers it
│  ├─ BodyTooLargeError                 it is longer than the receiver takes
│  ├─ NotAnEventError                   rightly signed, and no webhook event
│  └─ SignatureError                    nobody can tell who sent it
│     ├─ MissingHeaderError             what is needed to verify it is not there
│     ├─ MalformedHeaderError           a header is not of its form
│     ├─ UnknownKeyError                signed by a key that the receiver does not have
│     ├─ WrongSignatureError            another secret, or something was changed on the way
│     ├─ BodyChangedError               the token is right, and was made for another body
│     └─ StaleError                     too old or from the future; one of the clocks may be wrong
├─ RecordingError (also ValueError)     a recording or vector file is wrong; says file:line
├─ LinkError                            the other side of a link broke the protocol, or refused
├─ StoreError                           the database in data_dir cannot be used, or lost a write
└─ LifecycleError
   ├─ RestartBudgetError                an actor failed more often than its child spec bears
   ├─ SystemClosedError                 used after close()
   └─ SystemBrokenError                 the dispatch thread died or is stuck; __cause__ says why

HandlerTimeoutError (BaseException)     raised in a handler that takes too long, to end it
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class GreenroomError(Exception):
    """Base of every error that greenroom raises on purpose."""


class ConfigError(GreenroomError, ValueError):
    """A setting is wrong; the text names the setting and says what it may be."""


class MessageError(GreenroomError):
    """A message cannot be understood."""


class DecodeError(MessageError):
    """Bytes are not a message of this codec: wrong tag, version, shape, size or type.

    Args:
        reason: What is wrong, without the payload (it may hold personal data).
        tag: The type tag, if one could be read.
        length: How many bytes were given.
    """

    def __init__(self, reason: str, *, tag: str | None = None, length: int = 0) -> None:
        super().__init__(f"{reason} (tag {tag!r}, {length} bytes)")
        self.reason = reason
        self.tag = tag
        self.length = length


class UnknownMessageError(MessageError):
    """No handler (or no codec tag) exists for this type of message."""


class NotReplayableError(MessageError):
    """A dead letter cannot be replayed, and the text says why and what to do instead."""


class TransportError(GreenroomError):
    """A webhook attempt ended without an HTTP answer: refused, reset, timed out, bad URL.

    Args:
        reason: The text for `WebhookInfo.send_error`, in the words of Go's HTTP client.
        retryable: False when another attempt cannot help (scheme, certificate, invalid URL).
        sent: False when not even an attempt could be made (the URL does not parse).
    """

    def __init__(self, reason: str, *, retryable: bool = True, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.sent = sent


class UnsendableError(GreenroomError):
    """A webhook cannot be signed: no secret, or one that cannot sign; it is not in the text."""


class ReceiveError(GreenroomError):
    """A webhook that arrived is refused; the text says why and holds neither secret nor body."""

    status: ClassVar[int] = 400  # of the HTTP answer


class BodyTooLargeError(ReceiveError):
    """The body is longer than the receiver takes."""

    status = 413


class NotAnEventError(ReceiveError):
    """The body is rightly signed, and is no `livekit.WebhookEvent` as JSON."""


class SignatureError(ReceiveError):
    """It is not proven that a holder of a known key sent this just now."""

    status = 401


class MissingHeaderError(SignatureError):
    """A header that is needed is not there.

    Args:
        name: The header, in lower case.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"no {name} header")
        self.name = name


class MalformedHeaderError(SignatureError):
    """A header is not of its form, or there twice.

    Args:
        name: The header, in lower case.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name


class UnknownKeyError(SignatureError):
    """The token names an API key that the receiver does not have."""

    def __init__(self, api_key: str) -> None:
        super().__init__(f"unknown API key {api_key!r}")
        self.api_key = api_key


class WrongSignatureError(SignatureError):
    """No known secret made this signature for this request."""


class BodyChangedError(SignatureError):
    """The token is right, and was made for another body: read the raw bytes, not parsed JSON."""


class StaleError(SignatureError):
    """It was signed too long ago, or in the future.

    Args:
        what: `signed`, or which of the token's times is off.
        off_seconds: How much older (or, below 0, younger) than the receiver's clock it is.
        tolerance_seconds: How much may be.
    """

    def __init__(self, what: str, off_seconds: float, tolerance_seconds: float) -> None:
        side = "ago" if off_seconds > 0 else "in the future"
        super().__init__(
            f"{what} {abs(off_seconds):.0f} s {side}, and {tolerance_seconds:g} s are tolerated"
        )
        self.off_seconds = off_seconds


class RecordingError(GreenroomError, ValueError):
    """A line of a recording or of a vector file is not understood.

    Args:
        where: `file:line`.
        reason: What is wrong there and what was expected.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class StoreError(GreenroomError):
    """The database in the data directory cannot be used: full disk, no database, other version.

    Args:
        path: The database's file.
        reason: What is wrong, in SQLite's words where they are its.
        kind: Which trouble it is: "disk_full", "read_only", "corrupt", "locked", "io", "gone",
            "other".
    """

    def __init__(self, path: Path, reason: str, kind: str = "other") -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.kind = str(kind)


class LinkError(GreenroomError):
    """The other side of a link does not keep to the protocol, refused, or is not who it says.

    Args:
        reason: What is wrong.
        code: Of a refusal, for programs: "secret", "version", "full", "busy", "drain" or "".
    """

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class LifecycleError(GreenroomError):
    """A call came at a time when it cannot be served."""


class RestartBudgetError(LifecycleError):
    """An actor failed more often than its child spec bears."""


class SystemClosedError(LifecycleError):
    """The telemetry was closed before this call."""


class SystemBrokenError(LifecycleError):
    """The dispatch thread is dead or stuck; `__cause__` says why."""


class HandlerTimeoutError(BaseException):
    """Raised inside a handler that holds the dispatch thread for too long, to end it.

    Not an Exception, so that a handler's own `except Exception` does not keep it: it may clean
    up, and must let it pass.

    Args:
        actor: The class of the actor.
        message: The type of the message that it was handling.
        seconds: For how long it had held the thread.
    """

    def __init__(self, actor: str, message: str, seconds: float) -> None:
        held = f"{actor} has held the dispatch thread for {seconds:.3g} s"
        super().__init__(f"{held} with a {message}")
        self.actor = actor
        self.message = message
        self.seconds = seconds
