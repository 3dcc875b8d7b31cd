"""`connect(autostart=True)`: a node is started where none is, and only one."""

from __future__ import annotations

import logging
import multiprocessing
import os
import select
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenroom.link.client import connect
from greenroom.node.asking import ask_shards
from greenroom.testing.callers import start_a_node
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import room

PROCESSES = 8


@contextmanager
def ending(directory: Path) -> Iterator[None]:
    """Whatever node was started there is ended."""
    try:
        yield
    finally:
        lock = directory / "serve.lock"
        if lock.exists():
            ends = os.pidfd_open(int(lock.read_text()))
            signal.pidfd_send_signal(ends, signal.SIGTERM)
            poll = select.poll()
            poll.register(ends, select.POLLIN)
            assert poll.poll(PATIENCE_SECONDS * 1000), "the node ends"
            os.close(ends)


def test_of_many_processes_that_find_no_node_one_starts_it_and_all_are_served() -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(PROCESSES)
    with tempfile.TemporaryDirectory(prefix="gr-") as parent:
        directory = Path(parent, "d")
        processes = [
            spawn.Process(target=start_a_node, args=(str(directory), number, together))
            for number in range(PROCESSES)
        ]
        with ending(directory):
            for process in processes:
                process.start()
            for process in processes:
                process.join(PATIENCE_SECONDS)

            assert [process.exitcode for process in processes] == [0] * PROCESSES
            log = (directory / "node.log").read_text()
            assert log.count("ready:") == 1, log
            assert "serves there" not in log, "no other one was even tried"
            assert (
                sum(shard["link"]["calls"] for shard in ask_shards(str(directory), "status"))
                == PROCESSES
            )


def test_two_directories_have_a_node_each_which_are_not_in_each_others_way() -> None:
    with tempfile.TemporaryDirectory(prefix="gr-") as parent:
        first, second = Path(parent, "a"), Path(parent, "b")
        with ending(first), ending(second):
            for directory in (first, second):
                with connect(str(directory), autostart=True) as telemetry:
                    telemetry.room_started(room())
                    assert telemetry.sync(PATIENCE_SECONDS)


def test_a_node_that_cannot_be_started_is_an_error_that_says_why(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR, "greenroom.link")
    with tempfile.TemporaryDirectory(prefix="gr-") as parent:
        monkeypatch.setenv("GREENROOM_SECRET", "too short")
        telemetry = connect(f"{parent}/d", autostart=True)
        telemetry.room_started(room())
        try:
            wait_until(lambda: "does not answer" in caplog.text)
        finally:
            telemetry.close(timeout=0)

    assert "GREENROOM_SECRET: must have 32 to 4096 bytes" in caplog.text
    assert "node.log)" in caplog.text
