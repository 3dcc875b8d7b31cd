"""Real nodes: what becomes of calls, and what comes back when a process of a node dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.node.alive import is_alive
from greenroom.testing import callers
from greenroom.testing.nodes import RunningNode, serving
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import participant, room

NODE_DIES_WITH = ("guardian", "admin", "logger", "node")


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with serving("--shards", "2") as node:
        yield node


def workers(node: RunningNode) -> int:
    return sum(shard.get("workers", 0) for shard in node.shards())


def dropped(node: RunningNode) -> str:
    return "".join(
        line
        for line in node.get("/metrics")[1].splitlines()
        if line.startswith("greenroom_dropped")
    )


def test_calls_of_several_processes_about_a_participant_meet_in_one_worker() -> None:
    spawn = multiprocessing.get_context("spawn")
    with serving("--shards", "2") as node:
        for target in (callers.join, callers.report):
            process = spawn.Process(target=target, args=(node.address,))
            process.start()
            process.join(PATIENCE_SECONDS)
            assert process.exitcode == 0

        assert workers(node) == 1
        assert "unknown_participant" not in dropped(node), "its statistics found the worker"


def test_health_and_metrics_are_those_of_all_shards(node: RunningNode) -> None:
    with node.connect() as telemetry:
        for number in range(40):
            where = room()
            where.name = f"room-{number}"
            who = participant(f"PA_{number}")
            telemetry.participant_joined(where, who, None, None, False, number + 1)
        assert telemetry.sync()

    status, text = node.get("/metrics")
    counts = [shard["workers"] for shard in node.shards()]

    assert node.get("/healthz")[0] == node.get("/healthz/live")[0] == status == 200
    assert all(counts), "both have some of the rooms"
    gauge = next(
        line for line in text.splitlines() if line.startswith("livekit_participant_total{")
    )
    assert float(gauge.split()[-1]) == sum(counts)
    assert node.get("/nothing")[0] == 404


def test_a_shard_that_is_killed_comes_back_and_calls_go_on(node: RunningNode) -> None:
    with node.connect() as telemetry:
        telemetry.room_started(room())
        assert telemetry.sync()
        others = {name: pid for name, pid in node.pids.items() if name != "shard 1"}
        killed = node.kill("shard 1")

        for number in range(40):
            where = room()
            where.name = f"after-{number}"
            telemetry.room_started(where)
        assert telemetry.sync(PATIENCE_SECONDS), "calls wait for the shard"

    seen = node.wait_ready(lambda health: health["shards"][1] not in (0, killed))
    assert seen["restarts"] == 1
    assert others.items() <= node.pids.items(), "nobody else was touched"


@pytest.mark.parametrize("name", NODE_DIES_WITH)
def test_a_node_that_loses_a_process_is_started_again_whole(node: RunningNode, name: str) -> None:
    with node.connect() as telemetry:
        telemetry.room_started(room())
        assert telemetry.sync()
        before = node.pids
        node.kill(name)

        telemetry.room_started(room())
        assert telemetry.sync(PATIENCE_SECONDS)

    node.wait_ready(lambda health: not set(health["shards"]) & set(before.values()))
    watcher = before.pop("watcher")
    assert is_alive(watcher)
    wait_until(lambda: not any(map(is_alive, before.values())))


def test_a_watcher_that_is_killed_leaves_no_process_and_no_port() -> None:
    with serving("--shards", "1") as node:
        pids = node.pids
        node.kill("watcher")

        wait_until(lambda: not any(map(is_alive, pids.values())))
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", node.admin_port))


def test_a_node_that_ends_keeps_calls_for_the_next_one() -> None:
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        first = RunningNode(Path(directory), "--shards", "1")
        try:
            first.wait_ready()
            telemetry = first.connect()
            telemetry.room_started(room())
            assert telemetry.sync()
        finally:
            first.close()
        telemetry.room_started(room())
        assert not telemetry.sync(0.0), "nobody is there"

        second = RunningNode(Path(directory), "--shards", "1")
        try:
            second.wait_ready()
            assert telemetry.sync(PATIENCE_SECONDS)
            assert second.shards()[0]["link"]["calls"] == 1
            telemetry.close()
        finally:
            second.close()
        assert second.wait() == 0


def test_a_second_node_in_a_directory_is_refused_and_names_the_first(node: RunningNode) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "greenroom.cli", "serve", "--listen", node.address],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert again.returncode != 0
    assert f"process {node.pids['watcher']} serves there" in again.stderr


def test_a_port_that_is_taken_ends_the_first_start_with_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as base:
        port = taken.getsockname()[1]
        failed = subprocess.run(
            [
                *(sys.executable, "-m", "greenroom.cli", "serve", "--listen", f"{base}/d"),
                *("--shards", "1", "--http", "", "--admin-port", str(port)),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    assert failed.returncode == os.EX_CONFIG
    assert "is in use" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_an_interrupt_of_the_terminal_drains_the_node_too() -> None:
    with serving("--shards", "1") as node:
        os.kill(node.pids["watcher"], signal.SIGINT)

        assert node.wait() == 0
        assert "drained" in node.log


CLIENT = """
import sys
from greenroom.link.client import connect
from greenroom.testing.samples import room

telemetry = connect(sys.argv[1])
calls = 0
while True:
    for calls in range(calls + 1, calls + 51):
        where = room()
        where.name = f"killed-{calls}"
        telemetry.room_started(where)
    assert telemetry.sync(60)
    print(calls, flush=True)
"""


def test_what_a_client_had_acknowledged_took_effect_though_it_was_killed() -> None:
    with serving("--shards", "1") as node:
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, node.address], stdout=subprocess.PIPE, text=True
        )
        assert client.stdout is not None
        try:
            for _ in range(5):
                acknowledged = int(client.stdout.readline())
        finally:
            client.kill()
            client.communicate()

        calls = node.shards()[0]["link"]["calls"]
        assert calls >= acknowledged >= 250
