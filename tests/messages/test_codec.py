from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Final

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol.models import ParticipantInfo, Room

import greenroom.messages
from greenroom.errors import DecodeError, MessageError, UnknownMessageError
from greenroom.messages import codec
from greenroom.messages.calls import ParticipantJoined, RoomStarted, SendStats, TrackStats
from greenroom.messages.codec import MESSAGE_TYPES, VERSION, decode, encode
from greenroom.messages.control import AskWorkers, Stamped, Workers
from greenroom.messages.endpoints import Endpoint
from greenroom.messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID
from greenroom.messages.outputs import RecordNodeRooms, SweepDue
from greenroom.messages.stats import Close, FlushTick
from greenroom.testing.strategies import any_message, messages

KEY: Final = StatsKey.for_data("DE", 0, "PA_1", "TR_1")
STATS: Final = TrackStats(RoomID("RM_1"), RoomName("lobby"), KEY, b"")


def frame(*fields: object, version: object = VERSION) -> bytes:
    return bytes(msgpack.packb([version, *fields]))


def defined_messages() -> Iterator[type]:
    """Every dataclass that a module of `greenroom.messages` defines."""
    for found in pkgutil.iter_modules(greenroom.messages.__path__, "greenroom.messages."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if isinstance(value, type) and is_dataclass(value) and value.__module__ == found.name:
                yield value


# ── there and back ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_a_message_comes_back_equal_and_of_the_same_type(kind: type, data: st.DataObject) -> None:
    sent = data.draw(messages(kind))

    received = decode(encode(sent))

    assert type(received) is kind
    assert received == sent


@settings(max_examples=40)
@given(any_message())
def test_a_message_has_one_wire_form(sent: object) -> None:
    assert encode(decode(encode(sent))) == encode(sent)


def test_every_message_that_is_defined_can_travel() -> None:
    assert set(defined_messages()) - {StatsKey, Endpoint} == set(MESSAGE_TYPES)


def test_no_two_messages_share_a_tag() -> None:
    assert len({kind.__name__ for kind in MESSAGE_TYPES}) == len(MESSAGE_TYPES)


def test_types_of_the_same_shape_do_not_become_one_another() -> None:
    assert decode(encode(FlushTick(7))) == FlushTick(7)
    assert decode(encode(Close(7))) == Close(7)


def test_an_absent_protobuf_is_not_an_empty_one() -> None:
    joined = ParticipantJoined(Room(), ParticipantInfo(), None, None, False, None)

    received = decode(encode(joined))

    assert isinstance(received, ParticipantJoined)
    assert received.client_info is None
    assert received.room == Room()


def test_what_is_decoded_shares_nothing_with_what_was_encoded() -> None:
    sent = RoomStarted(Room(name="lobby"))

    received = decode(encode(sent))
    sent.room.name = "attic"

    assert received == RoomStarted(Room(name="lobby"))


def test_an_input_travels_inside_its_stamp() -> None:
    stamped = Stamped(3, 1_700_000_000_000_000_000, STATS)

    assert decode(encode(stamped)) == stamped


# ── what cannot be encoded ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [object(), "TrackStats", None, 7, KEY, Room(), AskWorkers])
def test_only_messages_of_greenroom_are_encoded(value: object) -> None:
    with pytest.raises(UnknownMessageError, match="no message of greenroom"):
        encode(value)


def test_a_stranger_with_the_name_of_a_message_is_not_encoded() -> None:
    @dataclass
    class SweepDue:
        pass

    with pytest.raises(UnknownMessageError, match="SweepDue"):
        encode(SweepDue())


def test_an_int_beyond_64_bits_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="FlushTick"):
        encode(FlushTick(2**64))


# ── what cannot be decoded ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (b"\xc1", "malformed"),  # the one byte that msgpack never uses
        (frame("SweepDue") + b"\x00", "malformed"),
        (frame("SweepDue")[:-1], "malformed"),
        (msgpack.packb({}), "malformed"),
        (msgpack.packb("SweepDue"), "malformed"),
        (msgpack.packb([]), "malformed"),
        (msgpack.packb([VERSION]), "malformed"),
        (frame("SweepDue", version=VERSION + 1), f"version {VERSION + 1}, expected {VERSION}"),
        (frame("SweepDue", version=True), "malformed"),
        (frame("SweepDue", version="1"), "malformed"),
        (frame(7), "malformed"),
        (frame(None), "malformed"),
        (frame("NoSuchMessage"), "unknown tag"),
        (frame("StatsKey", "DE", 0, "PA_1", "TR_1", 0, 0, False), "unknown tag"),
        (frame("SweepDue", 1, 1), "malformed"),
        (frame("FlushTick"), "malformed"),
        (frame("FlushTick", 1, 2), "malformed"),
        (frame("FlushTick", "1"), "malformed"),
        (frame("FlushTick", True), "malformed"),
        (frame("FlushTick", 1.0), "malformed"),
        (frame("FlushTick", None), "malformed"),
        (frame("FlushTick", {}), "malformed"),
        (frame("FlushTick", msgpack.ExtType(1, b"")), "malformed"),
        (frame("FlushTick", msgpack.Timestamp(0)), "malformed"),
        (frame("RoomStarted", "not bytes"), "malformed"),
        (frame("RoomStarted", None), "malformed"),
        (frame("RoomStarted", b"\xff\xff\xff"), "malformed"),
        (frame("RoomStarted", b"\x0a\x02\xff\xff"), "malformed"),  # a sid that is no UTF-8
        (frame("SendStats", b""), "malformed"),
        (frame("SendStats", [None]), "malformed"),
        (frame("Stamped", 1, 2, ["AskWorkers"]), "malformed"),  # a message, but no input
        (frame("Stamped", 1, 2, ["Stamped", 1, 2, ["SweepDue"]]), "malformed"),
        (frame("Stamped", 1, 2, []), "malformed"),
        (frame("Stamped", 1, 2, [[]]), "malformed"),
        (frame("TrackStats", "r", "n", ["DE", 2**40, "p", "t", 0, 0, True], b""), "malformed"),
        (frame("TrackStats", "r", "n", ["DE", 0, "p", "t", 0, 0, 1], b""), "malformed"),
    ],
    ids=repr,
)
def test_what_is_no_message_is_a_decode_error(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(data)

    assert caught.value.reason.startswith(reason)
    assert caught.value.length == len(data)


def test_more_bytes_than_the_limit_are_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_BYTES", 64)

    assert decode(encode(SweepDue())) == SweepDue()
    with pytest.raises(DecodeError, match="longer than 64 bytes"):
        decode(frame("x" * 64))


@pytest.mark.parametrize("depth", [100, 511, 1_000, 100_000])
def test_arrays_nested_for_their_own_sake_are_a_decode_error(depth: int) -> None:
    with pytest.raises(DecodeError):
        decode(b"\x91" * depth + b"\x90")


def test_a_count_that_no_bytes_follow_takes_no_memory() -> None:
    with pytest.raises(DecodeError):
        decode(b"\xdd\xff\xff\xff\xff")  # "an array of 2**32 - 1"


def test_the_error_names_the_tag_and_the_size_but_holds_nothing_of_the_payload() -> None:
    data = frame("FlushTick", "alice@example.com")

    with pytest.raises(DecodeError) as caught:
        decode(data)

    assert caught.value.tag == "FlushTick"
    assert caught.value.length == len(data)
    assert "alice" not in str(caught.value)


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_bytes_from_anywhere_are_a_message_or_a_decode_error(data: bytes) -> None:
    check_decodes_or_refuses(data)


JSON_LIKE: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary() | st.sampled_from([kind.__name__ for kind in MESSAGE_TYPES]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(MESSAGE_TYPES), st.lists(JSON_LIKE, max_size=8))
def test_well_formed_frames_of_the_wrong_shape_are_a_decode_error(
    kind: type, fields: list[object]
) -> None:
    check_decodes_or_refuses(frame(kind.__name__, *fields))


@settings(max_examples=200)
@given(any_message(), st.data())
def test_a_damaged_message_is_a_message_or_a_decode_error(
    sent: object, data: st.DataObject
) -> None:
    damaged = bytearray(encode(sent))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                damaged[at] = data.draw(st.integers(0, 255))
            case "cut" if len(damaged) > 1:
                del damaged[at]
            case _:
                damaged.insert(at, data.draw(st.integers(0, 255)))

    check_decodes_or_refuses(bytes(damaged))


def check_decodes_or_refuses(data: bytes) -> None:
    """Whatever comes, it is one of our own types, or the one error that callers expect."""
    try:
        received = decode(data)
    except MessageError as error:
        assert type(error) is DecodeError  # noqa: PT017  # nothing else is to be raised
    else:
        assert type(received) in MESSAGE_TYPES


# ── the messages' own forms ─────────────────────────────────────────────────────────────────


def test_tuples_stay_tuples() -> None:
    assert decode(encode(SendStats(()))) == SendStats(())
    assert decode(encode(Workers((), 0))) == Workers((), 0)


def test_none_where_the_original_allows_nil_travels() -> None:
    assert decode(encode(RecordNodeRooms(None))) == RecordNodeRooms(None)


def test_new_types_travel_as_what_they_are() -> None:
    received = decode(encode(STATS))

    assert isinstance(received, TrackStats)
    assert received.key.participant_id == ParticipantID("PA_1")
    assert received.key.track_id == TrackID("TR_1")
