from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol.models import Room

import greenroom
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.loopback import HttpReceiver

SECRET = "s" * 32


@pytest.mark.parametrize(("settings", "requests"), [({}, 0), ({"allow_private": True}, 1)])
def test_a_webhook_reaches_this_machine_only_when_that_is_allowed(
    receiver: HttpReceiver, settings: dict[str, Any], requests: int
) -> None:
    analytics = RecordingAnalytics()
    webhook = greenroom.WebhookSettings(
        urls=(receiver.url(),), api_key="key", keys={"key": SECRET}, **settings
    )

    with greenroom.start(webhook=webhook, analytics=analytics) as telemetry:
        telemetry.room_started(Room(name="garden"))

    (record,) = [event.webhook for event in analytics.events if event.HasField("webhook")]
    assert len(receiver.received) == requests
    assert ("loopback address refused" in record.send_error) == (requests == 0)
