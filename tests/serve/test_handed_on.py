"""What a shard has had of clients' batches, in parts and over moves; see `link/intake.py`."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.link.batches import Item, Packer
from greenroom.link.intake import RECENT, Intake
from greenroom.messages.calls import TrackStats
from greenroom.testing.linked import FakeShard
from greenroom.testing.samples import key

CLIENT = b"c" * 16
ROOMS = "abcd"
PACKER = Packer()


def item(room: str, number: int) -> Item:
    return PACKER.item(TrackStats("", room, key(), str(number).encode()))  # type: ignore[arg-type]


def payload(items: list[Item]) -> bytes:
    return PACKER.payload([value for each in items for value in each])


def taken(shard: FakeShard) -> list[tuple[str, int]]:
    stats = [call for call in shard.taken if isinstance(call, TrackStats)]
    return [(call.room_name, int(call.stat)) for call in stats]


def nothing() -> None:
    """Nobody waits for it."""


@pytest.fixture
def shard() -> FakeShard:
    return FakeShard()


def test_parts_of_a_batch_take_effect_each_once_and_all_are_acknowledged(
    shard: FakeShard,
) -> None:
    intake = Intake(shard)
    done: list[int] = []
    for turn, rooms in enumerate(["a", "b", "ab", "c"]):
        part = [item(room, 1) for room in rooms]
        intake.take_part(CLIENT, 1, part, partial(done.append, turn))

    assert taken(shard) == [("a", 1), ("b", 1), ("c", 1)]
    assert done == [0, 1, 2, 3]


def test_the_whole_batch_after_a_part_gives_the_rest(shard: FakeShard) -> None:
    intake = Intake(shard)
    items = [item(room, 1) for room in "abc"]
    intake.take_part(CLIENT, 1, items[1:2], nothing)
    intake.take(CLIENT, 1, payload(items), nothing)
    intake.take_part(CLIENT, 1, items, nothing)

    assert taken(shard) == [("b", 1), ("a", 1), ("c", 1)]


def test_batches_are_remembered_for_as_long_as_a_client_may_send_them_again(
    shard: FakeShard,
) -> None:
    intake = Intake(shard)
    for sequence in range(1, RECENT + 2):
        intake.take_part(CLIENT, sequence, [item("a", sequence)], nothing)
    before = len(shard.taken)
    for sequence in range(1, RECENT + 2):
        intake.take_part(CLIENT, sequence, [item("a", sequence)], nothing)
    assert len(shard.taken) == before

    intake.take_part(CLIENT, 1, [item("b", 1)], nothing)  # so old that it was acknowledged
    intake.take_part(CLIENT, 2, [item("b", 2)], nothing)
    assert taken(shard)[before:] == [("b", 2)]


def test_a_part_that_came_late_is_taken_although_later_batches_were(shard: FakeShard) -> None:
    intake = Intake(shard)
    intake.take_part(CLIENT, 9, [item("a", 9)], nothing)
    intake.take_part(CLIENT, 8, [item("b", 8)], nothing)

    assert taken(shard) == [("a", 9), ("b", 8)]


def test_a_shard_that_learns_what_another_had_takes_the_rest_only() -> None:
    first, second = FakeShard(), FakeShard()
    old, new = Intake(first), Intake(second)
    old.take_part(CLIENT, 1, [item("a", 1), item("b", 1)], nothing)
    had = old.had_by({"room:a": "new", "room:b": "old"}.__getitem__, ["new"])

    new.learn(had["new"])
    new.take_part(CLIENT, 1, [item("a", 1), item("c", 1)], nothing)

    assert had.keys() == {"new"}
    assert taken(second) == [("c", 1)]


def test_a_batch_that_was_had_whole_is_known_to_all_others() -> None:
    old = Intake(FakeShard())
    old.take(CLIENT, 1, payload([item("a", 1)]), nothing)

    for had in old.had_by(lambda _: "elsewhere", ["one", "two"]).values():
        shard = FakeShard()
        new = Intake(shard)
        new.learn(had)
        new.take_part(CLIENT, 1, [item("a", 1)], nothing)
        new.take_part(CLIENT, 2, [item("a", 2)], nothing)
        assert taken(shard) == [("a", 2)]


def test_what_others_had_of_older_batches_does_not_hide_newer_ones() -> None:
    shard = FakeShard()
    old, new = Intake(FakeShard()), Intake(shard)
    old.take_part(CLIENT, 1, [item("a", 1)], nothing)
    for sequence in range(2, 2 * RECENT):
        new.take_part(CLIENT, sequence, [item("b", sequence)], nothing)

    new.learn(old.had_by(lambda _: "new", ["new"])["new"])
    new.take_part(CLIENT, 2 * RECENT - 1, [item("a", 0)], nothing)

    assert taken(shard)[-1] == ("a", 0)


@settings(max_examples=60)
@given(st.data())
def test_however_rooms_move_and_batches_come_again_each_call_takes_effect_once(
    data: st.DataObject,
) -> None:
    shards = [FakeShard() for _ in range(3)]
    intakes = [Intake(shard) for shard in shards]
    homes = dict.fromkeys((f"room:{room}" for room in ROOMS), 0)
    for sequence in range(1, 8):
        rooms = data.draw(st.lists(st.sampled_from(ROOMS), min_size=1, max_size=4))
        items = [item(room, 100 * sequence + number) for number, room in enumerate(rooms)]
        for _ in range(data.draw(st.integers(1, 3))):
            by_home: dict[int, list[Item]] = {}
            for each in items:
                by_home.setdefault(homes[str(intakes[0].route(each[0]))], []).append(each)
            for home, part in by_home.items():
                intakes[home].take_part(CLIENT, sequence, part, nothing)
            moved = {room: data.draw(st.integers(0, 2)) for room in homes}
            for here, intake in enumerate(intakes):
                owner = {route: str(moved[route]) for route in homes}.__getitem__
                others = [str(there) for there in range(3) if there != here]
                for there, had in intake.had_by(owner, others).items():
                    intakes[int(there)].learn(had)
            homes = moved

    effects = [each for shard in shards for each in taken(shard)]
    assert len(effects) == len(set(effects))
    assert {number // 100 for _, number in effects} == {*range(1, 8)}
