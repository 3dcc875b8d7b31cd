"""What durability costs, and how soon a killed process is where it was.

    python bench/durability.py --json durability.json

Rates alternate in one run between no journal (`durability="memory"`) and one (`"batch"`), both
with a data directory on the disk that TMPDIR names, synced (`disk_sync="full"`). A recovery is
the time that `greenroom.start()` takes in a new process after `kill -9` of the one before.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import fresh, median, parser, save, show
from ingest import run
from processes import throughput
from workload import join_all, load_stats, participants, track_calls

import greenroom
from greenroom.config import Durability
from greenroom.testing.nodes import serving

PART = 100_000  # calls before a victim waits: what waits at the door costs memory


def embedded(durability: Durability, calls: int, workers: int) -> tuple[float, float]:
    """Statistics a second in one process, and the caller's p50 in us."""
    everybody = participants(workers)
    arguments = [tuple(each) for each in track_calls(everybody, load_stats(), calls)]
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        telemetry = greenroom.start(
            flush_interval_seconds=None,
            capacity=2 * calls,
            data_dir=directory,
            durability=durability,
        )
        with telemetry:
            join_all(telemetry, everybody)
            telemetry.sync(timeout=None)
            done = run(telemetry, arguments)
    if done.dropped:
        raise SystemExit("statistics were dropped: what was measured is not the whole work")
    return done.per_s, done.caller_us[len(done.caller_us) // 2]


def victim(directory: str, workers: int, calls: int, *, flushes: bool) -> None:
    """A process that calls, and is killed: with a checkpoint of the workers, or without any."""
    everybody = participants(workers)
    telemetry = greenroom.start(
        flush_interval_seconds=None, capacity=2 * PART, data_dir=directory, disk_sync="normal"
    )
    for first in range(0, workers, PART):
        join_all(telemetry, everybody[first : first + PART])
        telemetry.sync(timeout=None)
    if flushes:
        telemetry.flush_stats()
        telemetry.sync(timeout=None)
    for number, each in enumerate(track_calls(everybody, load_stats(), calls), 1):
        telemetry.track_stats(*each)
        if number % PART == 0:
            telemetry.sync(timeout=None)
    telemetry.sync(timeout=None)
    time.sleep(1.0)  # the checkpoint is written behind the flush
    os.kill(os.getpid(), signal.SIGKILL)


def recovery_s(directory: str) -> tuple[float, int]:
    """How long a start takes, and how many workers there are then."""
    began = time.perf_counter()
    telemetry = greenroom.start(flush_interval_seconds=None, data_dir=directory)
    seconds = time.perf_counter() - began
    workers = len(telemetry.workers().current)
    telemetry.close(None)
    return seconds, workers


def recovery(workers: int, calls: int, *, flushes: bool) -> float:
    """Seconds until a new process is where the killed one was."""
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        given = f"{directory!r}, {workers}, {calls}, flushes={flushes}"
        code = f"import durability; durability.victim({given})"
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=False)
        seconds, found = fresh(recovery_s, directory)
    if found != workers:
        raise SystemExit(f"{found} of {workers} workers came back")
    return seconds


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--calls", type=int, default=300_000, help="statistics of a rate")
    options.add_argument("--participants", type=int, default=10_000)
    options.add_argument("--inputs", type=int, default=1_000_000, help="of the long recovery")
    chosen = options.parse_args()
    rates: dict[str, list[float]] = {"memory": [], "batch": [], "processes": []}
    p50: dict[str, list[float]] = {"memory": [], "batch": []}
    kinds: tuple[Durability, ...] = ("memory", "batch")
    for number in range(chosen.runs):
        for kind in kinds:
            per_s, caller = fresh(embedded, kind, chosen.calls, chosen.participants)
            rates[kind].append(per_s)
            p50[kind].append(caller)
        with (
            tempfile.TemporaryDirectory(prefix="gr-") as directory,
            serving("--shards", "1", "--data-dir", directory) as node,
        ):
            rates["processes"].append(throughput(node, chosen.calls, chosen.participants)[0])
        latest = ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items())
        print(f"run {number + 1} of {chosen.runs}: {latest}", flush=True)
    print("recovery of the workers …", flush=True)
    of_workers = recovery(10_000, 0, flushes=True)
    print(f"recovery of {chosen.inputs:,} inputs …", flush=True)
    of_inputs = recovery(10_000, chosen.inputs - 10_000, flushes=False)
    figures = {
        "embedded_memory_per_s": median(rates["memory"]),
        "embedded_batch_per_s": median(rates["batch"]),
        "batch_cost": 1 - median(rates["batch"]) / median(rates["memory"]),
        "caller_p50_memory_us": median(p50["memory"]),
        "caller_p50_batch_us": median(p50["batch"]),
        "processes_journaled_per_s": median(rates["processes"]),
        "recovery_10k_workers_s": of_workers,
        "recovery_1m_inputs_s": of_inputs,
    }
    show(
        f"durability: {chosen.calls:,} statistics of {chosen.participants:,} participants; "
        f"medians of {chosen.runs}",
        [
            ("embedded, memory", f"{figures['embedded_memory_per_s']:,.0f} /s"),
            ("embedded, batch", f"{figures['embedded_batch_per_s']:,.0f} /s"),
            ("what that costs", f"{figures['batch_cost']:.1%}"),
            ("caller p50, memory", f"{figures['caller_p50_memory_us']:.2f} us"),
            ("caller p50, batch", f"{figures['caller_p50_batch_us']:.2f} us"),
            (
                "two clients, one journaled shard",
                f"{figures['processes_journaled_per_s']:,.0f} /s",
            ),
            ("10,000 workers come back", f"{of_workers:.2f} s"),
            (f"{chosen.inputs:,} inputs come back", f"{of_inputs:.2f} s"),
        ],
    )
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
