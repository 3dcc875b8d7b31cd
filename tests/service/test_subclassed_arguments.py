"""Texts and numbers of a subclass enter as plain ones, so none fails later in an actor."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from enum import IntEnum, StrEnum
from typing import Final, NoReturn

import pytest
from livekit.protocol.analytics import AnalyticsStat
from livekit.protocol.models import ParticipantInfo, Room, TrackInfo

from greenroom.messages.calls import Call
from greenroom.messages.ids import StatsKey
from greenroom.service.protocol import TelemetryService
from greenroom.testing.fakes import RecordingTelemetry


class Kind(StrEnum):
    LOBBY = "lobby"


class Quality(IntEnum):
    LOW = 1


class HostileText(str):
    """Cannot be a key, and lies about itself."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def isascii(self) -> bool:
        return True

    def encode(self, *_: object) -> bytes:
        return b""


class HostileNumber(int):
    """Cannot be a key, and is between any two others."""

    __hash__ = None  # type: ignore[assignment]

    def __le__(self, other: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> NoReturn:
        raise ValueError("nobody's equal")


TEXTS: Final = ("room_id", "room_name", "participant_id", "identity", "track_id", "mime", "event")
PROTOBUFS: Final = {"room": Room, "participant": ParticipantInfo, "track": TrackInfo}


def leaves(call: Call) -> Iterator[object]:
    for field in fields(call):
        yield getattr(call, field.name)


def told(name: str, text: str, number: int) -> Call:
    """The call that `name` makes of such texts and numbers."""
    telemetry = RecordingTelemetry()
    method = getattr(telemetry, name)
    values: list[object] = []
    for parameter in inspect.signature(method).parameters.values():
        match str(parameter.annotation):
            case "str":
                values.append(text)
            case "int" | "int | None" | "int | str":
                values.append(number)
            case "bool":
                values.append(True)
            case _:
                values.append(PROTOBUFS.get(parameter.name, lambda: None)())
    method(*values)
    return telemetry.calls[0]


WITH_SUCH: Final = [
    "participant_left",
    "participant_resumed",
    "track_publish_requested",
    "track_max_subscribed_video_quality",
    "track_publish_rtp_stats",
    "track_subscribe_failed",
    "notify_egress_event",
]


@pytest.mark.parametrize(
    ("text", "number"), [(Kind.LOBBY, Quality.LOW), (HostileText("lobby"), HostileNumber(1))]
)
@pytest.mark.parametrize("name", WITH_SUCH)
def test_a_subclass_of_text_or_number_enters_as_a_plain_one(
    name: str, text: str, number: int
) -> None:
    assert hasattr(TelemetryService, name)
    plain = told(name, "lobby", 1)
    call = told(name, text, number)

    for kept, expected in zip(leaves(call), leaves(plain), strict=True):
        assert type(kept) is type(expected)
    assert call == plain


def test_so_does_one_in_a_key_or_a_place_of_a_statistic() -> None:
    telemetry = RecordingTelemetry()
    text, number = HostileText("a"), HostileNumber(1)

    key = StatsKey.for_track(text, number, text, text, number, number)
    telemetry.track_stats(text, text, key, AnalyticsStat())
    plain_key = StatsKey.for_track("a", 1, "a", "a", 1, 1)
    telemetry.track_stats("a", "a", plain_key, AnalyticsStat())

    hostile, plain = telemetry.calls
    assert hostile == plain
    assert hash(key)
    assert {type(value) for value in leaves(hostile)} == {type(value) for value in leaves(plain)}


def test_a_number_or_a_text_that_lies_about_itself_is_checked_all_the_same() -> None:
    telemetry = RecordingTelemetry()

    with pytest.raises(ValueError, match="does not fit"):
        telemetry.participant_left(Room(), ParticipantInfo(), True, HostileNumber(2**70))
    with pytest.raises(ValueError, match="not valid Unicode"):
        telemetry.track_stats(
            HostileText("\ud800"), "a", StatsKey.for_data("", 0, "a", "a"), AnalyticsStat()
        )
