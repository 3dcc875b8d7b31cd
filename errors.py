"""Every error greenroom raises, one tree.

GreenroomError
├─ ConfigError (also ValueError)        your settings are wrong; raised before anything starts
├─ MessageError
│  ├─ DecodeError                       these bytes are not a greenroom message
│  ├─ UnknownMessageError               an actor was sent something it has no handler for
│  └─ NotReplayableError                a dead letter that cannot be replayed; says what to do
├─ TransportError                       a webhook attempt got no HTTP answer
├─ UnsendableError                      a webhook cannot be signed as it was asked for
├─ RecordingError (also ValueError)     a recording or vector file is wrong; says file:line
├─ StoreError                           the database in data_dir cannot be used, or lost a write
└─ LifecycleError
   ├─ RestartBudgetError                an actor failed more often than its child spec bears
   ├─ SystemClosedError                 used after close()
   └─ SystemBrokenError                 the dispatch thread died or is stuck; __cause__ says why

HandlerTimeoutError (BaseException)     raised in a handler that takes too long, to end it
"""

from __future__ import annotations

from pathlib import Path


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
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


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
