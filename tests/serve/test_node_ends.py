"""Real nodes: how they end when they are told to, and when they cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from aiohttp import web

from greenroom.node.alive import is_alive
from greenroom.runtime.clock import SystemClock
from greenroom.testing.loopback import LoopThread
from greenroom.testing.nodes import RunningNode, children_of
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import room
from greenroom.testing.webhook_site import KEYS, OK, Reply, WebhookSite

ROOMS = 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_of_a_node_ends_it_once_its_webhooks_are_delivered(
    thread: LoopThread, number: signal.Signals
) -> None:
    gate = threading.Event()

    def answer(_request: web.Request) -> Reply:
        gate.wait(PATIENCE_SECONDS)
        return OK

    site = WebhookSite(thread, SystemClock(), script=answer)
    with tempfile.TemporaryDirectory(prefix="gr-") as name:
        config = Path(name) / "greenroom.yaml"
        webhook = {"urls": [site.url], "api_key": "APIkey", "allow_private": True}
        config.write_text(json.dumps({"keys": KEYS, "webhook": webhook}))  # JSON is YAML
        node = RunningNode(Path(name), "--shards", "2", "--config", str(config))
        try:
            node.wait_ready()
            pids = node.pids
            with node.connect() as telemetry:
                for each in range(ROOMS):
                    where = room()
                    where.name = where.sid = f"RM_{each}"
                    telemetry.room_started(where)
                assert telemetry.sync()

                for pid in pids.values():
                    os.kill(pid, number)
                wait_until(lambda: "draining" in node.log)
                gate.set()
                assert node.wait() == 0

            assert {one.event.room.name for one in site.accepted} == {
                f"RM_{each}" for each in range(ROOMS)
            }
            assert "drained" in node.log
            assert not any(map(is_alive, pids.values()))
        finally:
            gate.set()
            node.close()
            site.close()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_node_that_is_told_to_end_while_it_starts_does(processes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        node = RunningNode(Path(directory), "--shards", "1")
        try:
            wait_until(lambda: descendants(node.pid) >= processes)

            node.terminate()

            assert node.wait() == 0
            assert "ERROR" not in node.log, "nothing failed, and nothing had to be killed"
        finally:
            node.close()


def descendants(pid: int) -> int:
    """How many processes there are below this one, in a straight line."""
    try:
        return 1 + descendants(children_of(pid)[0])
    except (IndexError, OSError):
        return 0


def test_a_shard_that_cannot_start_ends_the_first_start_with_a_sentence() -> None:
    with tempfile.TemporaryDirectory(prefix="gr-") as name:
        taken = Path(name) / "taken"
        taken.touch()
        with socket.create_server(("127.0.0.1", 0)) as sock:
            address = f"tcp://127.0.0.1:{sock.getsockname()[1]}"
            secret = {"GREENROOM_SECRET": "a-secret-of-two-nodes-0123456789abcdef"}
            for option, value in (("--data-dir", str(taken)), ("--listen", address)):
                node = RunningNode(
                    Path(name), *("--shards", "2", option, value), environment=secret
                )
                try:
                    assert node.wait() in (2, os.EX_CONFIG)  # before anything starts, or later
                finally:
                    node.close()
                last = node.log.splitlines()[-1]
                assert option.strip("-").replace("-", "_") in last
                assert value in last
                assert "Traceback" not in node.log
