"""A node and its clients: statistics a second, what a call costs, and what comes back how soon.

    python bench/processes.py --json processes.json

All on this machine: `greenroom serve` with one shard, and client processes that
`greenroom.connect()` to it. Everything is done before the clock stops: the clients' `sync()` says
that the node has processed what they sent.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from figures import median, parser, percentile, save, show
from livekit.protocol.models import Room
from webhooks import SECRET, receiving
from workload import join_all, load_stats, participants, track_calls

import greenroom
from greenroom.testing.loopback import unused_port
from greenroom.testing.nodes import RunningNode, serving

CLIENTS = 2
LATENCY_PER_S = 500
CONNECTS = 8
PATIENCE_S = 60.0
CLIENT = """
import os, sys
import livekit.protocol.analytics, livekit.protocol.egress
import livekit.protocol.ingress, livekit.protocol.models

def rss():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = rss()
import greenroom
telemetry = greenroom.connect(sys.argv[1])
telemetry.room_started(livekit.protocol.models.Room(sid="RM_m", name="memory"))
assert telemetry.sync(60)
print(rss() - before)
"""  # a client as small as can be


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


def throughput(node: RunningNode, calls: int, workers: int) -> tuple[float, float, float]:
    """Statistics a second of all clients together, and the caller's p50 and p99.9 in us."""
    context = multiprocessing.get_context("spawn")
    start_at = time.time() + 4.0 + calls / 100_000
    with ProcessPoolExecutor(CLIENTS, mp_context=context) as pool:
        futures = [
            pool.submit(call, node.address, number, calls // CLIENTS, workers // CLIENTS, start_at)
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
            telemetry = greenroom.connect(node.address)
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


def slowest_connect(node: RunningNode) -> float:
    """Of eight processes at once."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CONNECTS, mp_context=context) as pool:
        return max(pool.map(connect_seconds, [node.address] * CONNECTS))


def client_mb(address: str) -> float:
    """What a client adds to a process that has LiveKit's protobufs already."""
    seen = subprocess.run(
        [sys.executable, "-c", CLIENT, address], capture_output=True, text=True, check=True
    )
    return float(seen.stdout) / 1e6


def shard_back_seconds(node: RunningNode) -> float:
    """From kill -9 of the shard until clients are served again."""
    began = time.perf_counter()
    old = node.kill("shard 0")
    connect_seconds(node.address)
    node.wait_ready(lambda seen: seen["shards"][0] != old)
    return time.perf_counter() - began


def admin_back_seconds(node: RunningNode) -> float:
    """From kill -9 of Thespian's admin until clients are served again."""
    old = node.wait_ready()["shards"][0]
    began = time.perf_counter()
    node.kill("admin")
    node.wait_ready(lambda seen: seen["shards"][0] != old)
    connect_seconds(node.address)
    return time.perf_counter() - began


def failover_seconds() -> float:
    """From kill -9 of a node until calls about its rooms take effect at another."""
    secret = {"GREENROOM_SECRET": SECRET}
    join = unused_port()
    with ExitStack() as stack:
        nodes = []
        for number in (1, 2):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gr-")))
            node = RunningNode(
                directory,
                *("--shards", "1", "--node-id", f"node{number}", "--join", f"127.0.0.1:{join}"),
                environment=secret,
                admin_port=join if number == 1 else 0,
            )
            stack.callback(node.close)
            nodes.append(node)
        for node in nodes:
            node.wait_ready(lambda seen: len(seen["nodes"]) == 1)
        telemetry = stack.enter_context(nodes[0].connect())
        began = time.perf_counter()
        nodes[1].kill("watcher")
        for number in range(100):
            telemetry.room_started(Room(sid=f"RM_f{number}", name=f"failover-{number}"))
        if not telemetry.sync(PATIENCE_S):
            raise SystemExit("calls about the rooms of a dead node do not take effect")
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
        rss_mb = median([client_mb(node.address) for _ in range(3)])
        shard_s = median([shard_back_seconds(node) for _ in range(3)])
        admin_s = median([admin_back_seconds(node) for _ in range(3)])
    failover_s = median([failover_seconds() for _ in range(3)])
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
        "node_failover_s": failover_s,
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
            ("node killed, its rooms elsewhere", f"{failover_s:.2f} s"),
        ],
    )
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
