"""The processes of a run: each is marked with its directory, so that none can be left over."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Final

from ...node.alive import is_alive
from ..nodes import children_of
from ..patience import PATIENCE_SECONDS

MARK: Final = "GREENROOM_TORTURE"  # in the environment


class Helper:
    """A Python process of the run, told what to do on its standard input, which ends it.

    Args:
        module: Of this package, without its name.
        arguments: For its command line.
        directory: Of the run; what it says is in `helpers.log` there.
    """

    def __init__(self, module: str, *arguments: object, directory: Path) -> None:
        command = [sys.executable, "-m", f"{__package__}.{module}", *map(str, arguments)]
        with (directory / "helpers.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, MARK: str(directory)},
            )

    def tell(self, line: str) -> None:
        """One command."""
        pipe = self._pipe
        pipe.write(f"{line}\n".encode())
        pipe.flush()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """With SIGKILL; it is gone then."""
        self.process.kill()
        self.process.wait()
        self._pipe.close()

    def close(self) -> None:
        """Have it end by itself."""
        self._pipe.close()
        try:
            self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin


def left_over(directory: Path) -> list[int]:
    """The living processes that were made for the run in this directory."""
    mark = f"{MARK}={directory}".encode()
    return [pid for pid in _all() if is_alive(pid) and mark in _environment(pid)]


def _all() -> Iterator[int]:
    own = os.getpid()
    yield from (int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != own)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def tree_of(watcher: int, shards: list[int]) -> dict[str, int]:
    """The processes of a node that are there right now, whatever state it is in.

    Args:
        watcher: The node's first process.
        shards: Their process ids by number; those that live no longer are guessed.
    """
    found = {"watcher": watcher}
    try:
        for parent, name in (("watcher", "node"), ("node", "admin")):
            children = children_of(found[parent])
            if not children:
                return found
            found[name] = children[0]
        below = sorted(children_of(found["admin"]))
        if below:
            found["logger"] = below[0]  # made first
        if len(below) > 1:
            found["guardian"] = below[1]
            living = sorted(children_of(below[1]))
            known = {pid: number for number, pid in enumerate(shards) if pid in living}
            others = (number for number in count() if number not in known.values())
            for pid in living:
                number = known[pid] if pid in known else next(others)
                found[f"shard {number}"] = pid
    except OSError:
        pass  # one ended while it was looked at
    return found


def pause(seconds: float) -> None:
    """Let the other processes run."""
    threading.Event().wait(seconds)
