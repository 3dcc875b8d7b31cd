"""What is recorded in slices, while workers come and go, is the roster of one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from greenroom.core.roster import Entry, Roster
from greenroom.messages.checkpoint import WorkerRecord
from greenroom.messages.handoff import WorkerFacts
from greenroom.messages.ids import GuardID, Incarnation, ParticipantID, RoomID, RoomName, WorkerKey

KEYS: Final = [WorkerKey(RoomID("RM"), ParticipantID(name)) for name in "abcd"]
GUARDS: Final = [None, *(GuardID(number) for number in range(8))]
NAMES: Final = [RoomName("lobby"), RoomName("")]


@dataclass(frozen=True)
class Worker:
    """All that can be seen of one."""

    key: WorkerKey
    incarnation: Incarnation
    room_name: RoomName
    connected: bool
    is_current: bool
    closed: bool
    closed_at_ns: int
    count: int
    guards: tuple[GuardID, ...]
    held: tuple[GuardID, ...]


def seen(roster: Roster[str]) -> list[Worker]:
    """Every worker that is kept, newest first."""
    return [
        Worker(
            entry.key,
            entry.incarnation,
            entry.room_name,
            entry.connected,
            roster.find(entry.key) is entry,
            entry.closed,
            entry.closed_at_ns,
            entry.count,
            entry.guards,
            roster.held_guards(entry),
        )
        for entry in roster.newest_first()
    ]


def waiting(roster: Roster[str]) -> list[Incarnation]:
    """The current workers that are closed, in the order in which they will expire."""
    return [
        closed.entry.incarnation
        for closed in roster.closing()
        if roster.find(closed.entry.key) is closed.entry
    ]


def restored(records: dict[Incarnation, WorkerRecord], last_incarnation: int) -> Roster[str]:
    roster: Roster[str] = Roster()
    for _, record in sorted(records.items()):
        roster.restore(record)
    roster.restored(last_incarnation)
    return roster


class CheckpointMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.roster: Roster[str] = Roster()
        self.roster.changes.track()
        self.now_ns = 0
        self.saved: dict[Incarnation, WorkerRecord] = {}
        self.moment: tuple[list[Worker], list[Incarnation], int] | None = None

    @rule(key=st.sampled_from(KEYS), guard=st.sampled_from(GUARDS), name=st.sampled_from(NAMES))
    def open(self, key: WorkerKey, guard: GuardID | None, name: RoomName) -> None:
        self.roster.open(key, guard, name)

    @rule(
        key=st.sampled_from(KEYS),
        guards=st.lists(st.sampled_from(GUARDS[1:]), max_size=2, unique=True),
    )
    def adopt(self, key: WorkerKey, guards: list[GuardID]) -> None:
        held = {guard for worker in seen(self.roster) for guard in worker.guards}
        if self.roster.find(key) is None and not held.intersection(guards):
            self.roster.adopt(WorkerFacts(key, NAMES[0], True, False, tuple(guards)))

    @rule(key=st.sampled_from(KEYS))
    def connect(self, key: WorkerKey) -> None:
        entry = self.roster.find(key)
        if entry is not None:
            self.roster.connect(entry)

    @rule(key=st.sampled_from(KEYS), guard=st.sampled_from(GUARDS))
    def leave(self, key: WorkerKey, guard: GuardID | None) -> None:
        self.now_ns += 1
        self.roster.leave(key, guard, self.now_ns)

    @rule(ago=st.integers(0, 5))
    def expire(self, ago: int) -> None:
        self.roster.expire(self.now_ns - ago)

    @precondition(lambda self: self.roster.newest_first())
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        entry: Entry[str] = data.draw(st.sampled_from(self.roster.newest_first()))
        self.roster.retire(entry.incarnation)

    # ── checkpoints ─────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.moment is None)
    @rule()
    def begin(self) -> None:
        self.roster.changes.begin()
        self.moment = (seen(self.roster), waiting(self.roster), self.roster.last_incarnation)

    @precondition(lambda self: self.moment is not None)
    @rule(count=st.integers(1, 3))
    def record_some(self, count: int) -> None:
        self.roster.changes.record_some(count)

    @precondition(lambda self: self.moment is not None)
    @rule()
    def abandon(self) -> None:
        self.roster.changes.abandon()
        self.moment = None

    @precondition(lambda self: self.moment is not None)
    @rule()
    def take(self) -> None:
        changed, gone = self.roster.changes.take()
        self.saved.update((record.incarnation, record) for record in changed)
        for incarnation in gone:
            self.saved.pop(incarnation, None)
        assert self.moment is not None
        workers, closing, last_incarnation = self.moment
        self.moment = None

        again = restored(self.saved, last_incarnation)

        assert seen(again) == workers
        assert waiting(again) == closing
        assert again.last_incarnation == last_incarnation

    def teardown(self) -> None:
        """Whatever was left open, the next checkpoint has it."""
        if self.moment is not None:
            self.abandon()
        self.begin()
        self.take()


CheckpointMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40)
TestCheckpointsAgainstTheRosterOfTheirMoment = CheckpointMachine.TestCase


def record_all(roster: Roster[str]) -> tuple[tuple[WorkerRecord, ...], tuple[Incarnation, ...]]:
    roster.changes.begin()
    return roster.changes.take()


def test_a_roster_that_is_not_to_be_saved_remembers_no_changes() -> None:
    roster: Roster[str] = Roster()
    roster.open(KEYS[0], GuardID(1))

    assert record_all(roster) == ((), ())


def test_only_who_changed_since_is_recorded() -> None:
    roster: Roster[str] = Roster()
    roster.changes.track()
    for key in KEYS:
        roster.open(key, None)
    assert len(record_all(roster)[0]) == len(KEYS)

    entry = roster.find(KEYS[2])
    assert entry is not None
    roster.connect(entry)
    roster.connect(entry)
    roster.open(KEYS[1], None)  # it is open: nothing changes

    ((record,), gone) = record_all(roster)
    assert (record.incarnation, record.connected, gone) == (3, True, ())
    assert record_all(roster) == ((), ())


def test_slices_are_no_larger_than_asked_for() -> None:
    roster: Roster[str] = Roster()
    roster.changes.track()
    for key in KEYS:
        roster.open(key, None)
    roster.changes.begin()

    assert [roster.changes.record_some(3) for _ in range(2)] == [True, False]


def test_a_restored_roster_goes_on_as_the_one_before() -> None:
    roster: Roster[str] = Roster()
    roster.changes.track()
    roster.open(KEYS[0], GuardID(1))
    roster.open(KEYS[0], GuardID(2))
    roster.leave(KEYS[0], GuardID(1), 5)
    roster.open(KEYS[1], GuardID(3))
    roster.leave(KEYS[1], GuardID(3), 6)
    changed, _ = record_all(roster)
    again = restored({record.incarnation: record for record in changed}, 2)

    for one in (roster, again):
        assert one.leave(KEYS[0], GuardID(1), 7).closed is None, "it was released before"
        assert one.leave(KEYS[0], GuardID(2), 8).closed is not None
        one.expire(7)
        assert one.find(KEYS[1]) is None
        assert one.open(KEYS[1], None).entry.incarnation == 3


def test_a_guard_that_moved_away_and_came_back_is_forgotten_once() -> None:
    roster: Roster[str] = Roster(remembered_guards=1)
    for guard in (GuardID(1), GuardID(1), GuardID(2), GuardID(3)):
        entry = roster.adopt(WorkerFacts(KEYS[0], NAMES[0], True, False, (guard,)))
        assert roster.retire(entry.incarnation) is entry

    assert roster.statistics().guards == 1
