"""Analytics on their way: in order, none twice, none lost, whatever the sink and the disk do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.stored_analytics import PAGE, StoredAnalytics
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.stored import HeldJob, StoreBench

ERRORS: Final = 'greenroom_analytics_errors_total{method="send_event"}'


class Sink(RecordingAnalytics):
    """A service that may be down, dislike an event, or take its time.

    Attributes:
        trouble: Raised at each event while it is set.
        disliked: The rooms whose events it cannot take, and what it raises then.
        attempts: How often it was called with an event.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trouble: BaseException | None = None
        self.disliked: dict[str, Exception] = {}
        self.attempts = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def send_event(self, event: AnalyticsEvent) -> None:
        self.attempts += 1
        assert self.may_go_on.wait(PATIENCE_SECONDS)
        if self.trouble is not None:
            raise self.trouble
        if event.room_id in self.disliked:
            raise self.disliked[event.room_id]
        super().send_event(event)

    @property
    def rooms(self) -> list[str]:
        """Of whose rooms it had the events."""
        return [event.room_id for event in [*self.events]]


class AnalyticsBench(StoreBench):
    """A data directory with what keeps analytics, which can be closed and opened again."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.sink = Sink()
        self._opened: list[StoredAnalytics] = []

    def open(self, **options: Any) -> StoredAnalytics:
        options = {"retry_seconds": 0.01, **options}
        self._opened.append(
            StoredAnalytics(
                self.sink,
                self.open_store(),
                self.metrics,
                LoggingReporter(VirtualClock()),
                hold=self.hold,
                release=self.release,
                **options,
            )
        )
        return self._opened[-1]

    def close(self) -> bool:
        complete = self._opened[-1].close(PATIENCE_SECONDS)
        return self.store.close(PATIENCE_SECONDS) and complete

    def end(self) -> None:
        self.sink.may_go_on.set()
        for outputs in self._opened:
            outputs.close(0.0)
        super().end()

    def put(self, *rooms: str) -> None:
        """Events of these rooms, with keys of their own."""
        for room in rooms:
            self._opened[-1].put(f"key of {room}", "event", AnalyticsEvent(room_id=room))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[AnalyticsBench]:
    bench = AnalyticsBench(tmp_path)
    yield bench
    bench.end()
    assert (bench.held, bench.held_min) == (0, 0)


def numbered(count: int, start: int = 0) -> list[str]:
    return [f"RM_{number}" for number in range(start, start + count)]


def test_everything_is_handed_over_once_and_in_order(bench: AnalyticsBench) -> None:
    outputs = bench.open()
    outputs.put("a", "stats", (AnalyticsStat(mime="1"), AnalyticsStat(mime="2")))
    outputs.put("b", "event", AnalyticsEvent(room_id="RM_1"))
    outputs.put("c", "node_rooms", AnalyticsNodeRooms(node_id="ND_1"))
    outputs.put("d", "node_rooms", None)
    outputs.put("e", "stats", ())

    assert outputs.wait_idle(PATIENCE_SECONDS)

    assert bench.sink.sends == [
        ("send_stats", (AnalyticsStat(mime="1"), AnalyticsStat(mime="2"))),
        ("send_event", AnalyticsEvent(room_id="RM_1")),
        ("send_node_room_states", AnalyticsNodeRooms(node_id="ND_1")),
        ("send_node_room_states", None),
        ("send_stats", ()),
    ]
    assert bench.held == 0


def test_more_than_a_page_keeps_its_order(bench: AnalyticsBench) -> None:
    outputs = bench.open()
    rooms = numbered(3 * PAGE + 1)
    bench.put(*rooms)

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == rooms


def test_a_key_that_was_put_before_is_ignored_in_the_next_life_as_well(
    bench: AnalyticsBench,
) -> None:
    outputs = bench.open()
    bench.put("RM_1", "RM_1")
    assert outputs.wait_idle(PATIENCE_SECONDS)
    bench.put("RM_1", "RM_2")
    assert bench.close()
    bench.open()
    bench.put("RM_1", "RM_2", "RM_3")
    assert bench.close()

    assert bench.sink.rooms == ["RM_1", "RM_2", "RM_3"]
    assert bench.held == 0


# ── a sink in trouble ───────────────────────────────────────────────────────────────────────


def test_a_sink_that_was_down_for_long_gets_everything_once_and_in_order(
    bench: AnalyticsBench,
) -> None:
    outputs = bench.open()
    bench.put(*numbered(3))
    assert outputs.wait_idle(PATIENCE_SECONDS)
    bench.sink.trouble = ConnectionError("down")
    bench.put(*numbered(20, start=3))
    wait_until(lambda: bench.sink.attempts >= 6)
    assert bench.sink.rooms == numbered(3)
    assert bench.series(ERRORS) >= 2

    bench.sink.trouble = None
    wait_until(lambda: len(bench.sink.rooms) >= 23)

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == numbered(23)


def test_nobody_waits_for_a_sink_that_is_down(bench: AnalyticsBench) -> None:
    bench.sink.trouble = SystemExit("a sink may raise whatever it likes")
    outputs = bench.open(retry_seconds=3_600.0)
    bench.put("RM_1")

    assert outputs.wait_idle(PATIENCE_SECONDS), "it is on the disk"
    bench.put("RM_2")
    assert outputs.wait_idle(PATIENCE_SECONDS)

    assert bench.held == 0, "virtual time would wait for an hour"
    assert bench.sink.rooms == []


@pytest.mark.parametrize("error", [TypeError("a"), ValueError("b")], ids=["type", "value"])
def test_what_a_sink_cannot_take_is_counted_and_skipped(
    bench: AnalyticsBench, error: Exception
) -> None:
    bench.sink.disliked = {"RM_1": error}
    outputs = bench.open()
    bench.put(*numbered(3))

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == ["RM_0", "RM_2"]
    assert bench.series(ERRORS) == 1
    assert bench.close()
    bench.open()
    assert bench.close()
    assert bench.sink.attempts == 3


def test_what_is_damaged_on_the_disk_is_counted_and_skipped(bench: AnalyticsBench) -> None:
    bench.sink.trouble = ConnectionError("down")
    bench.open()
    bench.put(*numbered(3))
    bench._opened[-1].put("stats", "stats", (AnalyticsStat(),))
    assert bench.close()
    store = bench.open_store()
    bench.run("UPDATE outputs SET body = x'ff' WHERE id IN (2, 4)")
    assert store.close(PATIENCE_SECONDS)
    bench.sink.trouble = None

    outputs = bench.open()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.sends == [
        ("send_event", AnalyticsEvent(room_id=room)) for room in ("RM_0", "RM_2")
    ]
    assert bench.dropped("analytics_damaged") == 2


# ── the next life ───────────────────────────────────────────────────────────────────────────


def test_what_the_sink_had_not_had_it_gets_in_the_next_life(bench: AnalyticsBench) -> None:
    rooms = numbered(PAGE + 20)
    bench.open()
    bench.put(*rooms[:5])
    wait_until(lambda: len(bench.sink.rooms) == 5)
    bench.sink.trouble = ConnectionError("down")
    bench.put(*rooms[5:])
    assert bench.close()
    assert bench.sink.rooms == rooms[:5]
    bench.sink.trouble = None

    outputs = bench.open()
    bench.put("RM_last")

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == [*rooms, "RM_last"]
    assert bench.held == 0


def test_what_it_had_before_it_went_down_it_does_not_get_again(bench: AnalyticsBench) -> None:
    bench.sink.may_go_on.clear()
    bench.open()
    bench.put(*numbered(4))
    bench.sink.disliked = {"RM_2": ConnectionError("down")}
    bench.sink.may_go_on.set()
    wait_until(lambda: bench.sink.attempts >= 4)
    handed = "SELECT count(*) FROM outputs WHERE is_handed = 1"
    wait_until(lambda: bench.run(handed) == [(2,)])  # a crash now would not hand it over twice
    assert bench.close()
    bench.sink.disliked = {}
    bench.open()
    assert bench.close()

    assert bench.sink.rooms == numbered(4)


def test_what_it_had_is_remembered_although_the_disk_refused_to_know(
    bench: AnalyticsBench,
) -> None:
    bench.sink.may_go_on.clear()
    outputs = bench.open()
    bench.put(*numbered(2))
    wait_until(lambda: bench.sink.attempts == 1)
    bench.refuse_writes()
    bench.sink.may_go_on.set()
    wait_until(lambda: len(bench.sink.rooms) == 2)
    assert bench.store.wait_idle(PATIENCE_SECONDS)
    bench.allow_writes()
    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.close()
    bench.open()
    assert bench.close()

    assert bench.sink.rooms == numbered(2)
    assert bench.dropped("store_failed") == 0, "nothing is lost"


# ── a disk in trouble, and bounds ───────────────────────────────────────────────────────────


def test_nothing_is_handed_over_that_is_not_on_the_disk(bench: AnalyticsBench) -> None:
    outputs = bench.open()
    bench.refuse_writes()
    bench.put(*numbered(3))

    assert not outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == []
    assert bench.held == 1

    bench.allow_writes()
    wait_until(lambda: bench.sink.rooms == numbered(3))  # by itself


def test_who_waits_has_the_disk_tried_at_once(bench: AnalyticsBench) -> None:
    outputs = bench.open(retry_seconds=3_600.0)
    bench.refuse_writes()
    bench.put("RM_1")
    assert not outputs.wait_idle(PATIENCE_SECONDS)
    bench.allow_writes()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == ["RM_1"]


def test_a_notice_is_told_once_all_before_it_is_on_the_disk(bench: AnalyticsBench) -> None:
    outputs = bench.open()
    told: list[str] = []
    outputs.when_written(lambda: told.append("nothing"))
    assert told == ["nothing"]
    job = HeldJob()
    bench.store.submit(job)
    bench.put("RM_1")
    outputs.when_written(lambda: told.append("one"))
    assert told == ["nothing"]

    job.let_go.set()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    wait_until(lambda: told == ["nothing", "one"])


def test_what_finds_no_room_is_dropped_and_counted(bench: AnalyticsBench) -> None:
    outputs = bench.open(capacity=2)
    job = HeldJob()
    bench.store.submit(job)
    assert job.began.wait(PATIENCE_SECONDS)
    bench.put(*numbered(5))
    job.let_go.set()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert bench.sink.rooms == numbered(2)
    assert bench.dropped("analytics_full") == 3


def test_no_more_than_so_many_wait_for_the_sink(bench: AnalyticsBench) -> None:
    bench.sink.trouble = ConnectionError("down")
    outputs = bench.open(stored_max=2)
    for room in numbered(5):
        bench.put(room)
        assert outputs.wait_idle(PATIENCE_SECONDS)
    bench.sink.trouble = None

    wait_until(lambda: bench.sink.rooms == numbered(2))
    assert bench.dropped("analytics_full") == 3


def test_after_the_end_nothing_is_taken_and_that_is_counted(bench: AnalyticsBench) -> None:
    outputs = bench.open()
    assert bench.close()
    assert outputs.close(PATIENCE_SECONDS)
    bench.put("RM_1")

    assert bench.dropped("store_closed") == 1
    assert bench.held == 0


def test_what_could_not_be_written_at_the_end_is_lost_and_counted(bench: AnalyticsBench) -> None:
    bench.open(retry_seconds=3_600.0)
    bench.refuse_writes()
    bench.put(*numbered(3))

    assert not bench.close()
    assert bench.dropped("store_closed") == 3


# ── threads ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("eager")
def test_many_threads_lose_nothing_while_the_disk_comes_and_goes(bench: AnalyticsBench) -> None:
    outputs = bench.open()
    is_over = threading.Event()

    def put_many(start: int) -> None:
        for number, room in enumerate(numbered(200, start)):
            bench.put(room)
            if number % 20 == 0:
                outputs.wait_idle(PATIENCE_SECONDS)

    def trouble() -> None:
        while not is_over.is_set():
            bench.refuse_writes()
            bench.allow_writes()

    def run(*jobs: Callable[[], None]) -> Sequence[threading.Thread]:
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        return threads

    (troubling,) = run(trouble)
    for thread in run(*(lambda n=n: put_many(1_000 * n) for n in range(4))):  # type: ignore[misc]
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    is_over.set()
    troubling.join(PATIENCE_SECONDS)

    assert outputs.wait_idle(PATIENCE_SECONDS)
    for n in range(4):
        mine = numbered(200, 1_000 * n)
        assert [room for room in bench.sink.rooms if room in mine] == mine
    assert len(bench.sink.rooms) == 800
    wait_until(lambda: bench.held == 0)
