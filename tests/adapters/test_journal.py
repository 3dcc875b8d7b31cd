"""The journal of a running shard: what is let in is on the disk, whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters import checkpoints
from greenroom.adapters.journal import Journal
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
    behind_ns = 0

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


def test_what_is_let_in_is_on_the_disk_before(journal_bench: JournalBench) -> None:
    missing: list[Stamped] = []

    def look(stamped: Stamped) -> None:
        if journal_bench.written().get(stamped.position) != (stamped.at_ns, stamped.body):
            missing.append(stamped)

    journal_bench.when_admitted = look
    journal_bench.run_dispatcher()
    for number in range(100):
        journal_bench.enter(number)
        if number % 10 == 0:
            journal_bench.sync()
    journal_bench.sync()

    assert journal_bench.ticks == [*range(100)]
    assert missing == []


def test_what_waits_at_once_is_one_row(journal_bench: JournalBench) -> None:
    job = HeldJob()
    journal_bench.store.submit(job)
    assert job.began.wait(PATIENCE_SECONDS)
    journal_bench.enter(*range(50))
    job.let_go.set()
    journal_bench.run_dispatcher()
    journal_bench.sync()

    (row,) = journal_bench.rows()
    assert row.inputs == tuple(map(FlushTick, range(50)))


def test_inputs_whose_facts_are_elsewhere_leave_no_row_but_are_let_in(
    journal_bench: JournalBench,
) -> None:
    journal_bench.run_dispatcher()
    journal_bench.door.enter("supervisor", StopSending())
    journal_bench.door.enter("supervisor", Kept(()))
    journal_bench.sync()

    assert journal_bench.rows() == []
    assert {type(one.body) for one in journal_bench.admitted} == {Kept, StopSending}


def test_an_origin_is_remembered_with_its_inputs(journal_bench: JournalBench) -> None:
    origins: list[Origin] = [(b"a", 1, None), (b"a", 2, ["x", "y"])]
    journal_bench.run_dispatcher()
    journal_bench.door.enter_together((FlushTick(1),), origins[0])
    journal_bench.door.enter_together((), origins[1])
    journal_bench.sync()

    assert journal_bench.store.read(checkpoints.load).batches == origins


# ── when it is written ──────────────────────────────────────────────────────────────────────


def test_between_two_commits_others_may_join_until_somebody_waits(
    new_journal_bench: Callable[..., JournalBench],
) -> None:
    bench = new_journal_bench(batch_seconds=NEVER)
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
    new_journal_bench: Callable[..., JournalBench],
) -> None:
    bench = new_journal_bench(batch_seconds=0.0)
    bench.run_dispatcher()
    for number in range(20):
        bench.enter(number)
        wait_until(lambda number=number: bench.ticks[-1:] == [number])  # type: ignore[misc]

    assert len(bench.rows()) == 20


def test_what_nobody_waits_for_is_written_soon_all_the_same(journal_bench: JournalBench) -> None:
    journal_bench.run_dispatcher()
    for number in range(20):
        journal_bench.enter(number)
        wait_until(lambda number=number: journal_bench.ticks[-1:] == [number])  # type: ignore[misc]

    wait_until(lambda: journal_bench.held == 0)


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
    journal_bench: JournalBench,
) -> None:
    journal_bench.run_dispatcher()
    told = threading.Event()
    journal_bench.enter(1)
    journal_bench.sync()
    journal_bench.refuse_writes()

    journal_bench.enter(2)
    journal_bench.door.mark(Notice(told.set))
    journal_bench.sync()
    journal_bench.enter(3)
    journal_bench.sync()
    assert journal_bench.journal.is_failing
    assert journal_bench.ticks == [1]
    assert not told.is_set()
    assert journal_bench.held == 1, "virtual time waits for it"

    journal_bench.allow_writes()
    journal_bench.sync()

    assert journal_bench.ticks == [1, 2, 3]
    assert told.is_set()
    assert not journal_bench.journal.is_failing
    assert journal_bench.written() == {
        one.position: (one.at_ns, one.body) for one in journal_bench.admitted
    }


def test_what_was_refused_is_written_with_the_stamps_of_then(journal_bench: JournalBench) -> None:
    journal_bench.refuse_writes()
    journal_bench.enter(1)
    journal_bench.sync()
    group = journal_bench.door.take()
    assert group is not None
    stamp = group.first, group.at_ns

    journal_bench.allow_writes()
    journal_bench.run_dispatcher()
    journal_bench.sync()

    assert [(one.position, one.at_ns) for one in journal_bench.admitted] == [stamp]


def test_it_is_tried_again_by_itself(journal_bench: JournalBench) -> None:
    journal_bench.run_dispatcher()
    journal_bench.refuse_writes()
    journal_bench.enter(1)
    wait_until(lambda: journal_bench.journal.is_failing)
    journal_bench.allow_writes()

    wait_until(lambda: journal_bench.ticks == [1])


def test_those_who_wait_do_not_make_it_try_more_often_later(
    journal_bench: JournalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[Callable[[], None]] = []

    def call_later(seconds: float, signal: Callable[[], None]) -> bool:
        later.append(signal)
        return True

    def attempts() -> float:
        return journal_bench.series('greenroom_store_errors_total{kind="read_only"}')

    journal_bench.run_dispatcher()
    journal_bench.refuse_writes()
    monkeypatch.setattr(journal_bench.store, "call_later", call_later)
    journal_bench.enter(1)
    for _ in range(20):
        journal_bench.sync()
    assert journal_bench.store.wait_idle(PATIENCE_SECONDS)
    before = attempts()
    assert before >= 20

    for signal in [*later]:
        signal()
        assert journal_bench.store.wait_idle(PATIENCE_SECONDS)

    assert attempts() == before + 1
    journal_bench.allow_writes()
    journal_bench.sync()


def test_one_that_is_refused_for_another_ones_sake_is_written_once(
    journal_bench: JournalBench,
) -> None:
    job = HeldJob()
    journal_bench.store.submit(job)
    assert job.began.wait(PATIENCE_SECONDS)
    journal_bench.enter(1)
    journal_bench.store.submit(lambda db: 1 // 0)
    job.let_go.set()
    journal_bench.run_dispatcher()
    journal_bench.sync()

    assert journal_bench.ticks == [1]
    assert len(journal_bench.rows()) == 1
    assert not journal_bench.journal.is_failing


def test_a_store_that_is_closed_holds_nobody_up(journal_bench: JournalBench) -> None:
    journal_bench.run_dispatcher()
    assert journal_bench.store.close(PATIENCE_SECONDS)

    journal_bench.enter(1)
    journal_bench.sync()
    journal_bench.enter(2)
    journal_bench.sync()

    assert journal_bench.journal.is_failing
    assert journal_bench.ticks == []
    assert journal_bench.held == 0
