"""A client process: calls at a steady rate, until it is told otherwise on its standard input.

    python -m greenroom.testing.crash.client LEDGER NAME SEED RATE ADDRESS
    python -m greenroom.testing.crash.client LEDGER NAME SEED RATE DATA_DIR ANALYTICS URL FLUSH

The first connects to a node, the second has greenroom in it. `pause N` and `go` are the commands;
the end of the input ends it.
"""

from __future__ import annotations

import select
import sys
import time
from pathlib import Path
from typing import Final

from ...config import WebhookSettings
from ...launch import start
from ...link.client import connect
from ..webhook_site import KEYS
from .ledger import Ledger
from .lines import LineAnalytics
from .load import Caller, Synced

STEP_SECONDS: Final = 0.02
SYNC_SECONDS: Final = 0.5  # while a node is away nothing more is called than what this bounds
SYNC_EACH: Final = 5  # steps


def embedded(data_dir: str, analytics: str, url: str, flush_seconds: str) -> tuple[Synced, int]:
    """Greenroom in this process, and the port of its metrics."""
    telemetry = start(
        data_dir=data_dir,
        analytics=LineAnalytics(Path(analytics)),
        webhook=WebhookSettings(urls=(url,), api_key="APIkey", keys=KEYS, allow_private=True),
        metrics_port=0,
        flush_interval_seconds=float(flush_seconds),
        close_wait_seconds=5.0,
    )
    port = telemetry.metrics_port
    assert port is not None
    return telemetry, port


def main(path: str, name: str, seed: str, rate: str, *where: str) -> None:
    """Run until the end of the input."""
    ledger = Ledger(Path(path))
    telemetry: Synced
    if len(where) == 1:
        telemetry = connect(*where)
    else:
        telemetry, port = embedded(*where)
        ledger.write("m", port)
    caller = Caller(telemetry, ledger, name, seed)
    ledger.write("b")
    per_step = max(1, round(float(rate) * STEP_SECONDS))
    steps, paused, due = 0, "", time.monotonic()
    while True:
        due = max(due + STEP_SECONDS, time.monotonic() - STEP_SECONDS)
        ready, _, _ = select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))
        if ready:
            words = sys.stdin.readline().split()
            if not words:
                return
            paused = words[1] if words[0] == "pause" else ""
            if paused:
                caller.flush()
                while not caller.sync(SYNC_SECONDS):
                    if select.select([sys.stdin], [], [], 0.0)[0]:
                        return  # whoever it waits for is gone
                ledger.write("p", paused)
        if paused:
            continue
        for _ in range(per_step):
            caller.call()
        steps += 1
        if steps % SYNC_EACH == 0:
            caller.sync(SYNC_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
