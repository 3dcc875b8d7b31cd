"""A flush of very many workers, and how long other calls wait while it goes on.

Measured at the actors: a statistic is processed when its worker has it, a room's start when the
recorder has its event, the flush when the recorder has the statistics of every worker.
"""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

from figures import percentile
from livekit.protocol.models import Room
from workload import Participant, join_all, load_stats, participants

import greenroom
from greenroom.actors._base import ActorAddress, told
from greenroom.actors.children import ChildClasses
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import StatsWorker
from greenroom.messages.outputs import RecordEvent, RecordStats
from greenroom.messages.stats import TrackStat

AT_A_TIME = 1_000  # participants, so that few calls wait at the door
PROBE_SECONDS = 0.001  # between two probes; the interpreter's switch interval makes it longer
PATIENCE_SECONDS = 60.0


class ProbedWorker(StatsWorker):
    """Notes when each statistic came, while that is wanted."""

    wanted: ClassVar[bool] = False
    seen_ns: ClassVar[list[int]] = []

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        """As usual, then note it."""
        super().on_track_stat(sample, sender)
        if ProbedWorker.wanted:
            ProbedWorker.seen_ns.append(time.perf_counter_ns())


class ProbedRecorder(Recorder):
    """Notes when each event came, and counts the workers whose statistics came."""

    seen_ns: ClassVar[list[int]] = []
    workers_left: ClassVar[int] = 0
    flushed_ns: ClassVar[int] = 0
    flushed: ClassVar[threading.Event] = threading.Event()

    @told(RecordEvent)
    def on_record_event(self, record: RecordEvent, sender: ActorAddress) -> None:
        """As usual, then note it."""
        super().on_record_event(record, sender)
        ProbedRecorder.seen_ns.append(time.perf_counter_ns())

    @told(RecordStats)
    def on_record_stats(self, record: RecordStats, sender: ActorAddress) -> None:
        """As usual, then count it."""
        super().on_record_stats(record, sender)
        ProbedRecorder.workers_left -= 1
        if not ProbedRecorder.workers_left:
            ProbedRecorder.flushed_ns = time.perf_counter_ns()
            ProbedRecorder.flushed.set()


@dataclass(frozen=True, slots=True)
class FlushFigures:
    """What a flush took, and the calls meanwhile.

    Args:
        flush_s: From the call until the recorder had the statistics of every worker.
        waits_ms: From each call until it was processed, ascending.
        gc_ms: One collection of everything, before the flush.
    """

    flush_s: float
    waits_ms: list[float]
    gc_ms: float


def fill(telemetry: greenroom.Telemetry, everybody: list[Participant], times: int) -> None:
    """Let everybody join, with so many statistics for each of three tracks."""
    stats = load_stats()
    for first in range(0, len(everybody), AT_A_TIME):
        some = everybody[first : first + AT_A_TIME]
        join_all(telemetry, some)
        for number in range(times):
            for index, each in enumerate(some):
                for key in each.keys:
                    stat = stats[(index + number) % len(stats)]
                    telemetry.track_stats(each.room.sid, each.room.name, key, stat)
        telemetry.sync(None)


def measure_flush(workers: int, samples: int) -> FlushFigures:
    """Flush that many workers with so many samples for each of three tracks."""
    everybody = participants(workers)
    gc.collect()
    gc.freeze()  # the participants are the benchmark's own
    children = ChildClasses(recorder=ProbedRecorder, worker=ProbedWorker)
    with greenroom.start(flush_interval_seconds=None, children=children) as telemetry:
        fill(telemetry, everybody, samples)
        started_ns = time.perf_counter_ns()
        gc.collect()
        gc_ms = (time.perf_counter_ns() - started_ns) / 1e6
        ProbedRecorder.workers_left, ProbedWorker.wanted = workers, True
        called_ns: list[int] = []
        prober = threading.Thread(target=probe, args=(telemetry, everybody[0], called_ns))
        started_ns = time.perf_counter_ns()
        telemetry.flush_stats()
        prober.start()
        if not ProbedRecorder.flushed.wait(PATIENCE_SECONDS):
            raise SystemExit(f"not flushed within {PATIENCE_SECONDS} s")
        prober.join()
        telemetry.sync(None)
    waits_ms = [
        (seen - called) / 1e6
        for seen_ns in (ProbedWorker.seen_ns, ProbedRecorder.seen_ns)
        for called, seen in zip(called_ns, seen_ns, strict=True)
    ]
    return FlushFigures((ProbedRecorder.flushed_ns - started_ns) / 1e9, sorted(waits_ms), gc_ms)


def probe(telemetry: greenroom.Telemetry, whose: Participant, called_ns: list[int]) -> None:
    """A statistic and a room's start every millisecond, until the flush is over.

    Each is of the same track, so they are processed in the order of the calls.
    """
    stat = load_stats()[0]
    room = Room(sid="RM_probe", name="probe")
    while not ProbedRecorder.flushed.wait(PROBE_SECONDS):
        called_ns.append(time.perf_counter_ns())
        telemetry.track_stats(whose.room.sid, whose.room.name, whose.keys[0], stat)
        telemetry.room_started(room)


def waits(figures: FlushFigures) -> str:
    """The middle, the rare and the longest wait, in ms."""
    points = [percentile(figures.waits_ms, fraction) for fraction in (0.5, 0.99, 0.999)]
    return " / ".join(f"{point:,.1f}" for point in (*points, figures.waits_ms[-1]))
