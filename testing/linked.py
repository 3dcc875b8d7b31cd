"""A link with a fake shard behind it, and what may come between the two ends.

For tests of the link: everything is on this machine, in a directory that the caller names.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ..core.journal import Origin
from ..errors import SystemClosedError
from ..link.address import Address
from ..link.intake import Intake
from ..link.server import LinkServer, LinkSettings
from ..messages.calls import Call
from ..runtime.secure.secret import Secret

SECRET: Final = Secret(b"s" * 32)
_READ_BYTES: Final = 65_536


class FakeShard:
    """Remembers what took effect; acknowledges at once, or when told to."""

    def __init__(self) -> None:
        self.taken: list[Call] = []
        self.lost: Counter[str] = Counter()
        self.is_holding = False
        self.is_closed = False
        self._held: list[Callable[[], None]] = []

    def take(
        self, calls: Sequence[Call], on_done: Callable[[], None], origin: Origin | None = None
    ) -> None:
        """As `link.intake.Shard`."""
        if self.is_closed:
            raise SystemClosedError("closed")
        self.taken.extend(calls)
        if self.is_holding:
            self._held.append(on_done)
        else:
            on_done()

    def lose(self, reason: str, count: int) -> None:
        """As `link.intake.Shard`."""
        self.lost[reason] += count

    def release(self) -> None:
        """Acknowledge what was held, and all that comes."""
        self.is_holding = False
        held, self._held = self._held, []
        for on_done in held:
            on_done()


class FakeNode:
    """A server with a fake shard.

    Args:
        directory: Of its socket.
        settings: As of `LinkSettings`; without addresses it listens at a Unix socket only.
    """

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.path = directory / "n.sock"
        settings.setdefault("addresses", (Address("unix", path=str(self.path)),))
        self.shard = FakeShard()
        self.intake = Intake(self.shard)
        self.server = LinkServer(LinkSettings(**settings), self.intake, self._answer)
        self.server.start()

    def _answer(self, question: str) -> bytes:
        return json.dumps({"asked": question}).encode()

    @property
    def address(self) -> str:
        """Where it listens: the first of them."""
        return str(self.server.addresses[0])

    def close(self) -> None:
        """Hang up on everybody."""
        self.server.close()


@contextlib.contextmanager
def fake_node(directory: Path, **settings: Any) -> Iterator[FakeNode]:
    """A node for as long as the block lasts."""
    node = FakeNode(directory, **settings)
    try:
        yield node
    finally:
        node.close()


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A new directory of this user alone; its path is short enough for sockets in it."""
    path = Path(tempfile.mkdtemp(prefix="gr"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Cutter:
    """Stands between clients and a Unix socket, and cuts the first connections.

    Args:
        directory: Of its own socket.
        target: The node's.
        cuts: Of each connection, in the order of their coming: after how many bytes up and down
            it ends. Those after the last are left alone.
    """

    def __init__(self, directory: Path, target: Path, cuts: Sequence[tuple[int, int]]) -> None:
        self.path = directory / "c.sock"
        self.connections = 0
        self._target = target
        self._cuts = cuts
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        os.chmod(self.path, 0o600)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            up = down = None
            if self.connections < len(self._cuts):
                up, down = self._cuts[self.connections]
            self.connections += 1
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._open += (near, far)
            try:
                far.connect(str(self._target))
            except OSError:
                near.close()
                continue
            for pair in ((near, far, up), (far, near, down)):
                thread = threading.Thread(target=self._carry, args=pair)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket, left: int | None) -> None:
        with contextlib.suppress(OSError):
            while left is None or left > 0:
                data = source.recv(_READ_BYTES if left is None else min(left, _READ_BYTES))
                if not data:
                    break
                sink.sendall(data)
                if left is not None:
                    left -= len(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()
