from __future__ import annotations

import logging

import pytest
from livekit.protocol.analytics import AnalyticsEvent
from livekit.protocol.models import Room

import greenroom
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.loopback import unused_port

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
