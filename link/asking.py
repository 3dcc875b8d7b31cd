"""One question to a node, and its answer: for operators, not for the hot path."""

from __future__ import annotations

import json
import time
from typing import Any

from ..errors import LinkError
from .dialing import READ_BYTES, Dialer, new_client_id
from .frames import Answer, Ask, Refused, to_bytes


def ask(dialer: Dialer, question: str, timeout_seconds: float = 5.0) -> Any:
    """The answer, as parsed JSON.

    Args:
        dialer: Of one shard.
        question: "status" or "metrics".
        timeout_seconds: For all of it.

    Raises:
        OSError: Nobody answers there, or not in time.
        LinkError: It refuses, or answers something else.
    """
    until = time.monotonic() + timeout_seconds
    connection = dialer.dial(new_client_id())
    try:
        connection.sock.settimeout(max(0.01, until - time.monotonic()))
        connection.sock.sendall(to_bytes(Ask(1, question)))
        while True:
            for frame in connection.reader.frames():
                if isinstance(frame, Answer):
                    return json.loads(frame.body)
                if isinstance(frame, Refused):
                    raise LinkError(frame.text, frame.code)
                raise LinkError(f"a {type(frame).__name__} instead of an answer")
            connection.sock.settimeout(max(0.01, until - time.monotonic()))
            data = connection.sock.recv(READ_BYTES)
            if not data:
                raise LinkError("closed before it answered")
            connection.reader.feed(data)
    finally:
        connection.close()
