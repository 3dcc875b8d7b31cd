"""A process that sends webhooks, is killed at a random moment, and starts again, many times.

    python tests/system/killed_sender.py DATA_DIR URL KILLS SEED

One process has everything loaded and no thread; it forks the senders, so that a start takes
milliseconds. Prints the numbers that were accepted: `sync()` had returned True after their calls.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from livekit.protocol.models import Room

import greenroom
from greenroom.adapters.database import open_beside
from greenroom.adapters.delivery_queries import oldest_pending
from greenroom.config import DEFAULT_POLICY
from greenroom.launch import start as start_greenroom  # loaded before the first fork

ROOMS = 10
NUMBERS_OF_A_LIFE = 100_000
BATCH_MAX = 20
LIFE_SECONDS = (0.0, 0.25)
SECRET = "a-secret-of-the-test-0123456789abcdef"
POLICY = replace(
    DEFAULT_POLICY, wait_min_seconds=0.01, wait_max_seconds=0.05, breaker_failures=None
)


def start(directory: str, url: str) -> greenroom.Telemetry:
    """A sender on the data directory of the one before it."""
    webhook = greenroom.WebhookSettings(
        urls=(url,), api_key="key", keys={"key": SECRET}, allow_private=True, policy=POLICY
    )
    return start_greenroom(webhook=webhook, data_dir=directory, disk_sync="normal")


def send(directory: str, url: str, first: int, seed: float) -> None:
    """Events without end, a number in each, accepted in batches."""
    chance = random.Random(seed)
    telemetry = start(directory, url)
    number = first
    while True:
        batch = range(number, number + chance.randint(1, BATCH_MAX))
        for number in batch:
            room = f"room-{number % ROOMS}"
            telemetry.room_started(Room(name=room, metadata=str(number)))
        if telemetry.sync():
            os.write(1, f"{batch.start} {batch.stop}\n".encode())
        number = batch.stop


def main(directory: str, url: str, kills: int, seed: int) -> None:
    """Let senders live and die; the last one is left alone until everything is delivered."""
    chance = random.Random(seed)
    for life in range(1, kills + 1):
        seed_of_life = chance.random()
        child = os.fork()
        if not child:
            send(directory, url, life * NUMBERS_OF_A_LIFE, seed_of_life)
        time.sleep(chance.uniform(*LIFE_SECONDS))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with start(directory, url), closing(open_beside(Path(directory))) as database:
        deadline = time.monotonic() + 60
        while oldest_pending(database):
            if time.monotonic() > deadline:
                sys.exit("not everything is delivered")
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
