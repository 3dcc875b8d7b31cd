"""A node and its clients: statistics a second, what a call costs, and what comes back how soon.

    python bench/processes.py --json processes.json

All on this machine: `greenroom serve` with one shard, and client processes that
`greenroom.connect()` to it. Everything is done before the clock stops: the clients' `sync()` says
that the node has processed what they sent.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figures import fresh, median, parser, percentile, rss_bytes, save, show
from livekit.protocol.models import Room
from webhooks import SECRET, receiving
from workload import join_all, load_stats, participants, track_calls

import greenroom

CLIENTS = 2
LATENCY_PER_S = 500
CONNECTS = 8
PATIENCE_S = 60.0
BUFFERED = 50_000  # calls, for a client's memory with its buffer in use


class Node:
    """A node in a directory of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = str(directory / "sockets")
        self._http, admin = _free_port(), _free_port()
        command = [sys.executable, "-m", "greenroom.cli", "serve", "--listen", self.directory]
        command += ["--http", f"127.0.0.1:{self._http}", "--admin-port", str(admin), *options]
        self.log = (directory / "node.log").open("wb")
        self._process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        self.wait_ready(lambda _: True)

    def health(self) -> dict[str, Any]:
        """What /healthz says; empty: nobody answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._http}/healthz", timeout=2
            ) as said:
                return dict(json.load(said))
        except (OSError, ValueError):
            return {}

    def wait_ready(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the node is ready, and of that kind."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            seen = self.health()
            if seen.get("ready") and is_it(seen):
                return seen
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        raise SystemExit(f"the node is not ready:\n{Path(self.log.name).read_text()}")

    def close(self) -> None:
        """Drain it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self.log.close()


@contextmanager
def serving(*options: str) -> Iterator[Node]:
    """A node for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        node = Node(Path(directory), *options)
        try:
            yield node
        finally:
            node.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def call(address: str, number: int, calls: int, workers: int, start_at: float) -> dict[str, float]:
    """A client process: all its calls, from a common start."""
    everybody = participants(workers * (number + 1))[workers * number :]
    arguments = [tuple(each) for each in track_calls(everybody, load_stats(), calls)]
    telemetry = greenroom.connect(address, capacity=2 * calls)
    join_all(telemetry, everybody)
    if not telemetry.sync(PATIENCE_S):
        raise SystemExit("the node does not answer")
    clock, track_stats = time.perf_counter_ns, telemetry.track_stats
    costs = [0] * calls
    while time.time() < start_at:
        time.sleep(0.001)
    began = time.time()
    for index, each in enumerate(arguments):
        called = clock()
        track_stats(*each)  # type: ignore[arg-type]  # built by track_calls
        costs[index] = clock() - called
    done = telemetry.sync(PATIENCE_S)
    ended = time.time()
    dropped = sum(telemetry.statistics().dropped.values())
    if not done or dropped:
        raise SystemExit(f"{dropped} calls were dropped: not the whole work")
    ordered = sorted(costs)
    return {
        "began": began,
        "ended": ended,
        "p50_us": percentile(ordered, 0.5) / 1000,
        "p999_us": percentile(ordered, 0.999) / 1000,
    }


def throughput(node: Node, calls: int, workers: int) -> tuple[float, float, float]:
    """Statistics a second of all clients together, and the caller's p50 and p99.9 in us."""
    context = multiprocessing.get_context("spawn")
    start_at = time.time() + 4.0 + calls / 100_000
    with ProcessPoolExecutor(CLIENTS, mp_context=context) as pool:
        futures = [
            pool.submit(
                call, node.directory, number, calls // CLIENTS, workers // CLIENTS, start_at
            )
            for number in range(CLIENTS)
        ]
        seen = [future.result() for future in futures]
    seconds = max(each["ended"] for each in seen) - min(each["began"] for each in seen)
    p50 = median([each["p50_us"] for each in seen])
    return calls / seconds, p50, median([each["p999_us"] for each in seen])


def webhook_latencies(seconds: float) -> list[float]:
    """From the call in one process to the receiver in another, through the node; ms, sorted."""
    with receiving() as receiver, tempfile.TemporaryDirectory(prefix="gr-") as directory:
        config = Path(directory, "greenroom.yaml")
        config.write_text(
            f"keys: {{bench: {SECRET}}}\n"
            f"webhook: {{urls: ['{receiver.url}'], api_key: bench, allow_private: true}}\n"
        )
        with serving("--shards", "1", "--config", str(config)) as node:
            telemetry = greenroom.connect(node.directory)
            count = int(seconds * LATENCY_PER_S)
            started = time.monotonic()
            for index in range(count):
                name = f"room-{index % 100}"
                room = Room(sid=f"RM_{index % 100}", name=name, metadata=str(time.time_ns()))
                telemetry.room_started(room)
                time.sleep(max(0.0, started + index / LATENCY_PER_S - time.monotonic()))
            telemetry.sync(PATIENCE_S)
            latencies = receiver.wait_for(count)
            telemetry.close()
    return sorted(latencies)


def connect_seconds(address: str) -> float:
    """From `connect()` until the first call has taken effect."""
    began = time.perf_counter()
    telemetry = greenroom.connect(address)
    telemetry.room_started(Room(sid="RM_c", name=f"connect-{os.getpid()}"))
    if not telemetry.sync(PATIENCE_S):
        raise SystemExit("the node does not answer")
    return time.perf_counter() - began


def slowest_connect(node: Node) -> float:
    """Of eight processes at once."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CONNECTS, mp_context=context) as pool:
        return max(pool.map(connect_seconds, [node.directory] * CONNECTS))


def client_mb(address: str) -> float:
    """What a client adds to a process that has LiveKit's protobufs already."""
    import livekit.protocol.analytics
    import livekit.protocol.egress
    import livekit.protocol.ingress
    import livekit.protocol.models  # noqa: F401

    before = rss_bytes()
    connect_seconds(address)
    return (rss_bytes() - before) / 1e6


def parent_of(pid: int) -> int:
    """The process that made this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def shard_back_seconds(node: Node) -> float:
    """From kill -9 of the shard until clients are served again."""
    old = node.wait_ready(lambda _: True)["shards"][0]
    began = time.perf_counter()
    os.kill(old, signal.SIGKILL)
    connect_seconds(node.directory)
    node.wait_ready(lambda seen: seen["shards"][0] != old)
    return time.perf_counter() - began


def admin_back_seconds(node: Node) -> float:
    """From kill -9 of Thespian's admin until clients are served again."""
    old = node.wait_ready(lambda _: True)["shards"][0]
    began = time.perf_counter()
    os.kill(parent_of(parent_of(old)), signal.SIGKILL)
    node.wait_ready(lambda seen: seen["shards"][0] != old)
    connect_seconds(node.directory)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--calls", type=int, default=300_000, help="statistics a run")
    options.add_argument("--participants", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=10.0, help="of webhooks at 500 a second")
    chosen = options.parse_args()
    runs = []
    with serving("--shards", "1") as node:
        for number in range(chosen.runs):
            runs.append(throughput(node, chosen.calls, chosen.participants))
            print(f"run {number + 1} of {chosen.runs}: {runs[-1][0]:,.0f} stats/s", flush=True)
    with serving("--shards", "1") as node:
        connect_s = median([slowest_connect(node) for _ in range(3)])
        rss_mb = median([fresh(client_mb, node.directory) for _ in range(3)])
        shard_s = median([shard_back_seconds(node) for _ in range(3)])
        admin_s = median([admin_back_seconds(node) for _ in range(3)])
    latencies = webhook_latencies(chosen.seconds)
    figures = {
        "two_clients_per_s": median([each[0] for each in runs]),
        "caller_p50_us": median([each[1] for each in runs]),
        "caller_p999_us": median([each[2] for each in runs]),
        "webhook_p50_ms": percentile(latencies, 0.5),
        "webhook_p99_ms": percentile(latencies, 0.99),
        "connect_s": connect_s,
        "client_rss_mb": rss_mb,
        "shard_restart_s": shard_s,
        "admin_restart_s": admin_s,
    }
    show(
        f"{CLIENTS} client processes, one shard: {chosen.calls:,} statistics of "
        f"{chosen.participants:,} participants; medians of {chosen.runs}",
        [
            ("statistics, from call to processed", f"{figures['two_clients_per_s']:,.0f} /s"),
            ("caller p50", f"{figures['caller_p50_us']:.2f} us"),
            ("caller p99.9", f"{figures['caller_p999_us']:.1f} us"),
            ("webhook p50, 500 events/s", f"{figures['webhook_p50_ms']:.1f} ms"),
            ("webhook p99", f"{figures['webhook_p99_ms']:.1f} ms"),
            ("8 processes connect, the slowest", f"{connect_s:.2f} s"),
            ("a client's memory", f"{rss_mb:.1f} MB"),
            ("shard killed, served again", f"{shard_s:.2f} s"),
            ("admin killed, served again", f"{admin_s:.2f} s"),
        ],
    )
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
