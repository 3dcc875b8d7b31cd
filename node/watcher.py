"""The watcher: the process that `greenroom serve` is. Starts the node, and again when it dies."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from ..errors import ConfigError
from ..link.address import SUFFIX, check_directory
from ..runtime.secure.lifeline import die_with
from .logs import log_to_stderr
from .process import DRAIN_MARGIN_SECONDS, run_node
from .settings import NodeSettings
from .speaking import ENDINGS

LOCK: Final = "serve.lock"
WAIT_MIN_SECONDS: Final = 0.1
WAIT_MAX_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 1.0
EXIT_MARGIN_SECONDS: Final = 4.0
_log = logging.getLogger("greenroom.node")


class Watcher:
    """Keeps one node running until SIGTERM or SIGINT.

    Args:
        settings: Of the node.

    Raises:
        ConfigError: Another node has the directory, or it is not this user's alone.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._lock = _take(settings.directory)
        self._pid = 0
        self._ends_by = 0.0

    def run(self) -> int:
        """The exit status of `greenroom serve`: 0 when it was told to end."""
        log_to_stderr()
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        wait = WAIT_MIN_SECONDS
        first = True
        while True:
            started_at = time.monotonic()
            status = self._run_once(is_first=first)
            if self._ends_by:
                return 0
            if first and status == os.EX_CONFIG:
                return status  # it has said why, and another attempt would say the same
            first = False
            if time.monotonic() - started_at > STEADY_SECONDS:
                wait = WAIT_MIN_SECONDS
            _log.error("the node ended (status %d); again in %.1f s", status, wait)
            self._sleep(wait)
            if self._ends_by:
                return 0
            wait = min(2 * wait, WAIT_MAX_SECONDS)

    def _run_once(self, *, is_first: bool) -> int:
        """Fork the node, wait for its end; its exit status, or minus the signal's number."""
        for old in self._settings.directory.glob(f"*{SUFFIX}"):
            old.unlink(missing_ok=True)  # of shards that were killed
        watcher = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # until somebody can obey them
        pid = os.fork()
        if pid == 0:
            status = os.EX_SOFTWARE
            try:
                die_with(watcher)
                status = run_node(self._settings, is_first=is_first)
            except BaseException:  # noqa: BLE001  # whatever it is, the child must not go on here
                _log.critical("the node failed", exc_info=True)
            finally:
                logging.shutdown()
                os._exit(status)
        self._pid = pid
        if self._ends_by:  # told to end before there was a node
            os.kill(pid, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        try:
            return self._wait(pid)
        finally:
            self._pid = 0

    def _wait(self, pid: int) -> int:
        poll = select.poll()
        ends = os.pidfd_open(pid)
        poll.register(ends, select.POLLIN)
        try:
            while not poll.poll(LOOK_SECONDS * 1000):
                _reap_others(pid)
                if self._ends_by and time.monotonic() > self._ends_by:
                    _log.error("the node does not end: it is killed")
                    os.kill(pid, signal.SIGKILL)
        finally:
            os.close(ends)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _reap_others(0)
        return status

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ends_by and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _on_signal(self, _number: int, _frame: object) -> None:
        if not self._ends_by:
            margin = DRAIN_MARGIN_SECONDS + EXIT_MARGIN_SECONDS
            self._ends_by = time.monotonic() + self._settings.drain_seconds + margin
            if self._pid:
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGTERM)


def _reap_others(node: int) -> None:
    """Take note of the ends of orphans, which come to process 1 of a container."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == node:
                return  # its exit status is wanted
            os.waitpid(ended.si_pid, 0)


def _take(directory: Path) -> IO[str]:
    """Make the directory this process's, until it ends."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_directory(directory, "listen")
        lock = (directory / LOCK).open("a+")
    except OSError as error:
        raise ConfigError(f"listen: {directory}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "?"
        lock.close()
        raise ConfigError(
            f"listen: {directory}: process {holder} serves there; end it, or choose another"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
