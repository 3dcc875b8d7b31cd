from __future__ import annotations

from typing import Final

from greenroom.core.roster import Roster
from greenroom.messages.ids import GuardID, Incarnation, ParticipantID, RoomID, WorkerKey

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


# ── workers ─────────────────────────────────────────────────────────────────────────────────


def test_a_worker_is_made_on_first_use_and_found_afterwards() -> None:
    roster: Roster[str] = Roster()

    first = roster.open(ALICE, G1)
    second = roster.open(ALICE, G2)

    assert first.is_new
    assert not second.is_new
    assert first.entry is second.entry is roster.find(ALICE)


def test_the_same_participant_in_another_room_has_another_worker() -> None:
    roster: Roster[str] = Roster()
    elsewhere = WorkerKey(RoomID("RM_2"), ALICE.participant_id)

    assert roster.open(ALICE, G1).entry is not roster.open(elsewhere, G1).entry


def test_an_empty_key_is_a_key_like_any_other() -> None:
    roster: Roster[str] = Roster()
    nobody = WorkerKey(RoomID(""), ParticipantID(""))

    assert roster.find(nobody) is None
    assert roster.open(nobody, None).entry is roster.find(nobody)


def test_a_closed_worker_stays_the_current_one_until_it_is_replaced() -> None:
    roster: Roster[str] = Roster()
    opened = roster.open(ALICE, G1)

    roster.leave(ALICE, G1, 0)

    assert roster.find(ALICE) is opened.entry
    assert is_closed(roster, ALICE)


def test_a_closed_worker_is_not_reopened_but_replaced() -> None:
    roster: Roster[str] = Roster()
    old = roster.open(ALICE, G1).entry
    roster.leave(ALICE, G1, 0)

    new = roster.open(ALICE, G2)

    assert new.is_new
    assert new.entry.incarnation > old.incarnation
    assert old.closed
    assert not new.entry.closed


def test_connected_is_carried_over_to_the_successor() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1).entry.connected = True
    roster.leave(ALICE, G1, 0)

    assert roster.open(ALICE, G2).entry.connected


def test_connected_is_not_carried_over_once_the_worker_is_retired() -> None:
    roster: Roster[str] = Roster()
    old = roster.open(ALICE, G1).entry
    old.connected = True
    roster.leave(ALICE, G1, 0)
    roster.retire(old.incarnation)

    assert not roster.open(ALICE, G2).entry.connected


def test_retiring_the_current_worker_leaves_none() -> None:
    roster: Roster[str] = Roster()
    entry = roster.open(ALICE, G1).entry

    assert roster.retire(entry.incarnation) is entry
    assert roster.find(ALICE) is None


def test_retiring_the_old_incarnation_never_touches_the_new_one() -> None:
    roster: Roster[str] = Roster()
    old = roster.open(ALICE, G1).entry
    roster.leave(ALICE, G1, 0)
    new = roster.open(ALICE, G2).entry

    assert roster.retire(old.incarnation) is old
    assert roster.find(ALICE) is new
    assert [entry.incarnation for entry in roster.newest_first()] == [new.incarnation]


def test_a_worker_is_retired_once() -> None:
    roster: Roster[str] = Roster()
    entry = roster.open(ALICE, G1).entry

    roster.retire(entry.incarnation)

    assert roster.retire(entry.incarnation) is None
    assert roster.retire(Incarnation(99)) is None


def test_a_flush_visits_the_newest_worker_first_and_also_the_closed_ones() -> None:
    roster: Roster[str] = Roster()
    first = roster.open(ALICE, G1).entry
    second = roster.open(BOB, G2).entry
    roster.leave(ALICE, G1, 0)
    third = roster.open(ALICE, G3).entry

    assert list(roster.newest_first()) == [third, second, first]


def test_workers_may_be_retired_while_a_flush_visits_them() -> None:
    roster: Roster[str] = Roster()
    for number in range(5):
        roster.open(WorkerKey(RoomID("RM_1"), ParticipantID(f"PA_{number}")), None)

    visited = [roster.retire(entry.incarnation) for entry in roster.newest_first()]

    assert len(visited) == 5
    assert roster.statistics().retained == 0


def test_the_status_shows_current_workers_in_the_order_of_their_keys() -> None:
    roster: Roster[str] = Roster()
    roster.open(BOB, G1).entry.connected = True
    roster.open(ALICE, G2)
    roster.leave(ALICE, G2, 0)

    assert [(s.key, s.connected, s.closed) for s in roster.status()] == [
        (ALICE, False, True),
        (BOB, True, False),
    ]


# ── leaving ─────────────────────────────────────────────────────────────────────────────────


def test_leaving_without_a_worker_finds_nobody_connected() -> None:
    roster: Roster[str] = Roster()

    left = roster.leave(ALICE, G1, 0)

    assert left.closed is None
    assert not left.was_connected


def test_the_last_release_closes_and_says_whether_it_was_connected() -> None:
    roster: Roster[str] = Roster()
    entry = roster.open(ALICE, G1).entry
    entry.connected = True

    left = roster.leave(ALICE, G1, 0)

    assert left.closed is entry
    assert left.was_connected


def test_leaving_twice_closes_once_and_finds_the_same_both_times() -> None:
    roster: Roster[str] = Roster()
    roster.open(ALICE, G1).entry.connected = True
    roster.leave(ALICE, G1, 0)

    again = roster.leave(ALICE, G1, 0)

    assert again.closed is None
    assert again.was_connected
