"""The journal under many threads: nothing is lost, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from greenroom.adapters.journal import BATCH_SECONDS
from greenroom.testing.journal_bench import JournalBench
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("batch_seconds", [0.0, BATCH_SECONDS], ids=["call", "batch"])
def test_many_threads_lose_nothing_and_are_never_let_go_too_early(
    new_journal_bench: Callable[..., JournalBench], batch_seconds: float
) -> None:
    bench = new_journal_bench(batch_seconds=batch_seconds)
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
    assert bench.written() == bench.let_in()
    for n in range(count):
        mine = [number for number in bench.ticks if number // 1_000 == n]
        assert mine == [*range(1_000 * n, 1_000 * n + each)]
    wait_until(lambda: bench.held == 0)


@pytest.mark.usefixtures("eager")
def test_a_disk_that_comes_and_goes_costs_nothing_and_lets_nobody_wait(
    journal_bench: JournalBench,
) -> None:
    journal_bench.run_dispatcher()
    is_over = threading.Event()
    count, each = 3, 200

    def enter_many(base: int) -> None:
        for number in range(base, base + each):
            journal_bench.enter(number)
            if number % 5 == 0:
                journal_bench.sync()

    def trouble() -> None:
        while not is_over.is_set():
            journal_bench.refuse_writes()
            journal_bench.allow_writes()

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
    journal_bench.sync()
    journal_bench.sync()

    assert sorted(journal_bench.ticks) == sorted(
        1_000 * n + i for n in range(count) for i in range(each)
    )
    assert journal_bench.written() == {
        one.position: (one.at_ns, one.body) for one in journal_bench.admitted
    }
    wait_until(lambda: journal_bench.held == 0)
