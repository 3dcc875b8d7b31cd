"""A process that ends while it takes up what one before it has left, or just after that."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

import greenroom
from greenroom.actors._base import ActorAddress, told
from greenroom.actors.children import ChildClasses
from greenroom.actors.stats_worker import StatsWorker
from greenroom.adapters.database import DATABASE_NAME
from greenroom.core.series import flatten
from greenroom.core.times import NS_PER_SECOND
from greenroom.errors import SystemBrokenError
from greenroom.messages.calls import FlushStats, RoomStarted, SendEvent
from greenroom.messages.codec import MAX_BYTES
from greenroom.messages.stats import FlushTick, TrackStat
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.loopback import LoopThread
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.samples import ALICE, join, report, room, track_stats
from greenroom.testing.webhook_site import KEYS, WebhookSite

START_NS: Final = 1_700_000_000 * NS_PER_SECOND


class Sink:
    """Adds up the packets that it got."""

    def __init__(self) -> None:
        self.packets = self.events = 0
        self.is_flushed = threading.Event()

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        self.packets += sum(stream.primary_packets for one in stats for stream in one.streams)
        self.is_flushed.set()

    def send_event(self, event: AnalyticsEvent) -> None:
        self.events += 1

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        raise AssertionError("nobody tells of rooms here")

    def room_project_reporter(self) -> object:
        return None


class Poisoned(StatsWorker):
    """Cannot digest any sample."""

    @told(TrackStat)
    def on_track_stat(self, stat: TrackStat, sender: ActorAddress) -> None:
        """Fail."""
        raise RuntimeError("poison")


class Stuck(StatsWorker):
    """Cannot be interrupted in its first sample."""

    opened = threading.Event()

    @told(TrackStat)
    def on_track_stat(self, stat: TrackStat, sender: ActorAddress) -> None:
        """Wait in a lock, without a look at what is raised here."""
        self.opened.wait()


def left_behind(before: Path, after: Path) -> Path:
    """The directory as a process finds it that starts after a crash of this moment."""
    after.mkdir()
    for suffix in ("", "-wal"):
        if (source := before / f"{DATABASE_NAME}{suffix}").exists():
            shutil.copy(source, after / source.name)
    return after


def test_a_tick_of_now_does_not_come_between_what_a_life_before_has_left(tmp_path: Path) -> None:
    sink = Sink()
    telemetry = greenroom.start(data_dir=tmp_path / "a", flush_interval_seconds=None)
    join(telemetry, ALICE)
    for _ in range(100):
        report(telemetry, ALICE, 1)
        assert telemetry.sync()  # a row of its own
    second = left_behind(tmp_path / "a", tmp_path / "b")
    telemetry.close()

    telemetry = greenroom.start(analytics=sink, data_dir=second, flush_interval_seconds=0.001)
    telemetry.flush_stats()
    assert telemetry.sync()
    telemetry.close()

    assert sink.packets == 100


def test_a_webhook_is_made_once_however_often_its_process_crashes(
    tmp_path: Path, thread: LoopThread
) -> None:
    site = WebhookSite(thread, VirtualClock(START_NS))

    def start(directory: Path) -> greenroom.Telemetry:
        return greenroom.start(
            clock=VirtualClock(START_NS),
            data_dir=directory,
            flush_interval_seconds=None,
            webhook=greenroom.WebhookSettings(
                urls=(site.url,), api_key=next(iter(KEYS)), keys=KEYS, allow_private=True
            ),
        )

    telemetry = start(tmp_path / "0")
    # the second flush comes while the checkpoint of the first is made, and has none
    telemetry.take([FlushStats(), FlushStats(), RoomStarted(room())], lambda: None)
    assert telemetry.sync()
    for life in range(3):
        directory = left_behind(tmp_path / str(life), tmp_path / str(life + 1))
        telemetry.close(is_over=False)
        telemetry = start(directory)
        assert telemetry.sync()
    telemetry.close()
    site.close()

    assert [received.sequence for received in site.accepted] == [1]


def test_ticks_go_on_though_a_life_before_has_left_some_in_its_journal(tmp_path: Path) -> None:
    sink = Sink()
    telemetry = greenroom.start(data_dir=tmp_path / "a", flush_interval_seconds=None)
    join(telemetry, ALICE)
    # the second flush comes while the checkpoint of the first is made, and has none
    flushes: list[Any] = [FlushStats(), FlushTick(1_000)]
    telemetry.take(flushes, lambda: None)
    for _ in range(100):
        report(telemetry, ALICE, 1)
        assert telemetry.sync()  # a row of its own
    second = left_behind(tmp_path / "a", tmp_path / "b")
    telemetry.close()

    telemetry = greenroom.start(analytics=sink, data_dir=second, flush_interval_seconds=0.001)
    assert sink.is_flushed.wait(PATIENCE_SECONDS)
    telemetry.close()

    assert sink.packets == 100


def test_a_start_that_fails_lets_go_of_the_directory_and_leaves_all_in_it(tmp_path: Path) -> None:
    sink = Sink()
    telemetry = greenroom.start(data_dir=tmp_path / "a", flush_interval_seconds=None)
    join(telemetry, ALICE)
    report(telemetry, ALICE, 1, 2, 3)
    assert telemetry.sync()
    directory = left_behind(tmp_path / "a", tmp_path / "b")
    telemetry.close()

    with pytest.raises(SystemBrokenError, match="stuck"):
        greenroom.start(
            data_dir=directory, handler_limit_seconds=0.1, children=ChildClasses(worker=Stuck)
        )
    Stuck.opened.set()
    telemetry = greenroom.start(analytics=sink, data_dir=directory)
    telemetry.close()

    assert sink.packets == 6


def test_a_dead_letter_is_kept_once_however_often_its_input_is_told_again(tmp_path: Path) -> None:
    def start(directory: Path) -> greenroom.Telemetry:
        children = ChildClasses(worker=Poisoned)
        return greenroom.start(data_dir=directory, flush_interval_seconds=None, children=children)

    telemetry = start(tmp_path / "0")
    join(telemetry, ALICE)
    report(telemetry, ALICE, 1, 1, 1)  # three letters, which look the same
    wait_until(lambda: len(telemetry.dead_letters.list()) == 3)
    for life in range(2):
        directory = left_behind(tmp_path / str(life), tmp_path / str(life + 1))
        telemetry.close(is_over=False)
        telemetry = start(directory)

        wait_for_failures(telemetry, 3)  # one after the other, with a back-off

    wait_until(partial(has_checkpoint, telemetry))  # from here on, it is told no more
    assert len(telemetry.dead_letters.list()) == 3
    report(telemetry, ALICE, 1)
    wait_until(lambda: len(telemetry.dead_letters.list()) == 4)
    telemetry.close()


def has_checkpoint(telemetry: greenroom.Telemetry) -> bool:
    """Of a flush of now: there is none while a worker waits for its restart."""
    telemetry.flush_stats()
    assert telemetry.sync()
    return telemetry._keeping is not None and not telemetry._keeping.is_told_again()


def wait_for_failures(telemetry: greenroom.Telemetry, count: int) -> None:
    name = 'greenroom_input_failures_total{actor="Poisoned"}'
    wait_until(lambda: flatten(telemetry.metrics.snapshot(), {}).get(name) == count)
    assert telemetry.sync()


def test_an_input_of_any_size_is_told_again_and_so_are_those_beside_it(tmp_path: Path) -> None:
    sink = Sink()
    telemetry = greenroom.start(data_dir=tmp_path / "a", flush_interval_seconds=None)
    join(telemetry, ALICE)
    event = AnalyticsEvent(room_id="x" * (MAX_BYTES + 1))
    telemetry.take([track_stats(), SendEvent(event), track_stats()], lambda: None)
    assert telemetry.sync()
    directory = left_behind(tmp_path / "a", tmp_path / "b")
    telemetry.close()

    telemetry = greenroom.start(analytics=sink, data_dir=directory)
    telemetry.close()

    assert (sink.packets, sink.events) == (6, 1)
