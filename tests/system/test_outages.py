"""An endpoint that is down for days, on the virtual clock."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from aiohttp import web

from greenroom.testing.webhook_course import Course
from greenroom.testing.webhook_site import DOWN, OK, Reply, WebhookSite

HOUR: Final = 3600.0
ROOMS: Final = tuple(f"room {number}" for number in range(20))
EVENTS: Final = 8  # of each room, over the whole outage


def down_until(course: Course, hours: float) -> WebhookSite:
    """A site that answers 503 until then."""

    def script(request: web.Request) -> Reply:
        return DOWN if course.elapsed() < hours * HOUR else OK

    return course.site(script)


def sequences(site: WebhookSite) -> dict[str, list[int | None]]:
    return {key: [one.sequence for one in each] for key, each in site.by_key().items()}


def test_after_an_outage_of_74_hours_everything_arrives_in_order_within_minutes(
    course: Course,
) -> None:
    dead, alive = down_until(course, 74.0), course.site()
    course.start(dead, alive)
    for _ in range(EVENTS):
        course.send(*ROOMS)
        course.pass_time(73.0 * HOUR / EVENTS)
    course.pass_time(74.0 * HOUR - course.elapsed())
    attempts = len(dead.visits)
    assert not dead.accepted

    course.pass_time(6 * 60.0)

    assert len(dead.accepted) == EVENTS * len(ROOMS)
    assert dead.ids_by_key() == alive.ids_by_key()
    assert set(map(tuple, sequences(dead).values())) == {tuple(range(1, EVENTS + 1))}
    assert not any(one.is_duplicate or one.gap for one in dead.accepted)
    assert not dead.problems
    # a probe every 5 minutes at most, beside those that opened the breaker
    assert attempts <= 74 * 12 + 60
