from __future__ import annotations

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from greenroom.actors._base import Configure
from greenroom.actors.recorder import Recorder
from greenroom.config import Settings
from greenroom.messages.control import ChildFailed, Restart
from greenroom.messages.outputs import RecordEvent, RecordNodeRooms, RecordStats
from greenroom.testing.harness import ActorHarness


def started() -> ActorHarness[Recorder]:
    recorder = ActorHarness(Recorder)
    assert recorder.tell(Configure(Settings(), recorder.ports)) == []
    return recorder


def test_everything_goes_to_the_analytics_service_in_the_order_in_which_it_came() -> None:
    recorder = started()

    recorder.tell(RecordEvent(AnalyticsEvent(room_id="RM_1")))
    recorder.tell(RecordStats((AnalyticsStat(mime="a"), AnalyticsStat(mime="b"))))
    recorder.tell(RecordNodeRooms(AnalyticsNodeRooms(node_id="ND_1")))
    recorder.tell(RecordEvent(AnalyticsEvent(room_id="RM_2")))

    assert recorder.analytics.sends == [
        ("send_event", AnalyticsEvent(room_id="RM_1")),
        ("send_stats", (AnalyticsStat(mime="a"), AnalyticsStat(mime="b"))),
        ("send_node_room_states", AnalyticsNodeRooms(node_id="ND_1")),
        ("send_event", AnalyticsEvent(room_id="RM_2")),
    ]


def test_node_rooms_that_are_absent_are_passed_on_as_absent() -> None:
    recorder = started()

    recorder.tell(RecordNodeRooms(None))

    assert recorder.analytics.node_rooms == [None]


def test_a_port_that_raises_is_reported_and_the_next_one_is_still_served() -> None:
    recorder = started()

    ((target, failure),) = recorder.tell(RecordStats(None))  # type: ignore[arg-type]  # to fail
    recorder.tell(RecordEvent(AnalyticsEvent(room_id="RM_1")))
    recorder.tell(Restart())

    assert target is recorder.parent
    assert isinstance(failure, ChildFailed)
    assert failure.letter.message == "RecordStats"
    assert recorder.analytics.events == [AnalyticsEvent(room_id="RM_1")]
