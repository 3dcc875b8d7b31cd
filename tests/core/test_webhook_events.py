from __future__ import annotations

from typing import Final

import pytest
from livekit.protocol.egress import (
    EgressInfo,
    ParticipantEgressRequest,
    RoomCompositeEgressRequest,
    TrackCompositeEgressRequest,
    TrackEgressRequest,
    WebEgressRequest,
)
from livekit.protocol.ingress import IngressInfo
from livekit.protocol.models import ParticipantInfo, Room, TrackInfo, WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from greenroom.core.webhook_events import (
    BUILDERS,
    EVENT_NAMES,
    extra_webhooks,
    participant_left,
    webhook_of,
)
from greenroom.messages import calls, track_calls
from greenroom.messages.calls import CALLS, Call
from greenroom.messages.ids import ParticipantID, ParticipantIdentity, RoomID, RoomName

ROOM: Final = Room(sid="RM_1", name="lobby", metadata="m")
ALICE: Final = ParticipantInfo(sid="PA_1", identity="alice", metadata="m")
TRACK: Final = TrackInfo(sid="TR_1")
EGRESS: Final = EgressInfo(egress_id="EG_1")
INGRESS: Final = IngressInfo(ingress_id="IN_1")
IDS: Final = (
    RoomID("RM_1"),
    RoomName("lobby"),
    ParticipantID("PA_1"),
    ParticipantIdentity("alice"),
)
OF_TRACK: Final = WebhookEvent(
    room=Room(sid="RM_1", name="lobby"),
    participant=ParticipantInfo(sid="PA_1", identity="alice"),
    track=TRACK,
)
HOOKS: Final = [WebhookConfig(url="https://a.example", signing_key="key")]

TABLE: Final[list[tuple[Call, str, WebhookEvent]]] = [
    (calls.RoomStarted(ROOM), "room_started", WebhookEvent(room=ROOM)),
    (calls.RoomEnded(ROOM), "room_finished", WebhookEvent(room=ROOM)),
    (
        calls.ParticipantActive(ROOM, ALICE, None, False, None),
        "participant_joined",
        WebhookEvent(room=ROOM, participant=ALICE),
    ),
    (track_calls.TrackPublished(*IDS, TRACK, True), "track_published", OF_TRACK),
    (track_calls.TrackUnpublished(*IDS, TRACK, True), "track_unpublished", OF_TRACK),
    (calls.EgressStarted(EGRESS), "egress_started", WebhookEvent(egress_info=EGRESS)),
    (calls.EgressUpdated(EGRESS), "egress_updated", WebhookEvent(egress_info=EGRESS)),
    (calls.EgressEnded(EGRESS), "egress_ended", WebhookEvent(egress_info=EGRESS)),
    (calls.NotifyEgressEvent("mine", EGRESS), "mine", WebhookEvent(egress_info=EGRESS)),
    (calls.IngressStarted(INGRESS), "ingress_started", WebhookEvent(ingress_info=INGRESS)),
    (calls.IngressEnded(INGRESS), "ingress_ended", WebhookEvent(ingress_info=INGRESS)),
]


@pytest.mark.parametrize(
    ("call", "name", "rest"), TABLE, ids=[type(call).__name__ for call, _, _ in TABLE]
)
def test_a_call_causes_exactly_this_webhook_without_id_and_time(
    call: Call, name: str, rest: WebhookEvent
) -> None:
    expected = WebhookEvent(event=name)
    expected.MergeFrom(rest)

    assert webhook_of(call) == expected


def test_the_table_is_complete() -> None:
    assert {type(call) for call, _, _ in TABLE} == set(BUILDERS)


def test_livekits_events_are_those_that_calls_cause_whose_name_is_not_free() -> None:
    left = {"participant_left", "participant_connection_aborted"}
    names = {name for call, name, _ in TABLE if not isinstance(call, calls.NotifyEgressEvent)}

    assert set(EVENT_NAMES) == names | left


def test_calls_that_cause_no_webhook_have_no_builder() -> None:
    silent = {kind.__name__ for kind in set(CALLS) - set(BUILDERS)}

    assert {"ParticipantJoined", "ParticipantResumed", "TrackSubscribed", "TrackMuted"} <= silent
    assert {"IngressCreated", "IngressDeleted", "IngressUpdated"} <= silent
    with pytest.raises(KeyError):
        webhook_of(calls.FlushStats())


@pytest.mark.parametrize(
    ("was_connected", "name"),
    [(True, "participant_left"), (False, "participant_connection_aborted")],
)
def test_leaving_without_having_been_connected_is_an_abort(
    *, was_connected: bool, name: str
) -> None:
    call = calls.ParticipantLeft(ROOM, ALICE, True, None)

    webhook = participant_left(call, was_connected=was_connected)

    assert webhook == WebhookEvent(event=name, room=ROOM, participant=ALICE)


def test_a_webhook_shares_nothing_with_its_call() -> None:
    call = calls.RoomStarted(Room(name="lobby"))

    webhook_of(call).room.name = "attic"

    assert call.room.name == "lobby"


@pytest.mark.parametrize(
    "info",
    [
        EgressInfo(room_composite=RoomCompositeEgressRequest(webhooks=HOOKS)),
        EgressInfo(web=WebEgressRequest(webhooks=HOOKS)),
        EgressInfo(participant=ParticipantEgressRequest(webhooks=HOOKS)),
        EgressInfo(track_composite=TrackCompositeEgressRequest(webhooks=HOOKS)),
        EgressInfo(track=TrackEgressRequest(webhooks=HOOKS)),
    ],
    ids=lambda info: info.WhichOneof("request"),
)
def test_any_kind_of_egress_request_may_name_webhooks_of_its_own(info: EgressInfo) -> None:
    assert extra_webhooks(info) == tuple(HOOKS)


def test_an_egress_event_may_be_about_no_egress() -> None:
    assert webhook_of(calls.NotifyEgressEvent("mine", None)) == WebhookEvent(event="mine")


def test_an_egress_without_a_request_names_none() -> None:
    assert extra_webhooks(None) == ()
    assert extra_webhooks(EgressInfo()) == ()
    assert extra_webhooks(EgressInfo(web=WebEgressRequest())) == ()


def test_every_kind_of_request_can_be_asked_for_its_webhooks() -> None:
    for field in EgressInfo.DESCRIPTOR.oneofs_by_name["request"].fields:
        info = EgressInfo()
        getattr(info, field.name).SetInParent()

        assert extra_webhooks(info) == ()
