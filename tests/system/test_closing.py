from __future__ import annotations

import logging
from typing import ClassVar

import pytest
from livekit.protocol.analytics import AnalyticsEvent
from livekit.protocol.models import Room

import greenroom
from greenroom.actors._base import ActorAddress, told
from greenroom.actors.children import ChildClasses
from greenroom.actors.stats_worker import StatsWorker
from greenroom.messages.stats import TrackStat
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.loopback import unused_port
from greenroom.testing.samples import ROOM_ID, ROOM_NAME, key, participant, room, stat

SECRET = "secret-0123456789abcdef0123456789abcdef"


def test_webhooks_that_were_not_delivered_make_close_false_and_are_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = f"http://127.0.0.1:{unused_port()}/"
    webhook = greenroom.WebhookSettings(
        urls=(url,), api_key="key", keys={"key": SECRET}, allow_private=True
    )
    telemetry = greenroom.start(webhook=webhook)
    for number in range(3):
        telemetry.room_started(Room(name=str(number)))

    with caplog.at_level(logging.WARNING, logger="greenroom"):
        complete = telemetry.close()

    assert not complete
    assert telemetry.metrics.lost() == 3
    assert "lost at close(): 3" in caplog.text


class Exits(RecordingAnalytics):
    """Raises what ends a thread, once."""

    def send_event(self, event: AnalyticsEvent) -> None:
        if not self.events:
            super().send_event(event)
            raise SystemExit(1)
        super().send_event(event)


def test_an_analytics_service_that_wants_to_exit_stops_nothing() -> None:
    service = Exits()

    with greenroom.start(analytics=service) as telemetry:
        telemetry.room_started(Room(name="one"))
        telemetry.room_started(Room(name="two"))

    assert [event.room.name for event in service.events] == ["one", "two"]


class Waits(RecordingAnalytics):
    """Waits for the telemetry that calls it."""

    telemetry: greenroom.Telemetry
    refused = 0

    def send_event(self, event: AnalyticsEvent) -> None:
        for wait in (self.telemetry.sync, self.telemetry.close):
            try:
                wait()
            except greenroom.LifecycleError:
                self.refused += 1


def test_an_analytics_service_cannot_wait_for_the_telemetry_that_calls_it() -> None:
    service = Waits()
    service.telemetry = greenroom.start(analytics=service)

    service.telemetry.room_started(Room(name="one"))

    assert service.telemetry.close()
    assert service.refused == 2


class ClosingWorker(StatsWorker):
    """Closes the telemetry that it is part of."""

    telemetry: ClassVar[greenroom.Telemetry]
    refusals: ClassVar[list[str]]

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        try:
            self.telemetry.close()
        except greenroom.LifecycleError as error:
            self.refusals.append(str(error))
        super().on_track_stat(sample, sender)


def test_a_close_by_an_actor_is_refused_and_closes_nothing() -> None:
    analytics = RecordingAnalytics()
    telemetry = greenroom.start(analytics=analytics, children=ChildClasses(worker=ClosingWorker))
    ClosingWorker.telemetry, ClosingWorker.refusals = telemetry, []
    telemetry.participant_joined(room(), participant(), None, None, False, None)
    telemetry.track_stats(ROOM_ID, ROOM_NAME, key(), stat(3))

    assert telemetry.sync()
    assert telemetry.close()
    assert ClosingWorker.refusals == ["nobody can wait for the telemetry that calls him"]
    assert [each.streams[0].primary_packets for each in analytics.stats] == [3]


@pytest.mark.parametrize("timeout", [1e300, float("inf")])
def test_a_sync_or_a_close_may_have_all_the_time_in_the_world(timeout: float) -> None:
    telemetry = greenroom.start()

    assert telemetry.sync(timeout)
    assert telemetry.close(timeout)
