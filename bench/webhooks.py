"""Webhooks: durable ones a second, how long one takes, and a start with a million that wait.

    python bench/webhooks.py --json webhooks.json

The receiver is another process on the loopback interface; it verifies each webhook and checks the
order per room. Both processes share the machine.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from figures import fresh, median, parser, percentile, rss_bytes, save, show
from livekit.protocol.models import Room
from webhook_receiver import serve

import greenroom
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.store import Store
from greenroom.adapters.stored_outbox import SqliteOutbox
from greenroom.core.endpoints import configured_endpoints
from greenroom.core.metrics import Metrics
from greenroom.messages.deliveries import KeptDelivery
from greenroom.runtime.clock import SystemClock
from greenroom.testing.fakes import FakeDoor

ORIGINAL_PER_S = 7_849  # Go, not durable, its receiver in the same process: recorded, not this run
ROOMS = 100
SECRET = "a-secret-of-the-benchmark-0123456789"
LATENCY_PER_S = 500
PATIENCE_S = 120.0
WAITING = 1_000_000
BODY = b'{"event":"room_started","room":{"sid":"RM_0","name":"room-0","metadata":"' + b"x" * 500
UNREACHABLE = "http://127.0.0.1:9/"  # the discard port: refused at once


class Receiver:
    """The other process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url = f"http://127.0.0.1:{pipe.recv()}/webhook"

    def wait_for(self, count: int) -> list[float]:
        """Wait until so many were received in all; latencies since the last time, in ms."""
        latencies: list[float] = []
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._pipe.send("how many")
            received, forged, out_of_order, more = self._pipe.recv()
            latencies += more
            if forged or out_of_order:
                raise SystemExit(f"{forged} forged, {out_of_order} out of order")
            if received >= count:
                return latencies
            time.sleep(0.02)
        raise SystemExit(f"only {received} of {count} webhooks came")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, SECRET.encode()), daemon=True
    )
    process.start()
    try:
        yield Receiver(ours)
    finally:
        ours.send("end")
        process.join(5)
        process.kill()


def settings(url: str) -> greenroom.WebhookSettings:
    """All events go to one endpoint."""
    return greenroom.WebhookSettings(
        urls=(url,), api_key="key", keys={"key": SECRET}, allow_private=True
    )


def per_second(events: int, *, durable: bool) -> float:
    """Webhooks a second, from the first call until the last is received and verified."""
    rooms = [Room(sid=f"RM_{number}", name=f"room-{number}") for number in range(ROOMS)]
    with receiving() as receiver, tempfile.TemporaryDirectory() as directory:
        data_dir = directory if durable else None
        with greenroom.start(webhook=settings(receiver.url), data_dir=data_dir) as telemetry:
            started = time.perf_counter()
            for number in range(events):
                telemetry.room_started(rooms[number % ROOMS])
            receiver.wait_for(events)
            return events / (time.perf_counter() - started)


def latencies(seconds: float) -> list[float]:
    """From the call to the receiver, in ms, at 500 events a second; durable."""
    count = round(seconds * LATENCY_PER_S)
    with (
        receiving() as receiver,
        tempfile.TemporaryDirectory() as directory,
        greenroom.start(webhook=settings(receiver.url), data_dir=directory) as telemetry,
    ):
        started = time.perf_counter()
        for number in range(count):
            room = f"room-{number % ROOMS}"
            telemetry.room_started(Room(name=room, metadata=str(time.time_ns())))
            wait = started + (number + 1) / LATENCY_PER_S - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
        return sorted(receiver.wait_for(count))


def start_with(waiting: int, directory: str) -> tuple[float, float]:
    """Seconds of a start with so many webhooks that wait, and what it takes in memory, in MB."""
    fill(Path(directory), waiting)
    before = rss_bytes()
    started = time.perf_counter()
    with greenroom.start(webhook=settings(UNREACHABLE), data_dir=directory) as telemetry:
        telemetry.sync(timeout=None)
        return time.perf_counter() - started, (rss_bytes() - before) / 1e6


def fill(directory: Path, waiting: int) -> None:
    """Have so many webhooks of an endpoint that is down, over 100 rooms."""
    (endpoint,) = configured_endpoints(settings(UNREACHABLE))
    metrics, door = Metrics(), FakeDoor()
    store = Store(directory, metrics, LoggingReporter(SystemClock()), disk_sync="normal")
    outbox = SqliteOutbox(store, door, metrics, hold=lambda: None, release=lambda: None)
    for first in range(0, waiting, 10_000):
        rows = [
            KeptDelivery(
                id=number + 1,
                endpoint=endpoint.id,
                key=f"room-{number % ROOMS}",
                event_id=f"EV_{number}",
                event="room_started",
                room=f"room-{number % ROOMS}",
                body=BODY,
                queued_at_ns=time.time_ns(),
            )
            for number in range(first, min(first + 10_000, waiting))
        ]
        outbox.keep(rows, "nobody")
        outbox.wait_idle(None)
        if first % 100_000 == 0:
            print(f"\r{first:,} webhooks wait", end="", flush=True)
    print("\r", end="")
    outbox.close(None)
    store.close(None)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--events", type=int, default=20_000, help="webhooks a run")
    options.add_argument("--seconds", type=float, default=10.0, help="of the latency's measure")
    options.add_argument("--waiting", type=int, default=WAITING, help="at the start")
    chosen = options.parse_args()
    in_memory, durable = [], []
    for number in range(chosen.runs):
        in_memory.append(per_second(chosen.events, durable=False))
        durable.append(per_second(chosen.events, durable=True))
        print(
            f"run {number + 1} of {chosen.runs}: {in_memory[-1]:,.0f} /s in memory, "
            f"{durable[-1]:,.0f} /s durable",
            flush=True,
        )
    took = latencies(chosen.seconds)
    with tempfile.TemporaryDirectory() as directory:
        startup_s, startup_mb = fresh(start_with, chosen.waiting, directory)
    figures = {
        "durable_per_s": median(durable),
        "memory_per_s": median(in_memory),
        "latency_p50_ms": percentile(took, 0.5),
        "latency_p99_ms": percentile(took, 0.99),
        "startup_1m_s": startup_s,
        "startup_1m_mb": startup_mb,
    }
    show(
        f"webhooks over {ROOMS} rooms, verified by another process",
        [
            ("durable", f"{figures['durable_per_s']:,.0f} /s"),
            ("in memory", f"{figures['memory_per_s']:,.0f} /s"),
            (
                "durable / LiveKit's, recorded",
                f"{figures['durable_per_s'] / ORIGINAL_PER_S:.2f} x",
            ),
            ("latency p50, 500 /s, durable", f"{figures['latency_p50_ms']:.1f} ms"),
            ("latency p99", f"{figures['latency_p99_ms']:.1f} ms"),
            (f"start with {chosen.waiting:,} that wait", f"{startup_s:.2f} s"),
            ("memory of that", f"{startup_mb:.0f} MB"),
        ],
    )
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
