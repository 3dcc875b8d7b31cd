"""What a client process did, in a file that survives it: each call before it is made.

b                            greenroom is there
s TRACK NUMBER               a statistic; a track's numbers are 1, 2, 3 …
e TOKEN ROOM TYPE WEBHOOK    any other call: its analytics event, its webhook or `-`
a                            all calls above are acknowledged
p NUMBER                     it pauses, as it was told by this number
m PORT                       where its own metrics are
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


class Ledger:
    """Writes lines, each of them at once: what is written stays when the process is killed.

    Args:
        path: Made, or gone on with.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *words: object) -> None:
        """One line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Tail:
    """Reads the lines that a file has gained since the last time, but none without its end.

    Args:
        path: It need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> Iterator[str]:
        """The new ones."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return
        whole, end, _ = new.rpartition(b"\n")
        self._offset += len(whole) + len(end)
        if end:
            yield from whole.decode("utf-8", "replace").split("\n")
