from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from livekit.protocol.analytics import AnalyticsNodeRooms, AnalyticsStat
from livekit.protocol.egress import EgressInfo
from livekit.protocol.ingress import IngressInfo
from livekit.protocol.models import ReconnectReason, Room, RTPStats, VideoQuality

from greenroom import StatsKey
from greenroom.replay.arguments import to_arguments
from greenroom.service.protocol import TelemetryService

KEY = {
    "country": "",
    "stream_type": "DOWNSTREAM",
    "participant_id": "PA_1",
    "track_id": "TR_1",
    "track_source": "CAMERA",
    "track_type": "VIDEO",
    "track": True,
}
TRACK = {"room_id": "RM_1", "room_name": "r", "participant_id": "PA_1", "track": {"sid": "TR_1"}}
FAILED = {"track_id": "TR_1", "error": "gone", "is_user_error": True}


def refusal(call: str, args: Mapping[str, Any]) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        to_arguments(call, args)
    return str(caught.value)


def test_a_message_is_read_from_protojson_with_proto_or_camel_case_names() -> None:
    room = Room(sid="RM_1", empty_timeout=60)

    assert to_arguments("room_started", {"room": {"sid": "RM_1", "empty_timeout": 60}}) == {
        "room": room
    }
    assert to_arguments("room_started", {"room": {"sid": "RM_1", "emptyTimeout": 60}}) == {
        "room": room
    }


def test_a_stats_key_is_read_by_the_names_of_its_enums() -> None:
    args = {"room_id": "RM_1", "room_name": "r", "key": KEY, "stat": {"score": 4.5}}

    found = to_arguments("track_stats", args)

    assert found["key"] == StatsKey.for_track("", 1, "PA_1", "TR_1", 1, 1)
    assert found["stat"] == AnalyticsStat(score=4.5)


@pytest.mark.parametrize(
    ("call", "kind"),
    [("egress_started", EgressInfo), ("ingress_ended", IngressInfo)],
)
def test_the_same_parameter_may_be_another_message_in_another_call(call: str, kind: type) -> None:
    assert type(to_arguments(call, {"info": {}})["info"]) is kind


def test_an_enum_that_stands_alone_is_read_by_its_name() -> None:
    resumed = {"room": {}, "participant": {}, "node_id": "ND", "reason": "RR_PUBLISHER_FAILED"}
    quality = {**TRACK, "mime": "video/VP8", "max_quality": "MEDIUM"}

    assert to_arguments("participant_resumed", resumed)["reason"] == (
        ReconnectReason.RR_PUBLISHER_FAILED
    )
    assert to_arguments("track_max_subscribed_video_quality", quality)["max_quality"] == (
        VideoQuality.MEDIUM
    )


def test_null_is_none_where_the_call_allows_it() -> None:
    assert to_arguments("local_room_state", {"info": None}) == {"info": None}
    assert to_arguments("local_room_state", {"info": {}}) == {"info": AnalyticsNodeRooms()}
    assert to_arguments("track_muted", {**TRACK, "track": None})["track"] is None
    assert "room: expected Room as an object, got null" in refusal("room_ended", {"room": None})


def test_stats_are_a_list_or_one_message_as_the_call_says() -> None:
    rtp = {
        "room_id": "RM_1",
        "room_name": "r",
        "participant_id": "PA_1",
        "track_id": "TR_1",
        "mime_type": "video/VP8",
        "stats": {"packets": 7},
    }

    assert to_arguments("track_subscribe_rtp_stats", rtp)["stats"] == RTPStats(packets=7)
    assert to_arguments("send_stats", {"stats": [{"score": 1.0}]})["stats"] == [
        AnalyticsStat(score=1.0)
    ]


@pytest.mark.parametrize(
    "call", [name for name in vars(TelemetryService) if not name.startswith("_")]
)
def test_every_call_of_the_service_names_what_it_misses(call: str) -> None:
    if call == "flush_stats":
        assert to_arguments(call, {}) == {}
    elif call == "guard":
        assert refusal(call, {}) == "no call is named 'guard'"
    else:
        assert refusal(call, {}).startswith(f"{call} without ")


@pytest.mark.parametrize(
    ("call", "args", "text"),
    [
        ("room_begun", {}, "no call is named 'room_begun'"),
        ("room_started", {"rom": {}}, "without room and with unknown rom; it takes room"),
        ("flush_stats", {"now": 1}, "with unknown now; it takes nothing"),
        ("room_started", {"room": []}, "room: expected Room as an object, got list"),
        ("room_started", {"room": {"colour": 1}}, 'room: Message type "livekit.Room" has no'),
        ("room_started", {"room": {"sid": 7}}, "room: Failed to parse sid"),
        ("room_started", {"room": {"sid": "\ud800"}}, "room: Failed to parse sid"),
        ("track_stats", {"room_id": "", "room_name": "", "key": 5, "stat": {}}, "key: expected"),
        (
            "track_stats",
            {"room_id": "", "room_name": "", "key": {**KEY, "stream_type": "UP"}, "stat": {}},
            "key.stream_type: StreamType has no 'UP'",
        ),
        (
            "track_subscribe_failed",
            {**{k: v for k, v in TRACK.items() if k != "track"}, **FAILED, "is_user_error": 1},
            "is_user_error: expected bool, got int",
        ),
        ("track_muted", {**TRACK, "room_id": None}, "room_id: expected str, got NoneType"),
        (
            "participant_left",
            {"room": {}, "participant": {}, "should_send_event": True, "guard": "1"},
            "guard: expected an id",
        ),
        (
            "participant_resumed",
            {"room": {}, "participant": {}, "node_id": "", "reason": "RR_LUNCH"},
            "reason: no such enum name 'RR_LUNCH'",
        ),
        ("send_stats", {"stats": {}}, "stats: expected a list, got dict"),
        ("send_stats", {"stats": [{"x": 1}]}, "stats: Message type"),
    ],
)
def test_what_cannot_be_an_argument_is_refused_by_name(
    call: str, args: dict[str, object], text: str
) -> None:
    assert text in refusal(call, args)


def test_a_refusal_does_not_list_every_field_there_is() -> None:
    assert "Available Fields" not in refusal("room_started", {"room": {"colour": 1}})
