"""Real nodes that know each other: rooms move when one joins or ends, and go on when one dies."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from greenroom.link.client import ConnectedTelemetry
from greenroom.testing.loopback import unused_port
from greenroom.testing.nodes import RunningNode
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import key, participant, room, stat

PEOPLE = 200
SECRET = {"GREENROOM_SECRET": "a-secret-of-two-nodes-0123456789abcdef"}


class Cluster:
    """Nodes on loopback addresses of their own, the first of which introduces the others."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._ports = [unused_port()]  # of those who introduce others
        self._number = 0
        self.nodes: list[RunningNode] = []

    def add(self, shards: int = 1) -> RunningNode:
        """Start another one, and wait until all know it."""
        self._number += 1
        number = self._number
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gr-")))
        node = RunningNode(
            directory,
            *("--shards", str(shards), "--node-id", f"node{number}"),
            *("--bind", f"127.0.0.{number}", "--join", self._introducers),
            environment=SECRET,
            admin_port=self._ports[number - 1] if number <= len(self._ports) else 0,
        )
        self._stack.callback(node.close)
        self.nodes.append(node)
        for each in self.nodes:
            each.wait_ready(lambda seen: len(seen["nodes"]) == len(self.nodes) - 1)
        return node

    @property
    def _introducers(self) -> str:
        return ",".join(f"127.0.0.{number}:{at}" for number, at in enumerate(self._ports, 1))

    def let_introduce(self, count: int) -> None:
        """So many nodes introduce others; before the first is added."""
        self._ports = [unused_port() for _ in range(count)]

    def workers(self) -> int:
        """Of all nodes that live."""
        return sum(shard.get("workers", 0) for node in self.nodes for shard in node.shards())

    def calls(self) -> int:
        """What took effect anywhere."""
        return sum(shard["link"].get("calls", 0) for node in self.nodes for shard in node.shards())


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack)


def join(telemetry: ConnectedTelemetry, first: int = 0, count: int = PEOPLE) -> None:
    """Everybody enters a room of his own."""
    for number in range(first, first + count):
        where = room()
        where.name, where.sid = f"room-{number}", f"RM_{number}"
        who = participant(f"PA_{number}")
        telemetry.participant_joined(where, who, None, None, False, number + 1)


@contextmanager
def statistics(telemetry: ConnectedTelemetry) -> Iterator[list[int]]:
    """Everybody's statistics, again and again, for as long as the block lasts; how many."""
    keys = [key(f"PA_{number}") for number in range(PEOPLE)]
    ends, count = threading.Event(), [0]

    def call() -> None:
        while not ends.wait(0.01):
            for number in range(PEOPLE):
                telemetry.track_stats(f"RM_{number}", f"room-{number}", keys[number], stat(1))
                count[0] += 1

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield count
    finally:
        ends.set()
        caller.join()


def dropped(node: RunningNode) -> list[str]:
    text = node.get("/metrics")[1]
    return [line for line in text.splitlines() if line.startswith("greenroom_dropped_total{")]


def test_any_node_takes_calls_for_rooms_of_all(cluster: Cluster) -> None:
    first, second = cluster.add(shards=2), cluster.add()
    with first.connect() as telemetry:
        join(telemetry)
        assert telemetry.sync(PATIENCE_SECONDS)

    assert cluster.workers() == PEOPLE
    assert all(shard["workers"] for node in (first, second) for shard in node.shards())


def test_rooms_move_to_a_node_that_joins_and_away_from_one_that_ends(cluster: Cluster) -> None:
    first = cluster.add()
    cluster.add()
    with first.connect() as telemetry:
        join(telemetry)
        with statistics(telemetry) as count:
            third = cluster.add()
            wait_until(lambda: bool(third.shards()[0]["workers"]))
            wait_until(lambda: cluster.workers() == PEOPLE)
            at_third = third.shards()[0]["workers"]
            started = count[0]
            wait_until(lambda: count[0] > started + PEOPLE)
        assert telemetry.sync(PATIENCE_SECONDS)
        assert cluster.calls() == PEOPLE + count[0], "each call took effect once"

        third.terminate()
        assert third.wait() == 0
        cluster.nodes.remove(third)
        assert cluster.workers() == PEOPLE

        assert at_third > PEOPLE / 6
        assert dropped(first) == [], "every statistic found its worker"


def test_rooms_of_a_node_that_dies_go_on_elsewhere(cluster: Cluster) -> None:
    first, second = cluster.add(), cluster.add()
    with first.connect() as telemetry:
        join(telemetry)
        assert telemetry.sync(PATIENCE_SECONDS)
        second.kill("watcher")

        join(telemetry, first=PEOPLE)
        assert telemetry.sync(PATIENCE_SECONDS), "those of the dead node's rooms too"

    cluster.nodes.remove(second)
    seen = first.shards()[0]
    assert seen["workers"] == PEOPLE + PEOPLE - (2 * PEOPLE - seen["link"]["calls"])
    first.wait_ready(lambda seen: seen["nodes"] == [])


@pytest.mark.parametrize("which", [0, 1], ids=["who introduces", "another"])
def test_a_node_that_died_is_a_member_again_when_it_is_back(cluster: Cluster, which: int) -> None:
    first, second = cluster.add(), cluster.add()
    cluster.nodes[which].kill("node")

    second.wait_ready(lambda seen: seen["nodes"] == ["node1"])
    first.wait_ready(lambda seen: seen["nodes"] == ["node2"])
    with first.connect() as telemetry:
        join(telemetry)
        assert telemetry.sync(PATIENCE_SECONDS)
    assert cluster.workers() == PEOPLE


def test_of_several_nodes_that_introduce_others_any_is_enough(cluster: Cluster) -> None:
    cluster.let_introduce(2)
    first, second = cluster.add(), cluster.add()
    first.kill("watcher")
    cluster.nodes.remove(first)
    second.wait_ready(lambda seen: seen["nodes"] == [])

    third = cluster.add()

    assert third.health()["nodes"] == ["node2"]


def test_nodes_with_another_secret_stay_strangers(cluster: Cluster) -> None:
    first = cluster.add()
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        stranger = RunningNode(
            Path(directory),
            *("--shards", "1", "--node-id", "stranger", "--bind", "127.0.0.9"),
            *("--join", f"127.0.0.1:{first.admin_port}"),
            environment={"GREENROOM_SECRET": "another-secret-0123456789abcdefghijkl"},
        )
        try:
            assert stranger.wait_ready()["nodes"] == []
            with first.connect() as telemetry:
                join(telemetry)
                assert telemetry.sync(PATIENCE_SECONDS)
            assert first.health()["nodes"] == []
        finally:
            stranger.close()
