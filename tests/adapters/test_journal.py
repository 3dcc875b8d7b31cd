"""The journal of a running shard: what is let in is on the disk, whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters import checkpoints
from greenroom.adapters.journal import BATCH_SECONDS, Journal
from greenroom.core.journal import Group, Origin
from greenroom.messages.control import Stamped
from greenroom.messages.deliveries import Kept
from greenroom.messages.endpoints import StopSending
from greenroom.messages.stats import FlushTick
from greenroom.runtime.door import Notice
from greenroom.testing.journal_bench import JournalBench
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until
from greenroom.testing.stored import HeldJob, StoreBench

NEVER: Final = 3_600.0  # between two commits that nobody waits for


class ScriptedDoor:
    """A door where another input comes in just when nothing more seems to wait."""

    is_full = False

    def __init__(self) -> None:
        self._answers = iter([False, True, False, False])

    @property
    def has_unwritten(self) -> bool:
        return next(self._answers)

    def take(self) -> Group | None:
        return None

    def let_in(self) -> None:
        """Nothing was taken."""

    def refuse(self) -> None:
        """Likewise."""


@pytest.fixture
def new_bench(tmp_path: Path) -> Iterator[Callable[..., JournalBench]]:
    benches: list[JournalBench] = []

    def start(**options: float) -> JournalBench:
        benches.append(JournalBench(tmp_path, **options))
        return benches[-1]

    yield start
    for bench in benches:
        bench.end()
        assert (bench.held, bench.held_min) == (0, 0)


@pytest.fixture
def bench(new_bench: Callable[..., JournalBench]) -> JournalBench:
    return new_bench()


def test_what_is_let_in_is_on_the_disk_before(bench: JournalBench) -> None:
    missing: list[Stamped] = []

    def look(stamped: Stamped) -> None:
        if bench.written().get(stamped.position) != (stamped.at_ns, stamped.body):
            missing.append(stamped)

    bench.when_admitted = look
    bench.run_dispatcher()
    for number in range(100):
        bench.enter(number)
        if number % 10 == 0:
            bench.sync()
    bench.sync()

    assert bench.ticks == [*range(100)]
    assert missing == []


def test_what_waits_at_once_is_one_row(bench: JournalBench) -> None:
    job = HeldJob()
    bench.store.submit(job)
    assert job.began.wait(PATIENCE_SECONDS)
    bench.enter(*range(50))
    job.let_go.set()
    bench.run_dispatcher()
    bench.sync()

    (row,) = bench.rows()
    assert row.inputs == tuple(map(FlushTick, range(50)))


def test_inputs_whose_facts_are_elsewhere_leave_no_row_but_are_let_in(
    bench: JournalBench,
) -> None:
    bench.run_dispatcher()
    bench.door.enter("supervisor", StopSending())
    bench.door.enter("supervisor", Kept(()))
    bench.sync()

    assert bench.rows() == []
    assert {type(one.body) for one in bench.admitted} == {Kept, StopSending}


def test_an_origin_is_remembered_with_its_inputs(bench: JournalBench) -> None:
    origins: list[Origin] = [(b"a", 1, None), (b"a", 2, ["x", "y"])]
    bench.run_dispatcher()
    bench.door.enter_together((FlushTick(1),), origins[0])
    bench.door.enter_together((), origins[1])
    bench.sync()

    assert bench.store.read(checkpoints.load).batches == origins


# ── when it is written ──────────────────────────────────────────────────────────────────────


def test_between_two_commits_others_may_join_until_somebody_waits(
    new_bench: Callable[..., JournalBench],
) -> None:
    bench = new_bench(batch_seconds=NEVER)
    bench.run_dispatcher()
    bench.enter(1)
    wait_until(lambda: bench.ticks == [1])  # the first one has nobody to wait for
    bench.enter(2)
    bench.door.mark(Notice(lambda: None))
    bench.enter(3)
    assert bench.store.wait_idle(PATIENCE_SECONDS)
    assert (bench.ticks, len(bench.rows())) == ([1], 1)

    bench.sync()

    assert bench.ticks == [1, 2, 3]
    assert [row.inputs for row in bench.rows()] == [
        (FlushTick(1),),
        (FlushTick(2), FlushTick(3)),
    ]


def test_without_a_time_between_commits_nobody_waits(
    new_bench: Callable[..., JournalBench],
) -> None:
    bench = new_bench(batch_seconds=0.0)
    bench.run_dispatcher()
    for number in range(20):
        bench.enter(number)
        wait_until(lambda number=number: bench.ticks[-1:] == [number])  # type: ignore[misc]

    assert len(bench.rows()) == 20


def test_what_nobody_waits_for_is_written_soon_all_the_same(bench: JournalBench) -> None:
    bench.run_dispatcher()
    for number in range(20):
        bench.enter(number)
        wait_until(lambda number=number: bench.ticks[-1:] == [number])  # type: ignore[misc]

    wait_until(lambda: bench.held == 0)


def test_virtual_time_waits_without_a_gap_for_what_comes_in_at_the_end(tmp_path: Path) -> None:
    disk = StoreBench(tmp_path)
    log: list[str] = []
    journal = Journal(
        disk.open_store(), hold=lambda: log.append("hold"), release=lambda: log.append("release")
    )
    journal.door = ScriptedDoor()

    journal.wake()
    wait_until(lambda: log.count("release") == 2)
    disk.end()

    assert log == ["hold", "hold", "release", "release"]


# ── a disk that refuses ─────────────────────────────────────────────────────────────────────


def test_while_the_disk_refuses_nothing_is_let_in_and_nobody_waits_for_it(
    bench: JournalBench,
) -> None:
    bench.run_dispatcher()
    told = threading.Event()
    bench.enter(1)
    bench.sync()
    bench.refuse_writes()

    bench.enter(2)
    bench.door.mark(Notice(told.set))
    bench.sync()
    bench.enter(3)
    bench.sync()
    assert bench.journal.is_failing
    assert bench.ticks == [1]
    assert not told.is_set()
    assert bench.held == 1, "virtual time waits for it"

    bench.allow_writes()
    bench.sync()

    assert bench.ticks == [1, 2, 3]
    assert told.is_set()
    assert not bench.journal.is_failing
    assert bench.written() == {one.position: (one.at_ns, one.body) for one in bench.admitted}


def test_what_was_refused_is_written_with_the_stamps_of_then(bench: JournalBench) -> None:
    bench.refuse_writes()
    bench.enter(1)
    bench.sync()
    group = bench.door.take()
    assert group is not None
    stamp = group.first, group.at_ns

    bench.allow_writes()
    bench.run_dispatcher()
    bench.sync()

    assert [(one.position, one.at_ns) for one in bench.admitted] == [stamp]


def test_it_is_tried_again_by_itself(bench: JournalBench) -> None:
    bench.run_dispatcher()
    bench.refuse_writes()
    bench.enter(1)
    wait_until(lambda: bench.journal.is_failing)
    bench.allow_writes()

    wait_until(lambda: bench.ticks == [1])


def test_those_who_wait_do_not_make_it_try_more_often_later(
    bench: JournalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[Callable[[], None]] = []

    def call_later(seconds: float, signal: Callable[[], None]) -> bool:
        later.append(signal)
        return True

    def attempts() -> float:
        return bench.series('greenroom_store_errors_total{kind="read_only"}')

    bench.run_dispatcher()
    bench.refuse_writes()
    monkeypatch.setattr(bench.store, "call_later", call_later)
    bench.enter(1)
    for _ in range(20):
        bench.sync()
    assert bench.store.wait_idle(PATIENCE_SECONDS)
    before = attempts()
    assert before >= 20

    for signal in [*later]:
        signal()
        assert bench.store.wait_idle(PATIENCE_SECONDS)

    assert attempts() == before + 1
    bench.allow_writes()
    bench.sync()


def test_one_that_is_refused_for_another_ones_sake_is_written_once(bench: JournalBench) -> None:
    job = HeldJob()
    bench.store.submit(job)
    assert job.began.wait(PATIENCE_SECONDS)
    bench.enter(1)
    bench.store.submit(lambda db: 1 // 0)
    job.let_go.set()
    bench.run_dispatcher()
    bench.sync()

    assert bench.ticks == [1]
    assert len(bench.rows()) == 1
    assert not bench.journal.is_failing


def test_a_store_that_is_closed_holds_nobody_up(bench: JournalBench) -> None:
    bench.run_dispatcher()
    assert bench.store.close(PATIENCE_SECONDS)

    bench.enter(1)
    bench.sync()
    bench.enter(2)
    bench.sync()

    assert bench.journal.is_failing
    assert bench.ticks == []
    assert bench.held == 0


# ── threads ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("batch_seconds", [0.0, BATCH_SECONDS], ids=["call", "batch"])
def test_many_threads_lose_nothing_and_are_never_let_go_too_early(
    new_bench: Callable[..., JournalBench], batch_seconds: float
) -> None:
    bench = new_bench(batch_seconds=batch_seconds)
    bench.run_dispatcher()
    early: list[int] = []
    each, count = 300, 6

    def enter_many(base: int) -> None:
        for number in range(base, base + each):
            bench.enter(number)
            if number % 7 == 0:
                bench.sync()
                if number not in bench.ticks[-count * each :]:
                    early.append(number)

    threads = [
        threading.Thread(target=enter_many, args=(1_000 * n,), daemon=True) for n in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    bench.sync()

    assert early == []
    assert len(bench.admitted) == count * each
    assert [one.position for one in bench.admitted] == [*range(1, count * each + 1)]
    assert bench.written() == {one.position: (one.at_ns, one.body) for one in bench.admitted}
    for n in range(count):
        mine = [number for number in bench.ticks if number // 1_000 == n]
        assert mine == [*range(1_000 * n, 1_000 * n + each)]
    wait_until(lambda: bench.held == 0)


@pytest.mark.usefixtures("eager")
def test_a_disk_that_comes_and_goes_costs_nothing_and_lets_nobody_wait(
    bench: JournalBench,
) -> None:
    bench.run_dispatcher()
    is_over = threading.Event()
    count, each = 3, 200

    def enter_many(base: int) -> None:
        for number in range(base, base + each):
            bench.enter(number)
            if number % 5 == 0:
                bench.sync()

    def trouble() -> None:
        while not is_over.is_set():
            bench.refuse_writes()
            bench.allow_writes()

    threads = [
        threading.Thread(target=enter_many, args=(1_000 * n,), daemon=True) for n in range(count)
    ]
    troubling = threading.Thread(target=trouble, daemon=True)
    for thread in (*threads, troubling):
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    is_over.set()
    troubling.join(PATIENCE_SECONDS)
    bench.sync()
    bench.sync()

    assert sorted(bench.ticks) == sorted(1_000 * n + i for n in range(count) for i in range(each))
    assert bench.written() == {one.position: (one.at_ns, one.body) for one in bench.admitted}
    wait_until(lambda: bench.held == 0)
