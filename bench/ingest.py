"""track_stats, embedded: what a call costs its caller, and how many are processed in a second.

    python bench/ingest.py --json ingest.json

Growth: what one statistic costs with 1,000, 10,000 and 100,000 workers. Each in a fresh process,
and in each a track gets as many samples between two flushes, and as many calls wait at the door,
so that only the number of workers differs.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

from figures import fresh, median, parser, percentile, rss_bytes, save, show
from workload import join_all, load_stats, participants, track_calls

import greenroom

GROWTH = (1_000, 10_000, 100_000)  # workers
GROWTH_SAMPLES = 3  # of a track, between two flushes
GROWTH_CALLS = 300_000  # at least so many: few workers go round more often
GROWTH_PART = 9_000  # calls at a time, however many workers: what waits at the door costs as well
ORIGINAL_PER_S = 874_000  # Go, one producer, quiet machine of this kind: recorded, not this run


@dataclass(frozen=True, slots=True)
class Run:
    """One course of all calls, then a flush."""

    caller_us: list[float]
    per_s: float
    flush_s: float
    dropped: int


def run(telemetry: greenroom.Telemetry, arguments: list[tuple[object, ...]]) -> Run:
    """Call, wait until all is processed, flush."""
    clock = time.perf_counter_ns
    track_stats = telemetry.track_stats
    costs = [0] * len(arguments)
    before = telemetry.statistics().door.dropped
    started = clock()
    for index, each in enumerate(arguments):
        called = clock()
        track_stats(*each)  # type: ignore[arg-type]  # built by track_calls
        costs[index] = clock() - called
    telemetry.sync(timeout=None)
    elapsed = (clock() - started) / 1e9
    started = clock()
    telemetry.flush_stats()
    telemetry.sync(timeout=None)
    flush_s = (clock() - started) / 1e9
    dropped = telemetry.statistics().door.dropped - before
    ordered = sorted(cost / 1000 for cost in costs)
    return Run(ordered, len(arguments) / elapsed, flush_s, dropped)


def stat_us(workers: int) -> float:
    """What a statistic costs from its call until it is in its worker, with so many workers.

    Processor time of all threads: on a quiet machine the same as the clock's, and on a busy one
    what others take does not count. Everybody joins first and one round is not counted; flushes
    are not counted either.
    """
    everybody = participants(workers)
    a_round = [
        tuple(each) for each in track_calls(everybody, load_stats(), workers * 3 * GROWTH_SAMPLES)
    ]
    rounds = max(1, GROWTH_CALLS // len(a_round))
    gc.collect()
    gc.freeze()  # the participants are the benchmark's own
    with greenroom.start(flush_interval_seconds=None, capacity=GROWTH_CALLS) as telemetry:
        for first in range(0, workers, GROWTH_PART):
            join_all(telemetry, everybody[first : first + GROWTH_PART])
            telemetry.sync(timeout=None)
        seconds = 0.0
        for number in range(rounds + 1):
            started = time.process_time()
            for first in range(0, len(a_round), GROWTH_PART):
                for each in a_round[first : first + GROWTH_PART]:
                    telemetry.track_stats(*each)  # type: ignore[arg-type]  # built by track_calls
                telemetry.sync(timeout=None)
            if number:
                seconds += time.process_time() - started
            telemetry.flush_stats()
            telemetry.sync(timeout=None)
        if telemetry.statistics().door.dropped:
            raise SystemExit("statistics were dropped: what was measured is not the whole work")
    return seconds / (rounds * len(a_round)) * 1e6


def growth(runs: int) -> dict[int, float]:
    """Workers -> us a statistic; medians."""
    costs: dict[int, float] = {}
    for workers in GROWTH:
        costs[workers] = median([fresh(stat_us, workers) for _ in range(runs)])
        print(f"{workers:,} workers: {costs[workers]:.2f} us a statistic", flush=True)
    return costs


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--calls", type=int, default=300_000, help="calls a run")
    options.add_argument("--participants", type=int, default=10_000)
    options.add_argument("--growth-runs", type=int, default=1, help="of each size of the growth")
    chosen = options.parse_args()
    costs = growth(chosen.growth_runs)
    everybody = participants(chosen.participants)
    arguments = [tuple(each) for each in track_calls(everybody, load_stats(), chosen.calls)]
    gc.collect()
    gc.freeze()
    empty = rss_bytes()
    telemetry = greenroom.start(flush_interval_seconds=None, capacity=2 * chosen.calls)
    with telemetry:
        join_all(telemetry, everybody)
        telemetry.sync(timeout=None)
        workers_mb = (rss_bytes() - empty) / 1e6
        runs = []
        for number in range(chosen.runs):
            runs.append(run(telemetry, arguments))
            print(f"run {number + 1} of {chosen.runs}: {runs[-1].per_s:,.0f} stats/s", flush=True)
    figures = {
        "caller_p50_us": median([percentile(each.caller_us, 0.5) for each in runs]),
        "caller_p999_us": median([percentile(each.caller_us, 0.999) for each in runs]),
        "embedded_per_s": median([each.per_s for each in runs]),
        "flush_s": median([each.flush_s for each in runs]),
        "workers_mb": workers_mb,
        "dropped": float(sum(each.dropped for each in runs)),
        **{f"stat_us_{workers // 1_000}k": cost for workers, cost in costs.items()},
        "growth_1k_100k": costs[GROWTH[-1]] / costs[GROWTH[0]],
    }
    show(
        f"track_stats, embedded: {chosen.calls:,} calls, {chosen.participants:,} participants, "
        f"3 tracks each; medians of {chosen.runs}",
        [
            ("caller p50", f"{figures['caller_p50_us']:.2f} us"),
            ("caller p99.9", f"{figures['caller_p999_us']:.1f} us"),
            ("call to processed", f"{figures['embedded_per_s']:,.0f} /s"),
            ("of the original's", f"{figures['embedded_per_s'] / ORIGINAL_PER_S:.3f}"),
            ("flush of all workers", f"{figures['flush_s']:.2f} s"),
            ("workers, idle", f"{figures['workers_mb']:.1f} MB"),
            ("dropped", f"{figures['dropped']:.0f}"),
            *(
                (f"a stat, {workers:,} workers", f"{cost:.2f} us")
                for workers, cost in costs.items()
            ),
            ("growth, 1,000 to 100,000", f"x {figures['growth_1k_100k']:.2f}"),
        ],
    )
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
