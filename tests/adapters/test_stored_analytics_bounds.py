"""Analytics on their way: a disk in trouble, bounds, many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from greenroom.testing.analytics_bench import AnalyticsBench, numbered
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.stored import HeldJob

# ── a disk in trouble, and bounds ───────────────────────────────────────────────────────────


def test_nothing_is_handed_over_that_is_not_on_the_disk(analytics_bench: AnalyticsBench) -> None:
    outputs = analytics_bench.open()
    analytics_bench.refuse_writes()
    analytics_bench.put(*numbered(3))

    assert not outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == []
    assert analytics_bench.held == 1

    analytics_bench.allow_writes()
    wait_until(lambda: analytics_bench.sink.rooms == numbered(3))  # by itself


def test_who_waits_has_the_disk_tried_at_once(analytics_bench: AnalyticsBench) -> None:
    outputs = analytics_bench.open(retry_seconds=3_600.0)
    analytics_bench.refuse_writes()
    analytics_bench.put("RM_1")
    assert not outputs.wait_idle(PATIENCE_SECONDS)
    analytics_bench.allow_writes()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == ["RM_1"]


def test_a_notice_is_told_once_all_before_it_is_on_the_disk(
    analytics_bench: AnalyticsBench,
) -> None:
    outputs = analytics_bench.open()
    told: list[str] = []
    outputs.when_written(lambda: told.append("nothing"))
    assert told == ["nothing"]
    job = HeldJob()
    analytics_bench.store.submit(job)
    analytics_bench.put("RM_1")
    outputs.when_written(lambda: told.append("one"))
    assert told == ["nothing"]

    job.let_go.set()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    wait_until(lambda: told == ["nothing", "one"])


def test_what_finds_no_room_is_dropped_and_counted(analytics_bench: AnalyticsBench) -> None:
    outputs = analytics_bench.open(capacity=2)
    job = HeldJob()
    analytics_bench.store.submit(job)
    assert job.began.wait(PATIENCE_SECONDS)
    analytics_bench.put(*numbered(5))
    job.let_go.set()

    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == numbered(2)
    assert analytics_bench.dropped("analytics_full") == 3


def test_no_more_than_so_many_wait_for_the_sink(analytics_bench: AnalyticsBench) -> None:
    analytics_bench.sink.trouble = ConnectionError("down")
    outputs = analytics_bench.open(stored_max=2)
    for room in numbered(5):
        analytics_bench.put(room)
        assert outputs.wait_idle(PATIENCE_SECONDS)
    analytics_bench.sink.trouble = None

    wait_until(lambda: analytics_bench.sink.rooms == numbered(2))
    assert analytics_bench.dropped("analytics_full") == 3


def test_after_the_end_nothing_is_taken_and_that_is_counted(
    analytics_bench: AnalyticsBench,
) -> None:
    outputs = analytics_bench.open()
    assert analytics_bench.close()
    assert outputs.close(PATIENCE_SECONDS)
    analytics_bench.put("RM_1")

    assert analytics_bench.dropped("store_closed") == 1
    assert analytics_bench.held == 0


def test_what_could_not_be_written_at_the_end_is_lost_and_counted(
    analytics_bench: AnalyticsBench,
) -> None:
    analytics_bench.open(retry_seconds=3_600.0)
    analytics_bench.refuse_writes()
    analytics_bench.put(*numbered(3))

    assert not analytics_bench.close()
    assert analytics_bench.dropped("store_closed") == 3


# ── threads ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("eager")
def test_many_threads_lose_nothing_while_the_disk_comes_and_goes(
    analytics_bench: AnalyticsBench,
) -> None:
    outputs = analytics_bench.open()
    is_over = threading.Event()

    def put_many(start: int) -> None:
        for number, room in enumerate(numbered(200, start)):
            analytics_bench.put(room)
            if number % 20 == 0:
                outputs.wait_idle(PATIENCE_SECONDS)

    def trouble() -> None:
        while not is_over.is_set():
            analytics_bench.refuse_writes()
            analytics_bench.allow_writes()

    def run(*jobs: Callable[[], None]) -> Sequence[threading.Thread]:
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        return threads

    (troubling,) = run(trouble)
    for thread in run(*(lambda n=n: put_many(1_000 * n) for n in range(4))):
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    is_over.set()
    troubling.join(PATIENCE_SECONDS)

    assert outputs.wait_idle(PATIENCE_SECONDS)
    for n in range(4):
        mine = numbered(200, 1_000 * n)
        assert [room for room in analytics_bench.sink.rooms if room in mine] == mine
    assert len(analytics_bench.sink.rooms) == 800
    wait_until(lambda: analytics_bench.held == 0)


def test_what_a_slow_sink_had_at_the_end_is_not_handed_over_again(
    analytics_bench: AnalyticsBench,
) -> None:
    outputs = analytics_bench.open()
    analytics_bench.sink.may_go_on.clear()
    analytics_bench.put(*numbered(5))
    wait_until(lambda: analytics_bench.sink.attempts == 1)
    closing = threading.Thread(target=outputs.close, args=(0.0,))
    closing.start()
    wait_until(lambda: outputs._is_closed)
    analytics_bench.sink.may_go_on.set()
    closing.join(PATIENCE_SECONDS)

    assert analytics_bench.sink.rooms == numbered(1)
    assert analytics_bench.store.close(PATIENCE_SECONDS)
    outputs = analytics_bench.open()
    assert outputs.wait_idle(PATIENCE_SECONDS)
    assert analytics_bench.sink.rooms == numbered(5)
