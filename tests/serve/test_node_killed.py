"""Whatever of a node is killed under load: webhooks of acknowledged calls arrive, in order."""

from __future__ import annotations

import json
import random
import tempfile
import threading
from collections import defaultdict
from pathlib import Path

import pytest

from greenroom.link.client import ConnectedTelemetry
from greenroom.runtime.clock import SystemClock
from greenroom.testing.loopback import LoopThread
from greenroom.testing.nodes import RunningNode
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import room
from greenroom.testing.webhook_site import KEYS, WebhookSite

ROOMS = 10
CALLS = 120  # of each round
VICTIMS = ("shard 0", "shard 1", "guardian", "admin", "node")


def config(directory: Path, url: str) -> Path:
    path = directory / "greenroom.yaml"
    path.write_text(
        json.dumps(  # JSON is YAML
            {
                "keys": KEYS,
                "webhook": {"urls": [url], "api_key": "APIkey", "allow_private": True},
                "greenroom": {"disk_sync": "normal"},
            }
        )
    )
    return path


def call_for(telemetry: ConnectedTelemetry, first: int) -> None:
    """A round of calls; the number of each is in its room's metadata."""
    for number in range(first, first + CALLS):
        where = room()
        where.name, where.sid = f"room-{number % ROOMS}", f"RM_{number % ROOMS}"
        where.metadata = str(number)
        telemetry.room_started(where)


@pytest.mark.parametrize("seed", [1, 2])
def test_webhooks_of_acknowledged_calls_arrive_in_order_whatever_is_killed(
    thread: LoopThread, seed: int
) -> None:
    chance = random.Random(seed)
    site = WebhookSite(thread, SystemClock())
    with tempfile.TemporaryDirectory(prefix="gr-") as name:
        directory = Path(name)
        options = ("--config", str(config(directory, site.url)))
        data = ("--data-dir", str(directory / "data"))
        node = RunningNode(directory, "--shards", "2", *options, *data)
        try:
            node.wait_ready()
            telemetry = node.connect()
            for number, victim in enumerate(chance.sample(VICTIMS, len(VICTIMS))):
                node.wait_ready()
                caller = threading.Thread(target=call_for, args=(telemetry, number * CALLS))
                caller.start()
                if chance.random() < 0.5:
                    caller.join()
                node.kill(victim)
                caller.join()
            call_for(telemetry, len(VICTIMS) * CALLS)
            assert telemetry.sync(PATIENCE_SECONDS)
            total = (len(VICTIMS) + 1) * CALLS
            wait_until(lambda: len(numbers_of(site)) == total)
            assert telemetry.close()
        finally:
            node.close()
            site.close()

    assert site.problems == []
    in_rooms = defaultdict(list)
    for number in firsts(site):
        in_rooms[number % ROOMS].append(number)
    assert all(numbers == sorted(numbers) for numbers in in_rooms.values())


def firsts(site: WebhookSite) -> list[int]:
    """The numbers in the order in which they came first."""
    return [*dict.fromkeys(int(each.event.room.metadata) for each in site.accepted)]


def numbers_of(site: WebhookSite) -> set[int]:
    return set(firsts(site))
