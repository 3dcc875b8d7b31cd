"""A process that ends at any moment, and another one that goes on with its data directory."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

import greenroom
from greenroom.adapters.database import DATABASE_NAME
from greenroom.core.times import NS_PER_SECOND
from greenroom.messages.control import Workers
from greenroom.testing.samples import ALICE, BOB, ROOM_ID, ROOM_NAME, key, participant, room, stat
from greenroom.testing.simulated_host import SimulatedHost

START_NS: Final = 1_700_000_000 * NS_PER_SECOND
STEPS: Final = 40


class Sink:
    """Keeps what it gets by its id, over several lives; it refuses what a dead one hands over."""

    def __init__(self) -> None:
        self.outputs: dict[str, bytes] = {}
        self.is_reachable = True
        self.repeats = 0

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        for one in stats:
            self._keep(one)

    def send_event(self, event: AnalyticsEvent) -> None:
        self._keep(event)

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        raise AssertionError("nobody tells of rooms here")

    def room_project_reporter(self) -> object:
        return None

    def contents(self) -> Counter[bytes]:
        """What it has, without the ids."""
        return Counter(self.outputs.values())

    def _keep(self, output: AnalyticsStat | AnalyticsEvent) -> None:
        if not self.is_reachable:
            raise ConnectionError("the sink is away")
        output_id = output.id
        assert output_id.startswith(("AS_", "AE_"))
        output.id = ""
        body = output.SerializeToString(deterministic=True)
        self.repeats += output_id in self.outputs
        assert self.outputs.setdefault(output_id, body) == body


class Lives:
    """One greenroom after another on the same data, in virtual time."""

    def __init__(self, directory: Path) -> None:
        self.sink = Sink()
        self._directory = directory
        self._number = 0
        self.clock = greenroom.VirtualClock(START_NS)
        self.telemetry = self._start()

    def crash(self) -> None:
        """The process ends now; another one starts with what is on the disk."""
        before, old = self._path(), self.telemetry
        self._number += 1
        self._path().mkdir()
        for suffix in ("", "-wal"):
            source = before / f"{DATABASE_NAME}{suffix}"
            if source.exists():
                shutil.copy(source, self._path() / source.name)
        self.sink.is_reachable = False
        old.close(0.0)
        self.sink.is_reachable = True
        self.clock = greenroom.VirtualClock(self.clock.now_ns())
        self.telemetry = self._start()

    def settle(self) -> None:
        """Wait until all calls are processed, and the sink has had what came of them."""
        assert self.telemetry.sync()

    def _path(self) -> Path:
        return self._directory / f"life-{self._number}"

    def _start(self) -> greenroom.Telemetry:
        return greenroom.start(
            analytics=self.sink,
            clock=self.clock,
            flush_interval_seconds=None,
            data_dir=self._path(),
        )


def course(seed: int, directory: Path, *, crashes: bool) -> tuple[Sink, dict[str, float], Workers]:
    """A random course of calls, with or without crashes between them, and a flush at the end."""
    chance, accidents = random.Random(seed), random.Random(seed + 1)
    host, lives = SimulatedHost(chance), Lives(directory)
    for _ in range(STEPS):
        for _ in range(chance.randrange(6)):
            lives.telemetry.take([host.next_call()], lambda: None)
        now_ns = lives.clock.now_ns() + chance.choice([0, 1, 20, 200]) * NS_PER_SECOND
        lives.settle()
        if crashes and accidents.random() < 0.3:
            lives.crash()
        lives.telemetry.advance_to(now_ns)
    lives.telemetry.flush_stats()
    lives.settle()
    metrics, workers = lives.telemetry.metrics.series({}), lives.telemetry.workers()
    lives.telemetry.close()
    return lives.sink, metrics, workers


@pytest.mark.parametrize("seed", range(12))
def test_whenever_a_process_ends_the_next_one_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, seed: int
) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "rough").mkdir()
    calm, metrics, workers = course(seed, tmp_path / "calm", crashes=False)

    rough, metrics_then, workers_then = course(seed, tmp_path / "rough", crashes=True)

    assert rough.contents() == calm.contents()
    assert metrics_then == metrics
    assert workers_then == workers
    assert calm.repeats == 0


def test_what_was_not_flushed_is_there_after_a_crash_and_flushed_once(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    guard = lives.telemetry.guard()
    lives.telemetry.participant_active(room(), participant(ALICE), None, False, guard)
    lives.telemetry.track_stats(ROOM_ID, ROOM_NAME, key(ALICE), stat(3))
    lives.telemetry.flush_stats()
    lives.telemetry.track_stats(ROOM_ID, ROOM_NAME, key(ALICE), stat(5))
    lives.settle()

    lives.crash()
    lives.telemetry.track_stats(ROOM_ID, ROOM_NAME, key(ALICE), stat(7))
    lives.settle()
    lives.crash()
    lives.telemetry.flush_stats()
    lives.telemetry.participant_left(room(), participant(ALICE), True, guard)
    lives.settle()
    lives.crash()

    flushed = [AnalyticsStat.FromString(body) for body in packed(lives.sink, "AS_")]
    assert [one.streams[0].primary_packets for one in flushed] == [3, 12]
    (worker,) = lives.telemetry.workers().current
    assert (worker.connected, worker.closed) == (True, True)
    lives.telemetry.close()


def test_a_clean_close_leaves_nothing_to_take_up(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    lives.telemetry.participant_active(room(), participant(BOB), None, False, None)
    lives.telemetry.track_stats(ROOM_ID, ROOM_NAME, key(BOB), stat(3))
    assert lives.telemetry.close()

    lives.telemetry = lives._start()

    assert lives.telemetry.workers().current == ()
    assert lives.telemetry.metrics.series({}) == {}
    lives.telemetry.close()


def test_a_close_that_is_not_the_end_goes_on_with_the_same_participants(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    lives.telemetry.participant_active(room(), participant(BOB), None, False, None)
    lives.telemetry.track_stats(ROOM_ID, ROOM_NAME, key(BOB), stat(3))
    assert lives.telemetry.close(is_over=False)

    lives.telemetry = lives._start()
    lives.telemetry.track_stats(ROOM_ID, ROOM_NAME, key(BOB), stat(5))
    lives.telemetry.flush_stats()
    lives.settle()

    flushed = [AnalyticsStat.FromString(body) for body in packed(lives.sink, "AS_")]
    assert [one.streams[0].primary_packets for one in flushed] == [3, 5]
    lives.telemetry.close()


def packed(sink: Sink, prefix: str) -> list[bytes]:
    return [body for output_id, body in sink.outputs.items() if output_id.startswith(prefix)]
