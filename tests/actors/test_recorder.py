from __future__ import annotations

from dataclasses import replace
from typing import Any

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from greenroom.actors._base import Configure
from greenroom.actors.recorder import Recorder
from greenroom.config import Settings
from greenroom.messages.control import ChildFailed, Restart
from greenroom.messages.outputs import RecordEvent, RecordNodeRooms, RecordStats
from greenroom.testing.fakes import RecordingOutputs
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


# ── with a store ────────────────────────────────────────────────────────────────────────────


def stored(**settings: Any) -> tuple[ActorHarness[Recorder], RecordingOutputs]:
    recorder, outputs = ActorHarness(Recorder), RecordingOutputs()
    recorder.tell(Configure(Settings(**settings), replace(recorder.ports, outputs=outputs)))
    return recorder, outputs


def record_some(**settings: Any) -> RecordingOutputs:
    recorder, outputs = stored(**settings)
    recorder.tell(RecordStats((AnalyticsStat(mime="a"), AnalyticsStat(mime="b")), "worker 1/2/3"))
    recorder.tell(RecordEvent(AnalyticsEvent(room_id="RM_1"), "event 4"))
    recorder.tell(RecordNodeRooms(AnalyticsNodeRooms(node_id="ND_1"), "rooms 5"))
    recorder.tell(RecordNodeRooms(None, "rooms 6"))
    assert recorder.analytics.sends == [], "it gets them from the store"
    return outputs


def ids(outputs: RecordingOutputs) -> list[str]:
    """Of the statistics and the event that `record_some` records."""
    (_, _, stats), (_, _, event), *_ = outputs.taken
    assert isinstance(stats, tuple)
    assert isinstance(event, AnalyticsEvent)
    return [*(stat.id for stat in stats), event.id]


def test_with_a_store_everything_goes_there_in_order_with_its_key() -> None:
    outputs = record_some()

    first, second, third = ids(outputs)
    assert outputs.taken == [
        (
            "worker 1/2/3",
            "stats",
            (AnalyticsStat(mime="a", id=first), AnalyticsStat(mime="b", id=second)),
        ),
        ("event 4", "event", AnalyticsEvent(room_id="RM_1", id=third)),
        ("rooms 5", "node_rooms", AnalyticsNodeRooms(node_id="ND_1")),
        ("rooms 6", "node_rooms", None),
    ]


def test_the_same_output_has_the_same_id_in_every_life_and_no_other_has_it() -> None:
    found = ids(record_some(node_id="ND_a"))

    assert ids(record_some(node_id="ND_a")) == found
    assert len({*found, *ids(record_some(node_id="ND_b"))}) == 6
    assert [one[:3] for one in found] == ["AS_", "AS_", "AE_"]
