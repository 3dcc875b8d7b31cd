"""Real nodes for tests and benchmarks: `greenroom serve` in a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from ..link.client import ConnectedTelemetry, connect
from ..node.alive import is_alive
from ..node.asking import ask_shards
from .loopback import unused_port
from .patience import wait_until

END_SECONDS: Final = 30.0
HTTP_SECONDS: Final = 2.0


class RunningNode:
    """A node: its processes can be looked at, and killed.

    Args:
        directory: For its sockets and its log; a short path.
        options: More for the command line of `greenroom serve`.
        environment: More for the environment.
        launcher: A command that executes the one given to it.
        admin_port: Of Thespian's admin; 0: any free one.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        admin_port: int = 0,
    ) -> None:
        self.address = str(directory / "d")
        self.admin_port = admin_port or unused_port()
        self._http_port = unused_port()
        self._log = directory / "node.log"
        command = [
            *launcher,
            *(sys.executable, "-m", "greenroom.cli", "serve", "--listen", self.address),
            *("--http", f"127.0.0.1:{self._http_port}", "--admin-port", str(self.admin_port)),
            *options,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )

    def __repr__(self) -> str:
        return f"<RunningNode {self.address} {self.health()}>"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text("utf-8", "replace")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its HTTP server; 0: nobody answers."""
        url = f"http://127.0.0.1:{self._http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=HTTP_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, HTTPException):  # it may be killed in the midst of its answer
            return 0, ""

    def health(self) -> dict[str, Any]:
        """What /healthz says; empty: nothing, or no more than a part of it."""
        with suppress(ValueError):
            return dict(json.loads(self.get("/healthz")[1]))
        return {}

    def wait_ready(
        self, is_it: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Wait until the node is ready, and as `is_it` wants it; what it says of itself.

        Raises:
            AssertionError: It has ended, or took too long; with its log.
        """
        seen: dict[str, Any] = {}

        def looks() -> bool:
            nonlocal seen
            assert self._process.poll() is None, f"the node has ended:\n{self.log}"
            seen = self.health()
            return bool(seen.get("ready")) and is_it(seen)

        try:
            wait_until(looks)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen {seen}\n{self.log}") from None
        return seen

    @property
    def pid(self) -> int:
        """Of its watcher."""
        return self._process.pid

    def connect(self) -> ConnectedTelemetry:
        """A client of it."""
        return connect(self.address)

    def shards(self) -> list[dict[str, Any]]:
        """What each shard says of itself."""
        return ask_shards(self.address, "status")

    @property
    def pids(self) -> dict[str, int]:
        """Its processes by name; shards are `shard 0` and so on."""
        found: dict[str, int] = {}

        def finds() -> bool:
            nonlocal found
            found = self._look_around(self.wait_ready()["shards"])
            return bool(found)

        wait_until(finds)
        return found

    def _look_around(self, shards: list[int]) -> dict[str, int]:
        """The processes, going up from the shards; none if some of these have just ended."""
        try:
            guardian = parent_of(shards[0])
            admin = parent_of(guardian)
            node = parent_of(admin)
            others = [pid for pid in children_of(admin) if pid != guardian and is_alive(pid)]
            if parent_of(node) != self._process.pid or len(others) != 1:
                return {}
        except OSError:
            return {}
        named = {f"shard {number}": pid for number, pid in enumerate(shards)}
        return {
            **named,
            "guardian": guardian,
            "admin": admin,
            "logger": others[0],
            "node": node,
            "watcher": self._process.pid,
        }

    def kill(self, name: str) -> int:
        """End one of its processes with SIGKILL; which one that was."""
        pid = self.pids[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def terminate(self) -> None:
        """Tell it to end."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended; its exit status."""
        return self._process.wait(END_SECONDS)

    def close(self) -> None:
        """Have it end, one way or the other."""
        self.terminate()
        try:
            self.wait()
        finally:
            self._process.kill()
            self._process.wait()


def parent_of(pid: int) -> int:
    """The process that made this one."""
    return int(Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[1])


def children_of(pid: int) -> list[int]:
    """The processes that this one made and that live."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def serving(
    *options: str,
    environment: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
) -> Iterator[RunningNode]:
    """A node that is ready, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        node = RunningNode(Path(directory), *options, environment=environment, launcher=launcher)
        try:
            node.wait_ready()
            yield node
        finally:
            node.close()
