"""Checkpoints: of the moment of a flush, saved when its round is over and nobody stands still."""

from __future__ import annotations

from greenroom.actors.checkpointing import SLICE
from greenroom.core import metrics_state
from greenroom.core.metrics import Metrics
from greenroom.messages import calls
from greenroom.messages.control import Restart
from greenroom.messages.ids import Incarnation
from greenroom.messages.stats import FlushSlice, SaveSlice, WorkerClosed
from greenroom.testing.checkpointing import AT_NS, CheckpointShell, record
from greenroom.testing.samples import (
    ALICE,
    BOB,
    ROOM_ID,
    ROOM_NAME,
    active,
    joined,
    key,
    left,
)

# ── when ────────────────────────────────────────────────────────────────────────────────────


def test_it_is_saved_when_the_round_of_the_flush_is_over_with_its_stamp() -> None:
    shell = CheckpointShell(flush_slice=1)
    shell.harness.enter(joined(ALICE, 1))
    shell.harness.enter(joined(BOB, 2))
    position = shell.flush()

    assert shell.turn() == FlushSlice()
    assert shell.saved == []
    assert shell.turns() == [FlushSlice(), SaveSlice()]

    (saved,) = shell.saved
    assert (saved.position, saved.at_ns, saved.flush) == (position, AT_NS, 1)
    assert saved.last_incarnation == 2
    assert sorted(saved.changed, key=lambda one: one.incarnation) == [
        record(1, ALICE),
        record(2, BOB),
    ]
    assert saved.gone == ()


def test_a_flush_that_needs_no_slices_is_followed_by_one_as_well() -> None:
    shell = CheckpointShell()
    position = shell.flush()

    assert shell.turns() == [SaveSlice()]
    assert [one.position for one in shell.saved] == [position]


def test_without_a_journal_there_is_none() -> None:
    shell = CheckpointShell(checkpoints=None)
    shell.harness.enter(joined())
    shell.flush()

    assert shell.turns() == []


def test_none_begins_while_the_one_before_is_being_saved() -> None:
    shell = CheckpointShell()
    shell.harness.enter(joined(ALICE, 1))
    shell.flush()
    shell.turns()
    shell.checkpoints.is_busy = True
    shell.harness.enter(joined(BOB, 2))
    shell.flush()
    assert shell.turns() == []

    shell.checkpoints.is_busy = False
    position = shell.flush()
    shell.turns()

    assert [one.changed for one in shell.saved] == [(record(1),), (record(2, BOB),)]
    assert shell.saved[-1].position == position


def test_another_flush_meanwhile_puts_it_off_until_its_own_round_is_over() -> None:
    shell = CheckpointShell(flush_slice=1)
    shell.harness.enter(joined(ALICE, 1))
    shell.harness.enter(joined(BOB, 2))
    position = shell.flush()
    shell.harness.enter(active(BOB, 2))
    shell.flush()

    found = shell.turns()

    assert found[-1] == SaveSlice()
    assert found.count(SaveSlice()) == 1
    (saved,) = shell.saved
    assert (saved.position, saved.flush) == (position, 1)
    assert not any(one.connected for one in saved.changed)


def test_workers_are_recorded_in_slices_and_a_turn_that_comes_twice_saves_once() -> None:
    shell = CheckpointShell()
    for number in range(SLICE + 1):
        shell.harness.enter(joined(f"PA_{number}", number))
    shell.flush()

    found = shell.turns()
    shell.harness.tell(SaveSlice())

    assert found.count(SaveSlice()) == 2
    assert [len(one.changed) for one in shell.saved] == [SLICE + 1]


# ── what ────────────────────────────────────────────────────────────────────────────────────


def test_what_changed_after_the_flush_is_in_the_next_one() -> None:
    shell = CheckpointShell(flush_slice=1)
    for number, sid in enumerate((ALICE, BOB, "PA_carol"), 1):
        shell.harness.enter(joined(sid, number))
    shell.flush()
    shell.harness.enter(active(ALICE, 1))
    shell.harness.enter(left(BOB, 2))
    shell.harness.enter(joined("PA_dave", 4))
    shell.harness.tell(WorkerClosed(Incarnation(3), AT_NS), shell.worker(2))
    shell.turns()

    (saved,) = shell.saved
    assert {one.incarnation: one for one in saved.changed} == {
        1: record(1, ALICE),
        2: record(2, BOB),
        3: record(3, "PA_carol"),
    }
    assert (saved.gone, saved.last_incarnation) == ((), 3)

    shell.flush()
    shell.turns()

    saved = shell.saved[-1]
    assert {one.incarnation: one for one in saved.changed} == {
        1: record(1, ALICE, connected=True),
        2: record(2, BOB, closed_at_ns=AT_NS),
        4: record(4, "PA_dave"),
    }
    assert (saved.gone, saved.last_incarnation) == ((3,), 4)


def test_the_numbers_are_those_of_the_flush() -> None:
    shell = CheckpointShell(flush_slice=1)
    shell.harness.enter(joined(ALICE, 1))
    shell.harness.enter(joined(BOB, 2))
    shell.flush()
    then = shell.harness.metrics.node_stats()
    shell.harness.enter(joined("PA_carol", 3))
    shell.turns()

    restored = Metrics()
    metrics_state.restore(restored, shell.saved[0].metrics)

    assert restored.node_stats() == then
    assert then["num_clients"] == 2


def test_it_says_which_webhooks_came_after_it() -> None:
    class Outbox:
        next_id = 7

    outbox = Outbox()
    shell = CheckpointShell(outbox=outbox, flush_slice=1)
    shell.harness.enter(joined(ALICE, 1))
    shell.flush()
    outbox.next_id = 9
    shell.turns()

    assert [one.next_delivery for one in shell.saved] == [7]


# ── failures ────────────────────────────────────────────────────────────────────────────────


def test_none_begins_while_a_child_stands_still() -> None:
    shell = CheckpointShell()
    shell.harness.enter(joined(ALICE, 1))
    shell.fail_worker()
    shell.flush()
    assert shell.turns() == []

    shell.harness.pass_door()
    shell.flush()
    shell.turns()

    assert [one.changed for one in shell.saved] == [(record(1),)]


def test_none_is_saved_while_a_child_stands_still_and_the_next_one_has_all() -> None:
    shell = CheckpointShell()
    shell.harness.enter(joined(ALICE, 1))
    shell.flush()
    shell.fail_worker()
    shell.turns()
    assert shell.saved == [], "what that one holds is in the journal only"

    shell.harness.pass_door()
    position = shell.flush()
    shell.turns()

    assert [(one.position, one.changed) for one in shell.saved] == [(position, (record(1),))]


def test_a_supervisor_that_failed_meanwhile_saves_it_when_it_goes_on() -> None:
    shell = CheckpointShell()
    shell.harness.enter(joined(ALICE, 1))
    position = shell.flush()
    shell.harness.enter(calls.TrackStats(ROOM_ID, ROOM_NAME, key(), b"\xff"))
    assert shell.turn() == SaveSlice()
    assert shell.saved == []

    shell.harness.tell(Restart())
    shell.turns()

    assert [one.position for one in shell.saved] == [position]
