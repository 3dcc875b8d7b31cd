from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol.analytics import (
    AnalyticsClientMeta,
    AnalyticsEvent,
    APICallInfo,
    FeatureUsageInfo,
    ReportInfo,
    WebhookInfo,
)
from livekit.protocol.analytics import AnalyticsEventType as Kind
from livekit.protocol.egress import EgressInfo
from livekit.protocol.ingress import IngressInfo
from livekit.protocol.models import (
    ClientInfo,
    ParticipantInfo,
    ReconnectReason,
    Room,
    RTPStats,
    TrackInfo,
    VideoQuality,
)

from greenroom.core import analytics_events
from greenroom.core.analytics_events import BUILDERS, event_of, participant_left
from greenroom.messages import calls, track_calls
from greenroom.messages.calls import CALLS, Call
from greenroom.messages.ids import (
    NodeID,
    ParticipantID,
    ParticipantIdentity,
    RoomID,
    RoomName,
    TrackID,
)
from greenroom.testing.strategies import messages

AT_NS: Final = 1_700_000_000_123_456_789
NOW: Final = Timestamp(seconds=1_700_000_000, nanos=123_456_789)
ROOM: Final = Room(sid="RM_1", name="lobby", creation_time=1_600_000_000, metadata="m")
ALICE: Final = ParticipantInfo(sid="PA_1", identity="alice")
TRACK: Final = TrackInfo(sid="TR_1", mime_type="video/vp8")
META: Final = AnalyticsClientMeta(region="eu")
IDS: Final = (RoomID("RM_1"), RoomName("lobby"), ParticipantID("PA_1"))
IDENTITY: Final = ParticipantIdentity("alice")
EGRESS: Final = EgressInfo(egress_id="EG_1", room_id="RM_1", room_name="lobby")
INGRESS: Final = IngressInfo(ingress_id="IN_1", name="camera")

OF_ROOM: Final[dict[str, Any]] = {
    "room": Room(sid="RM_1", name="lobby"),
    "room_id": "RM_1",
    "participant_id": "PA_1",
}
OF_TRACK: Final[dict[str, Any]] = {
    **OF_ROOM,
    "participant": ParticipantInfo(sid="PA_1"),
    "track": TRACK,
    "track_id": "TR_1",
}
OF_PARTICIPANT: Final[dict[str, Any]] = {
    "room": ROOM,
    "room_id": "RM_1",
    "participant": ALICE,
    "participant_id": "PA_1",
}
OF_EGRESS: Final[dict[str, Any]] = {"egress": EGRESS, "egress_id": "EG_1", "room_id": "RM_1"}
OF_INGRESS: Final[dict[str, Any]] = {"ingress": INGRESS, "ingress_id": "IN_1"}

# call, its event's type, and every field of it but the time
TABLE: Final[list[tuple[Call, int, dict[str, Any]]]] = [
    (calls.RoomEnded(ROOM), Kind.ROOM_ENDED, {"room": ROOM, "room_id": "RM_1"}),
    (
        calls.ParticipantJoined(ROOM, ALICE, ClientInfo(os="linux"), META, True, None),
        Kind.PARTICIPANT_JOINED,
        {**OF_PARTICIPANT, "client_info": ClientInfo(os="linux"), "client_meta": META},
    ),
    (
        calls.ParticipantActive(ROOM, ALICE, META, False, None),
        Kind.PARTICIPANT_ACTIVE,
        {**OF_PARTICIPANT, "client_meta": META},
    ),
    (
        calls.ParticipantResumed(ROOM, ALICE, NodeID("ND_1"), ReconnectReason.RR_UNKNOWN),
        Kind.PARTICIPANT_RESUMED,
        {**OF_PARTICIPANT, "client_meta": AnalyticsClientMeta(node="ND_1")},
    ),
    (
        track_calls.TrackPublishRequested(*IDS, IDENTITY, TRACK),
        Kind.TRACK_PUBLISH_REQUESTED,
        {**OF_TRACK, "participant": ALICE},
    ),
    (
        track_calls.TrackPublished(*IDS, IDENTITY, TRACK, True),
        Kind.TRACK_PUBLISHED,
        {**OF_TRACK, "participant": ALICE},
    ),
    (
        track_calls.TrackUnpublished(*IDS, IDENTITY, TRACK, True),
        Kind.TRACK_UNPUBLISHED,
        OF_TRACK,  # here the original forgets the identity
    ),
    (
        track_calls.TrackSubscribeRequested(*IDS, TRACK),
        Kind.TRACK_SUBSCRIBE_REQUESTED,
        OF_TRACK,
    ),
    (
        track_calls.TrackSubscribed(*IDS, TRACK, ParticipantInfo(sid="PA_2"), True),
        Kind.TRACK_SUBSCRIBED,
        {**OF_TRACK, "publisher": ParticipantInfo(sid="PA_2")},
    ),
    (track_calls.TrackUnsubscribed(*IDS, TRACK, True), Kind.TRACK_UNSUBSCRIBED, OF_TRACK),
    (
        track_calls.TrackSubscribeFailed(*IDS, TrackID("TR_1"), "no codec", True),
        Kind.TRACK_SUBSCRIBE_FAILED,
        {**OF_TRACK, "track": TrackInfo(sid="TR_1"), "error": "no codec"},
    ),
    (track_calls.TrackMuted(*IDS, TRACK), Kind.TRACK_MUTED, OF_TRACK),
    (track_calls.TrackUnmuted(*IDS, TRACK), Kind.TRACK_UNMUTED, OF_TRACK),
    (track_calls.TrackPublishedUpdate(*IDS, TRACK), Kind.TRACK_PUBLISHED_UPDATE, OF_TRACK),
    (
        track_calls.TrackMaxSubscribedVideoQuality(*IDS, TRACK, "video/vp8", VideoQuality.HIGH),
        Kind.TRACK_MAX_SUBSCRIBED_VIDEO_QUALITY,
        {**OF_TRACK, "max_subscribed_video_quality": VideoQuality.HIGH, "mime": "video/vp8"},
    ),
    (
        track_calls.TrackPublishRTPStats(*IDS, TrackID("TR_1"), "video/vp8", 2, RTPStats(firs=3)),
        Kind.TRACK_PUBLISH_STATS,
        {
            **OF_ROOM,
            "track_id": "TR_1",
            "mime": "video/vp8",
            "video_layer": 2,
            "rtp_stats": RTPStats(firs=3),
        },
    ),
    (
        track_calls.TrackSubscribeRTPStats(*IDS, TrackID("TR_1"), "audio/red", RTPStats(firs=3)),
        Kind.TRACK_SUBSCRIBE_STATS,
        {**OF_ROOM, "track_id": "TR_1", "mime": "audio/red", "rtp_stats": RTPStats(firs=3)},
    ),
    (calls.EgressStarted(EGRESS), Kind.EGRESS_STARTED, OF_EGRESS),
    (calls.EgressUpdated(EGRESS), Kind.EGRESS_UPDATED, OF_EGRESS),
    (calls.EgressEnded(EGRESS), Kind.EGRESS_ENDED, OF_EGRESS),
    (calls.IngressCreated(INGRESS), Kind.INGRESS_CREATED, OF_INGRESS),
    (calls.IngressDeleted(INGRESS), Kind.INGRESS_DELETED, OF_INGRESS),
    (calls.IngressStarted(INGRESS), Kind.INGRESS_STARTED, OF_INGRESS),
    (calls.IngressUpdated(INGRESS), Kind.INGRESS_UPDATED, OF_INGRESS),
    (calls.IngressEnded(INGRESS), Kind.INGRESS_ENDED, OF_INGRESS),
    (
        calls.Report(ReportInfo(feature_usage=FeatureUsageInfo(room_id="RM_1"))),
        Kind.REPORT,
        {"report": ReportInfo(feature_usage=FeatureUsageInfo(room_id="RM_1"))},
    ),
    (
        calls.APICall(APICallInfo(service="RoomService")),
        Kind.API_CALL,
        {"api_call": APICallInfo(service="RoomService")},
    ),
    (
        calls.Webhook(WebhookInfo(event_id="EV_1")),
        Kind.WEBHOOK,
        {"webhook": WebhookInfo(event_id="EV_1")},
    ),
]


@pytest.mark.parametrize(
    ("call", "kind", "fields"), TABLE, ids=[type(call).__name__ for call, _, _ in TABLE]
)
def test_a_call_causes_exactly_this_event(
    call: Call, kind: int, fields: dict[str, object]
) -> None:
    expected = AnalyticsEvent(type=kind, timestamp=NOW, **fields)  # type: ignore[arg-type]

    assert event_of(call, AT_NS) == expected


def test_the_table_is_complete() -> None:
    assert {type(call) for call, _, _ in TABLE} | {calls.RoomStarted} == set(BUILDERS)


def test_calls_that_cause_no_event_of_their_own_have_no_builder() -> None:
    assert set(CALLS) - set(BUILDERS) == {
        calls.TrackStats,
        calls.ParticipantLeft,  # it depends on whether the participant was connected
        calls.NotifyEgressEvent,
        calls.LocalRoomState,
        calls.FlushStats,
        calls.SendStats,
        calls.SendEvent,
    }


@pytest.mark.parametrize("created", [0, -5, 1_600_000_000, 2**40])
def test_room_created_carries_the_rooms_own_time_and_no_room_id(created: int) -> None:
    room = Room(sid="RM_1", creation_time=created)

    event = event_of(calls.RoomStarted(room), AT_NS)

    assert event == AnalyticsEvent(timestamp=Timestamp(seconds=created), room=room)
    assert event.type == Kind.ROOM_CREATED
    assert event.HasField("timestamp")


@pytest.mark.parametrize(
    ("was_connected", "kind"),
    [(True, Kind.PARTICIPANT_LEFT), (False, Kind.PARTICIPANT_CONNECTION_ABORTED)],
)
def test_leaving_without_having_been_connected_is_an_abort(
    *, was_connected: bool, kind: int
) -> None:
    call = calls.ParticipantLeft(ROOM, ALICE, True, None)

    event = participant_left(call, AT_NS, was_connected=was_connected)

    assert event == AnalyticsEvent(type=kind, timestamp=NOW, **OF_PARTICIPANT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "absent"),
    [
        (calls.ParticipantJoined(ROOM, ALICE, None, None, True, None), "client_info"),
        (calls.ParticipantJoined(ROOM, ALICE, None, None, True, None), "client_meta"),
        (calls.ParticipantActive(ROOM, ALICE, None, True, None), "client_meta"),
        (track_calls.TrackMuted(*IDS, None), "track"),
        (track_calls.TrackSubscribed(*IDS, TRACK, None, True), "publisher"),
        (track_calls.TrackPublishRTPStats(*IDS, TrackID("TR_1"), "", 0, None), "rtp_stats"),
        (track_calls.TrackPublishRTPStats(*IDS, TrackID("TR_1"), "", 0, None), "participant"),
        (calls.Report(None), "report"),
        (calls.APICall(None), "api_call"),
        (calls.Webhook(None), "webhook"),
    ],
)
def test_what_the_call_does_not_have_is_absent_and_not_empty(call: Call, absent: str) -> None:
    assert not event_of(call, AT_NS).HasField(absent)


def test_a_track_that_is_not_known_leaves_the_track_id_empty() -> None:
    assert event_of(track_calls.TrackMuted(*IDS, None), AT_NS).track_id == ""


def test_why_and_where_a_participant_resumed_is_all_that_its_client_meta_says() -> None:
    call = calls.ParticipantResumed(
        ROOM, ALICE, NodeID("ND_1"), ReconnectReason.RR_PUBLISHER_FAILED
    )

    meta = event_of(call, AT_NS).client_meta

    assert meta == AnalyticsClientMeta(
        node="ND_1", reconnect_reason=ReconnectReason.RR_PUBLISHER_FAILED
    )


@pytest.mark.parametrize("kind", BUILDERS, ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_any_call_gives_an_event_that_shares_nothing_with_it(
    kind: type[Call], data: st.DataObject
) -> None:
    call = data.draw(messages(kind))
    before = [snapshot(value) for value in fields_of(call)]

    event = event_of(call, AT_NS)
    for field, value in event.ListFields():
        if field.message_type is not None:
            value.Clear()

    assert [snapshot(value) for value in fields_of(call)] == before


def fields_of(call: Call) -> list[object]:
    return [getattr(call, name) for name in type(call).__annotations__]


def snapshot(value: object) -> object:
    return value.SerializeToString() if isinstance(value, Message) else value


def test_a_call_without_an_event_is_refused() -> None:
    with pytest.raises(KeyError):
        event_of(calls.FlushStats(), AT_NS)


def test_builders_take_a_call_and_a_time() -> None:
    builder: Callable[..., AnalyticsEvent] = BUILDERS[calls.RoomEnded]

    assert builder is analytics_events.room_ended
