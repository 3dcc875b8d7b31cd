"""A process that is killed at any moment has lost nothing of what it was told is kept."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.database import DATABASE_NAME
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import OutboxBench

KILLS: Final = 5
LINES_MAX: Final = 2_000  # some groups, and some hundred changes of each

CHILD: Final = """
import random, sys, threading
from pathlib import Path
from greenroom.messages.deliveries import Kept
from greenroom.testing.stored import OutboxBench, delivered, kept_delivery

class Door:
    def enter(self, target, body):
        assert isinstance(body, Kept), body
        print("".join(f"{one} {sequence}\\n" for one, sequence in body.rows), end="", flush=True)
        for one, _ in body.rows:
            if one % 3 == 0:
                outbox.end(delivered(one))
            elif one % 3 == 1:
                outbox.postpone(one, 1, 9_000, 503, "busy")
            room.release()
        return True

rng = random.Random(sys.argv[2])
room = threading.Semaphore(300)
bench = OutboxBench(Path(sys.argv[1]))
bench.door = Door()
outbox = bench.open(keep_delivered=1_000_000)
while True:
    rows = []
    for _ in range(rng.randint(1, 3)):
        room.acquire()
        rows.append(kept_delivery(outbox.next_id + len(rows), rng.choice("abcdef"),
                                  rng.choice(["primary", "other"]), bytes(rng.randint(0, 5_000))))
    outbox.keep(rows, "notifier")
"""


def run_and_kill(directory: Path, rng: random.Random) -> dict[int, int]:
    """What the process said was kept before it was killed: sequences by id."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), str(rng.random())],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(rng.randint(1, LINES_MAX))]
        child.kill()
        lines += child.stdout.readlines()
        assert child.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    whole = (line.split() for line in lines if line.endswith("\n"))
    return {int(delivery_id): int(sequence) for delivery_id, sequence in whole}


@pytest.mark.parametrize("seed", range(6))
def test_whatever_was_kept_is_there_after_a_kill_and_sequences_have_no_gap(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    kept: dict[int, int] = {}
    for _ in range(KILLS):
        reported = run_and_kill(tmp_path, rng)
        assert reported
        assert not kept.keys() & reported.keys()
        kept |= reported

    bench = OutboxBench(tmp_path)
    outbox = bench.open()
    rows = bench.store.read(all_rows)

    assert kept.items() <= {one: sequence for one, _, _, sequence in rows}.items()
    assert outbox.next_id > max(kept)
    queues: dict[tuple[str, str], list[int]] = {}
    for _, endpoint, key, sequence in rows:
        queues.setdefault((endpoint, key), []).append(sequence)
    for sequences in queues.values():
        assert sequences == list(range(1, len(sequences) + 1))
    assert bench.run("PRAGMA integrity_check") == [("ok",)]
    assert (tmp_path / DATABASE_NAME).is_file()
    bench.end()


def all_rows(connection: sqlite3.Connection) -> list[tuple[int, str, str, int]]:
    return connection.execute(
        "SELECT id, endpoint, key, sequence FROM deliveries ORDER BY endpoint, key, sequence"
    ).fetchall()
