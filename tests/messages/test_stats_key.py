from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.analytics import StreamType
from livekit.protocol.models import TrackSource, TrackType

from greenroom.messages.ids import (
    ParticipantID,
    RoomID,
    StatsKey,
    WorkerKey,
    checked_number,
    checked_text,
)
from greenroom.testing.strategies import stats_keys

NAMED: dict[str, object] = {
    "country": "DE",
    "stream_type": "DOWNSTREAM",
    "participant_id": "PA_1",
    "track_id": "TR_1",
    "track_source": "CAMERA",
    "track_type": "VIDEO",
    "track": True,
}
LONE_SURROGATE = "\ud800"


def numbered(**changes: object) -> dict[str, Any]:
    return {
        "country": "DE",
        "stream_type": 1,
        "participant_id": "PA_1",
        "track_id": "TR_1",
        "track_source": 1,
        "track_type": 1,
        "track": True,
    } | changes


@given(st.text(), st.text())
def test_the_text_of_a_workers_key_is_the_key_whatever_its_ids_hold(room: str, who: str) -> None:
    key = WorkerKey(RoomID(room), ParticipantID(who))

    assert WorkerKey.from_text(key.text) == key


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (WorkerKey(RoomID("RM_1"), ParticipantID("PA_2")), "RM_1/PA_2"),
        (WorkerKey(RoomID("a/b%"), ParticipantID("%2F")), "a%2Fb%25/%252F"),
    ],
)
def test_the_text_of_a_workers_key_is_what_a_person_expects(key: WorkerKey, text: str) -> None:
    assert key.text == text


@pytest.mark.parametrize("text", ["", "RM_1", "a/b/c"])
def test_a_text_that_is_no_workers_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a room's and a participant's id"):
        WorkerKey.from_text(text)


def test_a_key_of_a_recording_has_its_enums_by_name() -> None:
    key = StatsKey.from_names(NAMED)

    assert key == StatsKey(**numbered())
    assert (key.stream_type, key.track_source, key.track_type) == (
        StreamType.DOWNSTREAM,
        TrackSource.CAMERA,
        TrackType.VIDEO,
    )


def test_a_track_key_is_of_media_and_a_data_key_is_not() -> None:
    track = StatsKey.for_track("DE", 1, "PA_1", "TR_1", 1, 1)
    data = StatsKey.for_data("DE", 1, "PA_1", "TR_1")

    assert track.track
    assert not data.track
    assert (data.track_source, data.track_type) == (0, 0)


@given(stats_keys())
def test_equal_keys_have_equal_hashes(key: StatsKey) -> None:
    twin = StatsKey(**asdict(key))

    assert twin == key
    assert hash(twin) == hash(key)


def test_a_key_cannot_be_changed_after_its_check() -> None:
    key = StatsKey(**numbered())

    with pytest.raises(FrozenInstanceError):
        key.country = "BR"  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize("name", ["country", "participant_id", "track_id"])
@pytest.mark.parametrize("value", [None, 1, b"bytes"])
def test_a_text_of_a_key_is_a_str(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"^key.{name}: expected str"):
        StatsKey(**numbered(**{name: value}))


@pytest.mark.parametrize("name", ["country", "participant_id", "track_id"])
def test_a_text_of_a_key_has_a_utf8_form(name: str) -> None:
    with pytest.raises(ValueError, match=f"^key.{name}: not valid Unicode"):
        StatsKey(**numbered(**{name: LONE_SURROGATE}))


@pytest.mark.parametrize("name", ["stream_type", "track_source", "track_type"])
@pytest.mark.parametrize("value", [None, "UPSTREAM", 1.0, True])
def test_an_enum_of_a_key_is_an_int(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"^key.{name}: expected int"):
        StatsKey(**numbered(**{name: value}))


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_an_enum_of_a_key_fits_32_bits(value: int) -> None:
    with pytest.raises(ValueError, match=r"^key\.stream_type: .* does not fit 32 bits"):
        StatsKey(**numbered(stream_type=value))


@pytest.mark.parametrize("value", [None, 0, 1, "true"])
def test_whether_it_is_a_track_is_a_bool(value: object) -> None:
    with pytest.raises(TypeError, match=r"^key.track: expected bool"):
        StatsKey(**numbered(track=value))


@pytest.mark.parametrize("name", NAMED)
def test_a_named_key_lacks_no_field(name: str) -> None:
    incomplete = {other: NAMED[other] for other in NAMED if other != name}

    with pytest.raises(TypeError, match=f"^key: missing or unknown fields .*'{name}'"):
        StatsKey.from_names(incomplete)


def test_a_named_key_has_no_field_that_is_not_known() -> None:
    with pytest.raises(TypeError, match=r"^key: missing or unknown fields .*'codec'"):
        StatsKey.from_names({**NAMED, "codec": "vp8"})


@pytest.mark.parametrize("name", ["stream_type", "track_source", "track_type"])
def test_a_name_that_an_enum_has_not_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^key.{name}: .* has no 'SIDEWAYS'"):
        StatsKey.from_names({**NAMED, name: "SIDEWAYS"})


@pytest.mark.parametrize("name", ["stream_type", "track_source", "track_type"])
def test_an_enum_of_a_named_key_is_given_by_name_if_it_has_one(name: str) -> None:
    with pytest.raises(TypeError, match=f"^key.{name}: expected an enum name, got int"):
        StatsKey.from_names({**NAMED, name: 1})

    assert getattr(StatsKey.from_names({**NAMED, name: 99}), name) == 99
    with pytest.raises(ValueError, match=f"^key.{name}: .* does not fit 32 bits"):
        StatsKey.from_names({**NAMED, name: 2**31})


@given(st.text())
def test_text_that_has_a_utf8_form_is_kept_as_it_is(text: str) -> None:
    assert checked_text(text, "name") == text


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_number_of_32_bits_is_kept_as_it_is(number: int) -> None:
    assert checked_number(number, "name") == number


def test_a_worker_key_sorts_by_room_then_participant() -> None:
    keys = [WorkerKey(*pair) for pair in [("b", "a"), ("a", "b"), ("a", "a")]]  # type: ignore[arg-type]

    assert sorted(keys) == [("a", "a"), ("a", "b"), ("b", "a")]
