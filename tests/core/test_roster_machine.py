"""The roster against a model that keeps every worker and every guard for ever."""

from __future__ import annotations

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from greenroom.core.roster import Entry, Roster
from greenroom.messages.ids import GuardID, ParticipantID, RoomID, WorkerKey

KEYS: Final = [WorkerKey(RoomID("RM"), ParticipantID(name)) for name in "abc"]
GUARDS: Final = [None, *(GuardID(number) for number in range(6))]


class Model:
    """LiveKit's linked list of workers and guards, as naively as can be."""

    def __init__(self) -> None:
        # key, connected, closed, count, gone; the last one of a key that is not gone is current
        self.workers: list[dict[str, object]] = []
        self.activated: set[GuardID] = set()
        self.released: set[GuardID] = set()

    def current(self, key: WorkerKey) -> dict[str, object] | None:
        mine = [worker for worker in self.workers if worker["key"] == key]
        return mine[-1] if mine and not mine[-1]["gone"] else None

    def open(self, key: WorkerKey, guard: GuardID | None) -> bool:
        worker = self.current(key)
        is_new = worker is None or bool(worker["closed"])
        if is_new:
            connected = worker is not None and worker["connected"]
            worker = {"key": key, "connected": connected, "closed": False, "count": 0}
            worker["gone"] = False
            self.workers.append(worker)
        assert worker is not None
        if guard is not None and guard not in self.activated:
            self.activated.add(guard)
            worker["count"] += 1  # type: ignore[operator]  # a model may be loose
        return is_new

    def leave(self, key: WorkerKey, guard: GuardID | None) -> bool:
        worker = self.current(key)
        if worker is None or guard not in self.activated - self.released:
            return False
        assert guard is not None
        self.released.add(guard)
        worker["count"] -= 1  # type: ignore[operator]  # as above
        closes = worker["count"] == 0 and not worker["closed"]
        worker["closed"] = worker["closed"] or closes
        return closes


class RosterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.roster: Roster[str] = Roster()
        self.model = Model()
        self.entries: list[Entry[str]] = []  # as the model's workers

    @rule(key=st.sampled_from(KEYS), guard=st.sampled_from(GUARDS))
    def open(self, key: WorkerKey, guard: GuardID | None) -> None:
        opened = self.roster.open(key, guard)

        assert opened.is_new == self.model.open(key, guard)
        if opened.is_new:
            self.entries.append(opened.entry)
        assert opened.entry is self.roster.find(key)

    @rule(key=st.sampled_from(KEYS))
    def connect(self, key: WorkerKey) -> None:
        opened = self.roster.open(key, None)
        if opened.is_new:
            self.entries.append(opened.entry)
        opened.entry.connected = True
        self.model.open(key, None)
        worker = self.model.current(key)
        assert worker is not None
        worker["connected"] = True

    @rule(key=st.sampled_from(KEYS), guard=st.sampled_from(GUARDS))
    def leave(self, key: WorkerKey, guard: GuardID | None) -> None:
        worker = self.model.current(key)

        left = self.roster.leave(key, guard, 0)

        assert (left.closed is not None) == self.model.leave(key, guard)
        assert left.was_connected == (worker is not None and worker["connected"])

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.entries) - 1))
        was_there = not self.model.workers[index]["gone"]
        self.model.workers[index]["gone"] = True

        retired = self.roster.retire(self.entries[index].incarnation)

        assert retired is (self.entries[index] if was_there else None)

    @invariant()
    def the_current_workers_are_the_models(self) -> None:
        for key in KEYS:
            worker = self.model.current(key)
            entry = self.roster.find(key)
            assert (entry is None) == (worker is None)
            if entry is not None and worker is not None:
                assert (entry.connected, entry.closed, entry.count) == (
                    worker["connected"],
                    worker["closed"],
                    worker["count"],
                )

    @invariant()
    def a_key_has_at_most_one_worker_that_is_open(self) -> None:
        open_keys = [entry.key for entry in self.roster.newest_first() if not entry.closed]
        assert len(open_keys) == len(set(open_keys))

    @invariant()
    def every_worker_is_visited_newest_first_until_it_is_retired(self) -> None:
        kept = [
            entry
            for entry, worker in zip(self.entries, self.model.workers, strict=True)
            if not worker["gone"]
        ]
        assert list(self.roster.newest_first()) == kept[::-1]
        assert self.roster.statistics().retained == len(kept)


RosterMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestRosterAgainstItsModel = RosterMachine.TestCase
