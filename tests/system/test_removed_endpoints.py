"""An endpoint is removed while webhooks wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from livekit.protocol.models import Room

from greenroom.cli.app import run
from greenroom.core.series import flatten
from greenroom.system import Telemetry
from greenroom.testing.loopback import HttpReceiver, respond
from greenroom.testing.patience import wait_until
from greenroom.testing.settling import settle
from greenroom.testing.webhook_course import Course
from greenroom.testing.webhook_site import DOWN

from .rooms import Start, delivered

ROOMS: Final = ("lobby", "lobby", "lobby", "attic")
DROPPED: Final = 'livekit_webhook_dispatch_total{reason="endpoint removed",status="drop"}'


def dropped(telemetry: Telemetry) -> float:
    return float(flatten(telemetry.metrics.snapshot(), {}).get(DROPPED, 0.0))


def series_of(telemetry: Telemetry, endpoint_id: str) -> list[str]:
    return [one for one in flatten(telemetry.metrics.snapshot(), {}) if endpoint_id in one]


def test_what_waits_for_a_removed_endpoint_is_dropped_and_counted(course: Course) -> None:
    site, other = course.site(lambda _: DOWN), course.site()
    telemetry = course.start(other)
    added = telemetry.webhooks.add(site.url, allow_private=True)
    course.send(*ROOMS)
    visits = len(site.visits)
    assert visits == 2

    telemetry.webhooks.remove(added.id)
    course.pass_time(80 * 3_600.0)

    assert dropped(telemetry) == len(ROOMS)
    assert not series_of(telemetry, added.id)
    assert len(site.visits) == visits
    assert len(other.accepted) == len(ROOMS)


@pytest.mark.parametrize("who", ["telemetry", "command"])
def test_in_a_data_directory_it_is_dead_with_the_reason_and_no_backlog(
    receiver: HttpReceiver, start: Start, tmp_path: Path, who: str
) -> None:
    receiver.handler = respond(503)
    telemetry = start()
    added = telemetry.webhooks.add(receiver.url(), allow_private=True)
    delivered(telemetry, *ROOMS)

    if who == "telemetry":
        telemetry.webhooks.remove(added.id)
    else:
        remove = ["webhooks", "remove", added.id, "--data-dir", str(tmp_path)]
        assert run(remove) == 0

    wait_until(lambda: len(telemetry.webhooks.deliveries(state="dead")) == len(ROOMS))
    settle(telemetry)
    dead = telemetry.webhooks.deliveries(state="dead")
    assert {(one.endpoint, one.error) for one in dead} == {(added.id, "endpoint removed")}
    assert [one.attempts for one in dead] == [1, 0, 0, 1]
    assert dropped(telemetry) == len(ROOMS)
    assert not series_of(telemetry, added.id)
    assert not any(one.count for one in telemetry.webhooks.counts() if one.state == "pending")
    assert telemetry.webhooks.replay(*(one.id for one in dead)) == 0


def test_the_next_greenroom_buries_what_was_removed_without_one(
    receiver: HttpReceiver, start: Start, tmp_path: Path
) -> None:
    receiver.handler = respond(503)
    telemetry = start()
    added = telemetry.webhooks.add(receiver.url(), allow_private=True)
    delivered(telemetry, *ROOMS)
    assert telemetry.close()
    assert run(["webhooks", "remove", added.id, "--data-dir", str(tmp_path)]) == 0

    telemetry = start()
    telemetry.room_started(Room(name="lobby"))
    settle(telemetry)

    assert len(telemetry.webhooks.deliveries(state="dead")) == len(ROOMS)
    assert dropped(telemetry) == len(ROOMS)
    assert len(receiver.received) == 2
