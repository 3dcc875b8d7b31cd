from __future__ import annotations

from typing import Final

import pytest

from greenroom.core.roster import Roster
from greenroom.messages.ids import GuardID, ParticipantID, RoomID, WorkerKey

ALICE: Final = WorkerKey(RoomID("RM_1"), ParticipantID("PA_alice"))
BOB: Final = WorkerKey(RoomID("RM_1"), ParticipantID("PA_bob"))
G1, G2, G3, G4 = (GuardID(number) for number in range(1, 5))


def is_closed(roster: Roster[str], key: WorkerKey) -> bool:
    entry = roster.find(key)
    assert entry is not None
    return entry.closed


def has_closed(roster: Roster[str], key: WorkerKey, guard: GuardID | None) -> bool:
    """Leave, and whether this closed the worker."""
    left = roster.leave(key, guard, 0)
    assert left.closed in (None, roster.find(key))
    return left.closed is not None


# ── guards ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [(G1, G2), (G2, G1)])
def test_two_collectors_share_a_worker_that_the_second_release_closes(
    order: tuple[GuardID, GuardID],
) -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.open(ALICE, G2)

    assert [has_closed(roster, ALICE, guard) for guard in order] == [False, True]


def test_a_guard_that_is_given_many_times_counts_once() -> None:
    roster: Roster[str] = Roster()
    for _ in range(3):
        roster.open(ALICE, G1)

    assert has_closed(roster, ALICE, G1)


def test_a_release_by_a_guard_that_was_never_activated_does_nothing() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)

    assert not has_closed(roster, ALICE, G2)
    assert has_closed(roster, ALICE, G1)


def test_a_guard_can_be_activated_after_a_release_that_did_nothing() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.leave(ALICE, G2, 0)
    roster.leave(ALICE, G1, 0)

    roster.open(ALICE, G2)

    assert has_closed(roster, ALICE, G2)


def test_a_guard_that_is_released_twice_counts_once() -> None:
    roster: Roster[str] = Roster()
    for guard in (G1, G2, G3):
        roster.open(ALICE, guard)

    releases = [has_closed(roster, ALICE, guard) for guard in (G1, G1, G2, G2, G3, G3)]

    assert releases == [False, False, False, False, True, False]


def test_no_guard_never_activates_and_never_releases() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, None)

    assert not has_closed(roster, ALICE, None)
    assert not is_closed(roster, ALICE)


def test_joining_without_a_guard_does_not_hold_the_worker() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, None)
    roster.open(ALICE, G1)

    assert not has_closed(roster, ALICE, None)
    assert has_closed(roster, ALICE, G1)


def test_a_worker_that_no_guard_holds_cannot_be_closed_by_a_strange_one() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, None)

    assert not has_closed(roster, ALICE, G1)
    roster.open(ALICE, G1)
    assert has_closed(roster, ALICE, G1)


def test_a_released_guard_does_not_count_at_a_new_worker() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.leave(ALICE, G1, 0)

    roster.open(ALICE, G1)

    assert not has_closed(roster, ALICE, G1)
    roster.open(ALICE, G2)
    assert has_closed(roster, ALICE, G2)


def test_a_guard_released_at_another_worker_takes_one_from_that_workers_count() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.open(BOB, G2)

    assert has_closed(roster, BOB, G1)
    assert not has_closed(roster, BOB, G2)
    assert not has_closed(roster, ALICE, G1)
    assert not is_closed(roster, ALICE)


def test_a_guard_given_to_two_workers_counts_at_the_first_only() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.open(BOB, G1)

    closes = [has_closed(roster, BOB, G1), has_closed(roster, ALICE, G1)]
    roster.open(BOB, G2)
    closes.append(has_closed(roster, BOB, G2))  # from -1 to 0 by opening, to -1 by leaving
    roster.open(ALICE, G3)
    closes.append(has_closed(roster, ALICE, G3))

    assert closes == [False, False, False, False]


def test_a_worker_closes_when_a_release_brings_its_count_to_exactly_zero() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.open(BOB, None)
    roster.leave(BOB, G1, 0)  # -1
    roster.open(BOB, G2)
    roster.open(BOB, G3)

    assert has_closed(roster, BOB, G2)
    assert not has_closed(roster, BOB, G3)


def test_an_old_guard_cannot_close_the_worker_that_came_after_the_close() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.leave(ALICE, G1, 0)
    roster.open(ALICE, None)  # resumed

    assert not has_closed(roster, ALICE, G1)
    roster.open(ALICE, G2)
    assert has_closed(roster, ALICE, G2)


def test_a_guard_of_the_old_worker_that_is_still_held_takes_from_the_new_ones_count() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)
    roster.open(BOB, G2)
    roster.leave(ALICE, G2, 0)  # closes Alice's worker from 1 to 0, though G1 is held
    new = roster.open(ALICE, G3).entry

    assert roster.leave(ALICE, G1, 0).closed is new


# ── what is remembered ──────────────────────────────────────────────────────────────────────


def test_guards_of_retired_workers_are_forgotten_oldest_first() -> None:
    roster: Roster[str] = Roster(remembered_guards=2)
    for guard in (G1, G2, G3):
        entry = roster.open(ALICE, guard).entry
        roster.leave(ALICE, guard, 0)
        roster.retire(entry.incarnation)

    assert roster.statistics().guards == 2
    roster.open(BOB, G1)  # forgotten: it counts again
    roster.open(BOB, G3)  # remembered: it does not
    assert has_closed(roster, BOB, G1)


def test_a_guard_of_a_living_worker_is_never_forgotten() -> None:
    roster: Roster[str] = Roster(remembered_guards=0)
    roster.open(ALICE, G1)

    for guard in (G2, G3, G4):
        entry = roster.open(BOB, guard).entry
        roster.leave(BOB, guard, 0)
        roster.retire(entry.incarnation)

    assert roster.statistics().guards == 1
    assert has_closed(roster, ALICE, G1)


def test_nothing_is_kept_of_many_workers_but_the_guards_that_are_remembered() -> None:
    roster: Roster[str] = Roster(remembered_guards=100)

    for number in range(10_000):
        key = WorkerKey(RoomID("RM_1"), ParticipantID(f"PA_{number}"))
        entry = roster.open(key, GuardID(number)).entry
        roster.leave(key, GuardID(number), 0)
        roster.retire(entry.incarnation)

    seen = roster.statistics()
    assert (seen.current, seen.retained, seen.guards) == (0, 0, 100)


def test_the_roster_shows_its_sizes_in_one_line() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1)

    assert repr(roster) == "<Roster RosterStatistics(current=1, retained=1, guards=1)>"
