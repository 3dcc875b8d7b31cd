"""Checkpoints: of the moment of a flush, saved when its round is over and nobody stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from greenroom.actors.checkpointing import SLICE
from greenroom.actors.stats_worker import ConfigureWorker, StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.core import metrics_state
from greenroom.core.journal import Past
from greenroom.core.metrics import Metrics
from greenroom.messages import calls
from greenroom.messages.checkpoint import Checkpoint, WorkerRecord
from greenroom.messages.control import ChildFailed, DeadLetter, Restart, WorkerStatus
from greenroom.messages.ids import GuardID, Incarnation, ParticipantID, WorkerKey
from greenroom.messages.stats import Close, Flush, FlushSlice, SaveSlice, WorkerClosed, WorkerSpec
from greenroom.testing.harness import ActorHarness, FakeAddress
from greenroom.testing.samples import (
    ALICE,
    ALICES_WORKER,
    BOB,
    ROOM_ID,
    ROOM_NAME,
    active,
    joined,
    key,
    left,
)

AT_NS: Final = 1_700_000_000_500_000_000


class RecordingCheckpoints:
    """A `CheckpointStore` that keeps what it is given."""

    def __init__(self) -> None:
        self.is_busy = False
        self.saved: list[Checkpoint] = []

    def save(self, checkpoint: Checkpoint) -> None:
        self.saved.append(checkpoint)


class Shell:
    """A supervisor with checkpoints; its turns are given when a test says so."""

    def __init__(self, *, flush_slice: int = 64, past: Past | None = None, **ports: Any) -> None:
        self.checkpoints = RecordingCheckpoints()
        self.harness = ActorHarness(Supervisor, at_ns=AT_NS)
        given = replace(
            self.harness.ports,
            **{"checkpoints": self.checkpoints, "past": past or Past(), **ports},
        )
        self.sent = self.harness.tell(
            ConfigureSupervisor(Settings(flush_slice=flush_slice), given)
        )

    @property
    def saved(self) -> list[Checkpoint]:
        return self.checkpoints.saved

    def turn(self) -> object:
        """Give the oldest turn that was asked for."""
        target, message = self.harness.door.turns.pop(0)
        assert target is self.harness.address
        self.harness.tell(message)
        return message

    def turns(self) -> list[object]:
        """Give all turns that are asked for."""
        found = []
        while self.harness.door.turns:
            found.append(self.turn())
        return found

    def flush(self) -> int:
        """A flush, without its turns; its position."""
        self.harness.enter(calls.FlushStats())
        return self.harness._position

    def worker(self, index: int = 0) -> FakeAddress:
        return self.harness.child(StatsWorker, index)

    def fail_worker(self) -> None:
        """Alice's first worker stands still."""
        letter = DeadLetter("StatsWorker", "", "TrackStat", 0, 0, "ValueError", "", b"", 1)
        self.harness.tell(ChildFailed(letter, stands_still=True), self.worker())


def record(
    incarnation: int, sid: str = ALICE, *, connected: bool = False, closed_at_ns: int = 0
) -> WorkerRecord:
    """A worker with a guard of its number."""
    guards = (GuardID(incarnation),)
    is_closed = closed_at_ns > 0
    return WorkerRecord(
        key=WorkerKey(ROOM_ID, ParticipantID(sid)),
        incarnation=Incarnation(incarnation),
        room_name=ROOM_NAME,
        connected=connected,
        is_current=True,
        closed=is_closed,
        closed_at_ns=closed_at_ns,
        count=int(not is_closed),
        guards=guards,
        released=guards if is_closed else (),
    )


# ── when ────────────────────────────────────────────────────────────────────────────────────


def test_it_is_saved_when_the_round_of_the_flush_is_over_with_its_stamp() -> None:
    shell = Shell(flush_slice=1)
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
    shell = Shell()
    position = shell.flush()

    assert shell.turns() == [SaveSlice()]
    assert [one.position for one in shell.saved] == [position]


def test_without_a_journal_there_is_none() -> None:
    shell = Shell(checkpoints=None)
    shell.harness.enter(joined())
    shell.flush()

    assert shell.turns() == []


def test_none_begins_while_the_one_before_is_being_saved() -> None:
    shell = Shell()
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
    shell = Shell(flush_slice=1)
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
    shell = Shell()
    for number in range(SLICE + 1):
        shell.harness.enter(joined(f"PA_{number}", number))
    shell.flush()

    found = shell.turns()
    shell.harness.tell(SaveSlice())

    assert found.count(SaveSlice()) == 2
    assert [len(one.changed) for one in shell.saved] == [SLICE + 1]


# ── what ────────────────────────────────────────────────────────────────────────────────────


def test_what_changed_after_the_flush_is_in_the_next_one() -> None:
    shell = Shell(flush_slice=1)
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
    shell = Shell(flush_slice=1)
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
    shell = Shell(outbox=outbox, flush_slice=1)
    shell.harness.enter(joined(ALICE, 1))
    shell.flush()
    outbox.next_id = 9
    shell.turns()

    assert [one.next_delivery for one in shell.saved] == [7]


# ── failures ────────────────────────────────────────────────────────────────────────────────


def test_none_begins_while_a_child_stands_still() -> None:
    shell = Shell()
    shell.harness.enter(joined(ALICE, 1))
    shell.fail_worker()
    shell.flush()
    assert shell.turns() == []

    shell.harness.pass_door()
    shell.flush()
    shell.turns()

    assert [one.changed for one in shell.saved] == [(record(1),)]


def test_none_is_saved_while_a_child_stands_still_and_the_next_one_has_all() -> None:
    shell = Shell()
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
    shell = Shell()
    shell.harness.enter(joined(ALICE, 1))
    position = shell.flush()
    shell.harness.enter(calls.TrackStats(ROOM_ID, ROOM_NAME, key(), b"\xff"))
    assert shell.turn() == SaveSlice()
    assert shell.saved == []

    shell.harness.tell(Restart())
    shell.turns()

    assert [one.position for one in shell.saved] == [position]


# ── the next life ───────────────────────────────────────────────────────────────────────────


def past(*records: WorkerRecord) -> Past:
    checkpoint = Checkpoint(40, AT_NS - 1, 5, 9, 1, b"", records, ())
    return Past(position=40, at_ns=AT_NS - 1, checkpoint=checkpoint)


def spec_of(one: WorkerRecord) -> WorkerSpec:
    return WorkerSpec(one.key, one.incarnation, one.room_name)


def test_workers_of_the_life_before_are_there_again() -> None:
    alice, bob = record(3, ALICE, connected=True), record(8, BOB, closed_at_ns=AT_NS - 5)
    shell = Shell(past=past(alice, bob))

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
    shell = Shell(past=past(record(3, ALICE)))
    sent = shell.harness.enter(calls.FlushStats())
    assert (shell.worker(), Flush(6, AT_NS)) in sent
    shell.turns()
    shell.harness.enter(joined(BOB, 10))
    shell.flush()
    shell.turns()

    assert [one.changed for one in shell.saved] == [(), (record(10, BOB),)]
    assert [one.flush for one in shell.saved] == [6, 7]


def test_a_guard_of_the_life_before_closes_its_worker() -> None:
    shell = Shell(past=past(record(3, ALICE)))

    sent = shell.harness.enter(left(ALICE, 3))

    assert (shell.worker(), Close(AT_NS)) in sent
    assert shell.harness.actor.roster.find(ALICES_WORKER) is not None


@pytest.mark.parametrize("closed_at_ns", [0, AT_NS - 5])
def test_who_comes_again_has_the_worker_of_before_unless_it_is_closed(closed_at_ns: int) -> None:
    shell = Shell(past=past(record(3, ALICE, connected=True, closed_at_ns=closed_at_ns)))

    shell.harness.enter(joined(ALICE, 11))

    entry = shell.harness.actor.roster.find(ALICES_WORKER)
    assert entry is not None
    assert (entry.incarnation, entry.connected) == (10 if closed_at_ns else 3, True)
