"""What other threads have to send through Thespian, which one thread alone may speak to."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

_READ_BYTES: Final = 4096


class Posts:
    """A queue with a file descriptor that Thespian's loop can watch."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, object]] = deque()
        self.fileno, self._bell = os.pipe()
        os.set_blocking(self.fileno, False)
        os.set_blocking(self._bell, False)

    def put(self, address: Any, message: object) -> None:
        """Have a message sent; from any thread."""
        self._waiting.append((address, message))
        with suppress(BlockingIOError):  # full of rings: the loop looks anyway
            os.write(self._bell, b"\0")

    def take(self) -> Iterator[tuple[Any, object]]:
        """All that waits; on Thespian's thread."""
        with suppress(BlockingIOError):
            os.read(self.fileno, _READ_BYTES)
        while self._waiting:
            yield self._waiting.popleft()
