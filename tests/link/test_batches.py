from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import DecodeError
from greenroom.link import batches
from greenroom.link.batches import Packer, Unpacker, count_of, route_of
from greenroom.link.intake import Intake
from greenroom.messages.calls import CALLS, Call, FlushStats, RoomStarted, TrackStats
from greenroom.testing.linked import FakeShard
from greenroom.testing.samples import room, track_stats
from greenroom.testing.strategies import calls, messages


def payload_of(*items: object) -> bytes:
    packed: bytes = msgpack.packb([value for item in items for value in item])  # type: ignore[attr-defined]
    return packed


def packed(*them: Call) -> bytes:
    packer = Packer()
    return packer.payload([value for call in them for value in packer.item(call)])


def unpacked(payload: bytes, unpacker: Unpacker | None = None) -> list[Call]:
    unpacker = unpacker or Unpacker()
    return [unpacker.call(first, second) for first, second in unpacker.items(payload)]


@pytest.mark.parametrize("kind", CALLS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_each_type_of_call_comes_out_as_it_went_in(kind: type[Call], data: st.DataObject) -> None:
    call = data.draw(messages(kind))

    assert unpacked(packed(call)) == [call]


@given(st.lists(calls(), max_size=6))
def test_calls_of_a_batch_keep_their_order_and_number(them: list[Call]) -> None:
    payload = packed(*them)

    assert unpacked(payload) == them
    assert count_of(payload) == len(them)


@given(calls())
def test_the_route_is_that_of_the_call(call: Call) -> None:
    packer, unpacker = Packer(), Unpacker()
    first, _ = packer.item(call)

    assert unpacker.route(first) == route_of(call)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_payload_or_a_decode_error(data: bytes) -> None:
    count_of(data)
    with contextlib.suppress(DecodeError):
        unpacked(data)


@given(st.binary(max_size=60) | st.text(max_size=20), st.binary(max_size=60))
def test_any_item_is_a_call_or_a_decode_error(first: bytes | str, second: bytes) -> None:
    unpacker = Unpacker()
    with contextlib.suppress(DecodeError):
        unpacker.route(first)
    with contextlib.suppress(DecodeError):
        unpacker.call(first, second)


HEAD = Packer().item(track_stats())[0]
MALFORMED = [
    (b"", b""),
    (b"\xc1", b"x"),
    (msgpack.packb([1] * 9), b""),
    (msgpack.packb(["a"] * 8), b""),
    (msgpack.packb(["a", "b", "c", 0, "d", "e", 0, 0, 1]), b""),  # `track` is no bool
    (msgpack.packb(["a", "b", "c", 2**64 - 1, "d", "e", 0, 0, True]), b""),
    ("room:x", b""),
    ("room:x", b"\x93\x01\xa7Nothing\x01"),
    ("room:x", b"\x91" * 10_000),
    ("room:x", b"cos\nsystem\n(S'true'\ntR."),
    ("room:x", Packer().item(RoomStarted(room()))[1][:-1]),
    (5, b"a number"),
    (None, None),
    ("room:x", "text"),
    (HEAD, "text"),
    (HEAD, 7),
]


@pytest.mark.parametrize("item", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_item_is_counted_and_loses_nothing_else(item: tuple[object, object]) -> None:
    shard = FakeShard()
    before, after = RoomStarted(room()), track_stats()
    payload = payload_of(Packer().item(before), item, Packer().item(after))
    acknowledged: list[bool] = []

    Intake(shard).take(b"c" * 16, 1, payload, lambda: acknowledged.append(True))

    assert shard.taken == [before, after]
    assert shard.lost == {"malformed": 1}
    assert acknowledged == [True]


@pytest.mark.parametrize(
    "damage",
    [msgpack.packb([1]), msgpack.packb({1: 2}), b"\xc1", b"\xda\xff\xff"],
    ids=["list", "map", "no msgpack", "cut off"],
)
def test_what_came_before_a_damage_takes_effect(damage: bytes) -> None:
    shard = FakeShard()
    first, second = Packer().item(track_stats())
    head = msgpack.packb([first, second, 0, 0])[:-2]

    Intake(shard).take(b"c" * 16, 1, head + damage + damage, lambda: None)

    assert shard.taken == [track_stats()]
    assert shard.lost == {"malformed": 1}


@pytest.mark.parametrize(
    ("payload", "count"),
    [(b"", -1), (b"\x93", -1), (b"\x01", -1), (b"\x90", 0), (b"\xdd\xff\xff\xff\xfe", 2**31 - 1)],
)
def test_a_payload_says_at_its_beginning_how_many_items_it_has(payload: bytes, count: int) -> None:
    assert count_of(payload) == count


def test_millions_of_lists_in_a_payload_end_at_the_first_that_holds_something() -> None:
    with pytest.raises(DecodeError):
        unpacked(b"\xdd\x00\x00\x00\x02" + b"\xdd\x00\xff\xff\xff" + b"\x90" * 0xFFFFFF)


def test_heads_are_remembered_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "HEADS", 4)
    unpacker = Unpacker()
    them: list[Call] = [track_stats(f"PA_{number}") for number in range(20)]

    assert unpacked(packed(*them), unpacker) == them
    assert unpacked(packed(*them), unpacker) == them
    again = unpacked(packed(them[-1], them[-1]), unpacker)
    assert isinstance(again[0], TrackStats)
    assert isinstance(again[1], TrackStats)
    assert again[0].key is again[1].key


def test_what_concerns_all_shards_has_a_route_that_no_room_has() -> None:
    named = room()
    named.name = batches.EVERYWHERE

    assert route_of(FlushStats()) == batches.EVERYWHERE
    assert route_of(RoomStarted(named)) != batches.EVERYWHERE
