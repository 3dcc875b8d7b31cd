from __future__ import annotations

from typing import Final

import pytest
from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsNodeRooms,
    AnalyticsStat,
)
from livekit.protocol.analytics import AnalyticsEventType as Kind
from livekit.protocol.egress import EgressInfo, WebEgressRequest
from livekit.protocol.models import TrackInfo, TrackType, WebhookConfig

from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.core.ids import derive_id
from greenroom.messages import calls, track_calls
from greenroom.messages.ids import (
    ParticipantID,
    ParticipantIdentity,
)
from greenroom.messages.outputs import Notify, RecordEvent, RecordNodeRooms, RecordStats
from greenroom.testing.harness import ActorHarness, Sent
from greenroom.testing.samples import (
    ALICE,
    ROOM_ID,
    ROOM_NAME,
    active,
    joined,
    left,
    room,
)

AT_NS: Final = 1_700_000_000_500_000_000
IDS: Final = (ROOM_ID, ROOM_NAME, ParticipantID(ALICE))
TRACK: Final = TrackInfo(sid="TR_1", type=TrackType.VIDEO)


def started(settings: Settings | None = None) -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    supervisor.tell(ConfigureSupervisor(settings or Settings(), supervisor.ports))
    return supervisor


def kinds(sent: list[Sent]) -> list[str]:
    """What was sent, in a word each: webhooks and events by name."""
    names = []
    for _, message in sent:
        if isinstance(message, Notify):
            names.append(message.event.event)
        elif isinstance(message, RecordEvent):
            names.append(Kind.Name(message.event.type))
        else:
            names.append(type(message).__name__)
    return names


# ── what leaves, and in which order ─────────────────────────────────────────────────────────


def test_a_webhook_leaves_before_the_event_of_the_same_call() -> None:
    supervisor = started()

    sent = supervisor.enter(calls.RoomStarted(room()))

    assert kinds(sent) == ["room_started", "ROOM_CREATED"]
    assert [target for target, _ in sent] == [
        supervisor.child(Notifier),
        supervisor.child(Recorder),
    ]


def test_a_webhook_has_an_id_that_its_stamp_gives_and_the_second_of_the_call() -> None:
    supervisor = started(Settings(node_id="ND_9", shard=2))
    supervisor.enter(calls.FlushStats())

    (_, notify), _ = supervisor.enter(calls.RoomStarted(room()))

    assert isinstance(notify, Notify)
    assert notify.event.id == derive_id("EV_", "ND_9", 2, 2, AT_NS)
    assert notify.event.created_at == 1_700_000_000
    assert notify.at_ns == AT_NS
    assert notify.extra_webhooks == ()


def test_after_a_restart_the_first_webhook_has_another_id() -> None:
    first, second = started(), started()
    second.at_ns += 1

    ids = []
    for supervisor in (first, second):
        (_, notify), _ = supervisor.enter(calls.RoomStarted(room()))
        assert isinstance(notify, Notify)
        ids.append(notify.event.id)

    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([active()], ["Close", "participant_left", "PARTICIPANT_LEFT"]),
        (
            [joined()],
            ["Close", "participant_connection_aborted", "PARTICIPANT_CONNECTION_ABORTED"],
        ),
        ([], ["participant_connection_aborted", "PARTICIPANT_CONNECTION_ABORTED"]),
        ([active(), left()], ["participant_left", "PARTICIPANT_LEFT"]),
    ],
    ids=["connected", "never connected", "unknown", "closed but connected"],
)
def test_how_a_participant_left_depends_on_whether_it_was_connected(
    before: list[calls.Call], expected: list[str]
) -> None:
    supervisor = started()
    for call in before:
        supervisor.enter(call)

    assert kinds(supervisor.enter(left())) == expected


def test_a_new_incarnation_inherits_that_it_was_connected() -> None:
    supervisor = started()
    supervisor.enter(active())
    supervisor.enter(left())
    supervisor.enter(joined(guard=2))

    assert kinds(supervisor.enter(left(guard=2))) == [
        "Close",
        "participant_left",
        "PARTICIPANT_LEFT",
    ]


def test_leaving_quietly_closes_and_says_nothing() -> None:
    supervisor = started()
    supervisor.enter(active())

    assert kinds(supervisor.enter(left(announce=False))) == ["Close"]


def test_a_join_is_announced_only_if_asked_for_and_never_as_a_webhook() -> None:
    supervisor = started()

    assert kinds(supervisor.enter(joined(announce=False))) == ["ConfigureWorker"]
    assert kinds(supervisor.enter(joined(announce=True))) == ["PARTICIPANT_JOINED"]


def test_a_participant_counts_as_joined_when_it_is_active() -> None:
    supervisor = started()

    assert kinds(supervisor.enter(active())) == [
        "participant_joined",
        "ConfigureWorker",
        "PARTICIPANT_ACTIVE",
    ]


def test_a_migrated_participant_has_joined_before() -> None:
    supervisor = started()
    migrated = active(is_migration=True)

    assert kinds(supervisor.enter(migrated)) == ["ConfigureWorker", "PARTICIPANT_ACTIVE"]
    assert kinds(supervisor.enter(left()))[1:] == ["participant_left", "PARTICIPANT_LEFT"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (track_calls.TrackPublished(*IDS, ParticipantIdentity("a"), TRACK, True), 2),
        (track_calls.TrackPublished(*IDS, ParticipantIdentity("a"), TRACK, False), 0),
        (track_calls.TrackUnpublished(*IDS, ParticipantIdentity("a"), TRACK, True), 2),
        (track_calls.TrackUnpublished(*IDS, ParticipantIdentity("a"), TRACK, False), 0),
        (track_calls.TrackSubscribed(*IDS, TRACK, None, True), 1),
        (track_calls.TrackSubscribed(*IDS, TRACK, None, False), 0),
        (track_calls.TrackUnsubscribed(*IDS, TRACK, True), 1),
        (track_calls.TrackUnsubscribed(*IDS, TRACK, False), 0),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else type(value).__name__,
)
def test_a_track_call_that_is_not_to_be_announced_only_counts(
    call: calls.Call, expected: int
) -> None:
    supervisor = started()

    assert len(supervisor.enter(call)) == expected
    assert any("track" in name for name in supervisor.counted())


def test_an_egress_may_bring_webhooks_of_its_own() -> None:
    supervisor = started()
    hook = WebhookConfig(url="https://a.example")
    info = EgressInfo(egress_id="EG_1", web=WebEgressRequest(webhooks=[hook]))

    (_, started_), _ = supervisor.enter(calls.EgressStarted(info))
    ((_, named),) = supervisor.enter(calls.NotifyEgressEvent("egress_paused", info))

    assert isinstance(started_, Notify)
    assert isinstance(named, Notify)
    assert started_.extra_webhooks == named.extra_webhooks == (hook,)
    assert named.event.event == "egress_paused"


def key(position: int) -> str:
    """Of the output of the input at this position."""
    return f"{position}/{AT_NS}"


def test_what_is_for_the_analytics_service_is_passed_on_as_it_is() -> None:
    supervisor = started()
    recorder = supervisor.child(Recorder)
    rooms, stat, event = AnalyticsNodeRooms(), AnalyticsStat(), AnalyticsEvent()

    assert supervisor.enter(calls.LocalRoomState(rooms)) == [
        Sent(recorder, RecordNodeRooms(rooms, key(1)))
    ]
    assert supervisor.enter(calls.LocalRoomState(None)) == [
        Sent(recorder, RecordNodeRooms(None, key(2)))
    ]
    assert supervisor.enter(calls.SendStats((stat,))) == [
        Sent(recorder, RecordStats((stat,), key(3)))
    ]
    assert supervisor.enter(calls.SendEvent(event)) == [Sent(recorder, RecordEvent(event, key(4)))]


def test_the_fate_of_a_webhook_becomes_an_event() -> None:
    supervisor = started()

    assert kinds(supervisor.enter(calls.Webhook(None))) == ["WEBHOOK"]
