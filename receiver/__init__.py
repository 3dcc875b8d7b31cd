"""For programs that receive webhooks, greenroom's or LiveKit's; it loads none of the actors."""

from ..errors import (
    BodyChangedError,
    BodyTooLargeError,
    MalformedHeaderError,
    MissingHeaderError,
    NotAnEventError,
    ReceiveError,
    SignatureError,
    StaleError,
    UnknownKeyError,
    WrongSignatureError,
)
from .receiver import Received, Receiver
from .series import Series
from .sqlite_store import SqliteStore
from .stores import MemoryStore, ReceiverStore
from .verification import Scheme

__all__ = [
    "BodyChangedError",
    "BodyTooLargeError",
    "MalformedHeaderError",
    "MemoryStore",
    "MissingHeaderError",
    "NotAnEventError",
    "ReceiveError",
    "Received",
    "Receiver",
    "ReceiverStore",
    "Scheme",
    "Series",
    "SignatureError",
    "SqliteStore",
    "StaleError",
    "UnknownKeyError",
    "WrongSignatureError",
]
