"""What was accepted is delivered, in order per room, however often the sender is killed."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

from aiohttp import web

from greenroom.receiver import Received, Receiver
from greenroom.testing.loopback import HttpReceiver, respond

from .killed_sender import ROOMS, SECRET

KILLS: Final = 200
SEED: Final = 20
TIMEOUT_SECONDS: Final = 240


class Judge:
    """Takes the webhooks, refuses some of them, and keeps what was received."""

    def __init__(self) -> None:
        self.receiver = Receiver(keys={"key": SECRET})
        self.chance = random.Random(SEED)
        self.received: list[Received] = []

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Verify every one; answer one in twenty with an error before it counts."""
        body = await request.read()
        if self.chance.random() < 0.05:
            return await respond(503)(request)
        self.received.append(self.receiver.receive(request.headers, body))
        return await respond(200)(request)


def test_whatever_was_accepted_before_a_kill_arrives_in_order(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    judge = Judge()
    receiver.handler = judge.take
    sender = Path(__file__).with_name("killed_sender.py")
    command = [sys.executable, str(sender), str(tmp_path), receiver.url(), str(KILLS), str(SEED)]
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS, check=True
    )

    accepted: set[int] = set()
    for line in ran.stdout.splitlines():
        accepted.update(range(*map(int, line.split())))
    numbers = [int(one.event.room.metadata) for one in judge.received]
    assert len(accepted) > KILLS
    assert accepted <= set(numbers)
    first_times = defaultdict(list)
    for number in dict.fromkeys(numbers):
        first_times[number % ROOMS].append(number)
    assert all(seen == sorted(seen) for seen in first_times.values())
    ids = {(number, one.id) for number, one in zip(numbers, judge.received, strict=True)}
    assert len(ids) == len(set(numbers)), "a repetition has the same id"
    assert not any(one.gap for one in judge.received if not one.is_duplicate)
    assert not judge.receiver.missing()
