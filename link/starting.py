"""How a client starts a node on its machine, when none answers and it was asked to."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import ConfigError
from .address import Address, check_directory, is_answered

READY_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.05
LOCK: Final = "autostart.lock"
LOG: Final = "node.log"
_log = logging.getLogger("greenroom.link")


class Starter:
    """Starts `greenroom serve` for a Unix address; of many processes that try, one does.

    The node is a process of its own, made from scratch: it inherits no descriptor, thread or
    memory of whoever starts it, and outlives it.

    Args:
        address: A directory, made if it is not there.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pid = 0  # of the node that was started last

    def __call__(self) -> None:
        """Start one, unless one answers or another process is at it; return when it is ready."""
        directory = Path(self._address.path)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_directory(directory)
            with (directory / LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # whoever waits here finds the node afterwards
                if not self._answers():
                    self._start(directory)
        except (OSError, ConfigError) as error:
            _log.error("no node could be started at %s: %s", self._address, error)

    def _start(self, directory: Path) -> None:
        if self._pid:
            with suppress(ChildProcessError):  # it is of the process that this one is a fork of
                os.waitpid(self._pid, os.WNOHANG)
        command = [
            *(sys.executable, "-m", "greenroom.cli", "serve", "--listen", str(directory)),
            *(
                "--http",
                "127.0.0.1:0",
                "--admin-port",
                "0",
            ),  # another node may have the usual ones
        ]
        with (directory / LOG).open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._pid = process.pid
        try:
            self._wait(process, directory / LOG)
        finally:
            if process.returncode is None:
                process.returncode = (
                    0  # else a ResourceWarning comes of its outliving this process
                )

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self._answers():
                return
            if process.poll() is not None:
                break
            time.sleep(LOOK_SECONDS)
        _log.error("the node that was started does not answer: %s", _last_line(log))

    def _answers(self) -> bool:
        return any(is_answered(path) for path in self._address.sockets())


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines() or [""]
    return f"{lines[-1]} ({log})"
