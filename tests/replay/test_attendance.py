from __future__ import annotations

import pytest
from livekit.protocol.analytics import (
    AnalyticsEvent,
    AnalyticsEventType,
    AnalyticsStat,
    AnalyticsStream,
)
from livekit.protocol.models import ParticipantInfo, Room

from greenroom.replay.attendance import Attendance, Change

JOINED = AnalyticsEventType.PARTICIPANT_JOINED
LEFT = AnalyticsEventType.PARTICIPANT_LEFT
ABORTED = AnalyticsEventType.PARTICIPANT_CONNECTION_ABORTED


def event(kind: AnalyticsEventType, room: str, identity: str = "") -> AnalyticsEvent:
    if not identity:
        return AnalyticsEvent(type=kind, room=Room(sid=f"RM_{room}", name=room))
    return AnalyticsEvent(
        type=kind,
        room=Room(sid=f"RM_{room}", name=room),
        participant=ParticipantInfo(sid=f"PA_{identity}", identity=identity),
    )


def test_rooms_and_participants_come_and_go_in_order_of_arrival() -> None:
    attendance = Attendance()

    attendance.send_event(event(AnalyticsEventType.ROOM_CREATED, "b"))
    attendance.send_event(event(JOINED, "b", "bob"))
    attendance.send_event(event(JOINED, "a", "alice"))
    attendance.send_event(event(JOINED, "b", "carol"))
    assert attendance.present() == [("b", ["bob", "carol"]), ("a", ["alice"])]
    assert attendance.counts() == (2, 3)

    attendance.send_event(event(LEFT, "b", "bob"))
    assert attendance.present() == [("b", ["carol"]), ("a", ["alice"])]

    attendance.send_event(event(AnalyticsEventType.ROOM_ENDED, "b"))
    assert attendance.present() == [("a", ["alice"])]
    assert attendance.counts() == (1, 1)


def test_the_most_at_once_are_remembered() -> None:
    attendance = Attendance()

    for identity in ("x", "y"):
        attendance.send_event(event(JOINED, "a", identity))
        attendance.send_event(event(AnalyticsEventType.PARTICIPANT_ACTIVE, "a", identity))
    attendance.send_event(event(LEFT, "a", "x"))
    attendance.send_event(event(JOINED, "a", "z"))
    attendance.send_event(event(ABORTED, "a", "z"))

    totals = attendance.totals()
    assert (totals.participants, totals.participants_max, totals.aborted) == (3, 2, 1)


@pytest.mark.parametrize("kind", [LEFT, ABORTED, AnalyticsEventType.ROOM_ENDED])
def test_who_was_never_there_cannot_leave(kind: AnalyticsEventType) -> None:
    attendance = Attendance()

    attendance.send_event(event(kind, "a", "nobody"))

    assert attendance.counts() == (0, 0)


def test_each_change_is_told_in_order() -> None:
    changes: list[Change] = []
    attendance = Attendance(changes.append)

    attendance.send_event(event(AnalyticsEventType.ROOM_CREATED, "a"))
    attendance.send_event(event(JOINED, "a", "alice"))
    attendance.send_event(event(AnalyticsEventType.TRACK_PUBLISHED, "a", "alice"))
    attendance.send_event(event(LEFT, "a", "alice"))

    assert changes == [
        Change("started", "a"),
        Change("joined", "a", "alice"),
        Change("left", "a", "alice"),
    ]


def test_statistics_and_events_are_counted() -> None:
    attendance = Attendance()
    stat = AnalyticsStat(streams=[AnalyticsStream(primary_packets=40, packets_lost=3)])

    attendance.send_stats([stat, stat])
    attendance.send_stats([AnalyticsStat()])
    attendance.send_event(event(JOINED, "a", "alice"))

    totals = attendance.totals()
    assert (totals.batches, totals.stats, totals.packets, totals.packets_lost) == (2, 3, 80, 6)
    assert totals.events == {"PARTICIPANT_JOINED": 1}
