"""A supervisor that takes up what the life before has saved."""

from __future__ import annotations

import pytest

from greenroom.actors.stats_worker import ConfigureWorker
from greenroom.core.journal import Past
from greenroom.messages import calls
from greenroom.messages.checkpoint import Checkpoint, WorkerRecord
from greenroom.messages.control import WorkerStatus
from greenroom.messages.ids import Incarnation
from greenroom.messages.stats import Close, Flush, WorkerSpec
from greenroom.testing.checkpointing import AT_NS, CheckpointShell, record
from greenroom.testing.samples import (
    ALICE,
    ALICES_WORKER,
    BOB,
    joined,
    left,
)


def past(*records: WorkerRecord) -> Past:
    checkpoint = Checkpoint(40, AT_NS - 1, 5, 9, 1, b"", records, ())
    return Past(position=40, at_ns=AT_NS - 1, checkpoint=checkpoint)


def spec_of(one: WorkerRecord) -> WorkerSpec:
    return WorkerSpec(one.key, one.incarnation, one.room_name)


def test_workers_of_the_life_before_are_there_again() -> None:
    alice, bob = record(3, ALICE, connected=True), record(8, BOB, closed_at_ns=AT_NS - 5)
    shell = CheckpointShell(past=past(alice, bob))

    told = [
        (target, message)
        for target, message in shell.sent
        if target in (shell.worker(0), shell.worker(1))
    ]
    recorder, wait_ns = told[0][1].recorder, told[0][1].close_wait_ns  # type: ignore[attr-defined]
    assert told == [
        (shell.worker(0), ConfigureWorker(spec_of(alice), recorder, wait_ns)),
        (shell.worker(1), ConfigureWorker(spec_of(bob), recorder, wait_ns)),
        (shell.worker(1), Close(AT_NS - 5)),
    ]
    roster = shell.harness.actor.roster
    assert roster.status() == (
        WorkerStatus(alice.key, Incarnation(3), connected=True, closed=False),
        WorkerStatus(bob.key, Incarnation(8), connected=False, closed=True),
    )
    assert roster.last_incarnation == 9


def test_flushes_and_workers_are_numbered_on_and_what_did_not_change_is_not_saved_again() -> None:
    shell = CheckpointShell(past=past(record(3, ALICE)))
    sent = shell.harness.enter(calls.FlushStats())
    assert (shell.worker(), Flush(6, AT_NS)) in sent
    shell.turns()
    shell.harness.enter(joined(BOB, 10))
    shell.flush()
    shell.turns()

    assert [one.changed for one in shell.saved] == [(), (record(10, BOB),)]
    assert [one.flush for one in shell.saved] == [6, 7]


def test_a_guard_of_the_life_before_closes_its_worker() -> None:
    shell = CheckpointShell(past=past(record(3, ALICE)))

    sent = shell.harness.enter(left(ALICE, 3))

    assert (shell.worker(), Close(AT_NS)) in sent
    assert shell.harness.actor.roster.find(ALICES_WORKER) is not None


@pytest.mark.parametrize("closed_at_ns", [0, AT_NS - 5])
def test_who_comes_again_has_the_worker_of_before_unless_it_is_closed(closed_at_ns: int) -> None:
    shell = CheckpointShell(past=past(record(3, ALICE, connected=True, closed_at_ns=closed_at_ns)))

    shell.harness.enter(joined(ALICE, 11))

    entry = shell.harness.actor.roster.find(ALICES_WORKER)
    assert entry is not None
    assert (entry.incarnation, entry.connected) == (10 if closed_at_ns else 3, True)


def test_a_flush_of_the_life_before_that_is_handled_again_is_no_checkpoint() -> None:
    shell = CheckpointShell(past=past(record(3, ALICE)))
    shell.harness._position = 39
    shell.flush()
    assert shell.turns() == []

    position = shell.flush()
    shell.turns()

    assert [one.position for one in shell.saved] == [position]
