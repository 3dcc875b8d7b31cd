"""What a running process says of its last store error, where another one can read it.

The database may be what cannot be written, so this is a file of its own beside it. A full disk has
no room for a new one: its space is taken at the start (the *spare*), and it is renamed to and fro.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ..errors import StoreError
from .store_errors import StoreErrorKind

TROUBLE_NAME: Final = "greenroom.error.json"
SPARE_NAME: Final = "greenroom.error.spare"
SIZE: Final = 4_096  # bytes; a block of most file systems
REASON_MAX: Final = 500  # characters: 3,000 bytes if all are escaped


@dataclass(frozen=True, slots=True)
class StoreTrouble:
    """The data directory cannot be used as it should.

    Args:
        at_ns: Since when (Unix ns).
        kind: As of `StoreError`.
        reason: What is wrong.
        pid: The process that found it.
    """

    at_ns: int
    kind: str
    reason: str
    pid: int


class TroubleFile:
    """Leaves it in a data directory, as well as that can be; of the store's thread.

    Args:
        directory: Held by this process.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / TROUBLE_NAME
        self._spare = directory / SPARE_NAME
        self._kind = ""
        self._is_of_a_write = self._path.exists()  # what another process has left
        with suppress(OSError):
            if not (self._is_of_a_write or self._spare.exists()):
                _fill(self._spare, b"")

    def leave(self, failure: StoreError, at_ns: int, *, wrote: bool) -> None:
        """Say it, unless the same is said already, or the directory may be another's by now.

        Args:
            failure: The trouble.
            at_ns: Now (Unix ns).
            wrote: It is of a write, not of a look.
        """
        is_said = failure.kind == self._kind and self._is_of_a_write >= wrote
        if is_said or failure.kind == StoreErrorKind.GONE:
            return
        reason = failure.reason[:REASON_MAX]
        trouble = StoreTrouble(at_ns, failure.kind, reason, os.getpid())
        text = json.dumps(asdict(trouble), ensure_ascii=False)
        with suppress(OSError):
            _fill(self._spare, text.encode(errors="replace"))
            self._spare.replace(self._path)
            self._kind = failure.kind
            self._is_of_a_write |= wrote

    def mended(self, *, wrote: bool) -> None:
        """It works again: a write as a whole, a look only if no write failed."""
        if (self._kind or self._is_of_a_write) and (wrote or not self._is_of_a_write):
            with suppress(OSError):
                self._path.replace(self._spare)
            self._kind, self._is_of_a_write = "", False


def read_trouble(directory: Path) -> StoreTrouble | None:
    """What a process has left there; None: nothing, or it cannot be read."""
    try:
        found = StoreTrouble(**json.loads((directory / TROUBLE_NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    numbers = isinstance(found.at_ns, int) and isinstance(found.pid, int)
    texts = isinstance(found.kind, str) and isinstance(found.reason, str)
    return found if numbers and texts else None


def _fill(path: Path, text: bytes) -> None:
    """Write it in place, with spaces up to the size, so that a full disk has room for it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text.ljust(SIZE))
