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


def test_events_older_than_75_hours_are_dead_and_later_ones_arrive(course: Course) -> None:
    site = down_until(course, 90.0)
    course.start(site)
    course.send(*ROOMS[:5])
    course.pass_time(20.0 * HOUR)
    course.send(*ROOMS[:5])
    course.pass_time(70.0 * HOUR)
    assert course.metrics(site)['dead_total{,reason="exhausted"}'] == 5

    course.pass_time(6 * 60.0)

    assert sequences(site) == {room: [2] for room in ROOMS[:5]}
    assert {one.gap for one in site.accepted} == {range(1, 2)}
    assert course.metrics(site)["pending"] == 0


def test_what_died_in_an_outage_can_be_replayed_and_fills_the_gap(durable_course: Course) -> None:
    course = durable_course
    site = down_until(course, 90.0)
    course.start(site)
    course.send("a", "b")
    course.pass_time(20.0 * HOUR)
    course.send("a", "b")
    course.pass_time(71.0 * HOUR)
    assert [(one.key, one.sequence) for one in course.dead()] == [("a", 1), ("b", 1)]
    assert set(site.judge.missing().values()) == {(range(1, 2),)}

    course.replay(*(one.id for one in course.dead()))

    assert sequences(site) == {"a": [2, 1], "b": [2, 1]}
    assert all(each[1].fills_gap for each in site.by_key().values())
    assert not site.judge.missing()
    assert not course.dead()


def test_a_replayed_webhook_has_its_whole_time_again(durable_course: Course) -> None:
    course = durable_course
    site = down_until(course, 100.0)
    course.start(site, policy="livekit")
    course.send("a")
    course.pass_time(99.999 * HOUR)

    course.replay(*(one.id for one in course.dead()))
    course.pass_time(10.0)

    assert sequences(site) == {"a": [1]}


def test_of_two_endpoints_one_that_is_dead_costs_the_other_nothing(course: Course) -> None:
    dead, alive = course.site(), course.site()
    course.start(dead, alive)
    dead.close()

    for _ in range(30):
        course.send(*ROOMS)
        course.pass_time(60.0)

    assert len(alive.accepted) == 30 * len(ROOMS)
    assert {round(seconds) % 60 for seconds in alive.seconds()} == {0}
    assert course.metrics(alive)['attempts_total{,outcome="2xx"}'] == 30 * len(ROOMS)
    assert course.metrics(dead)["pending"] == 30 * len(ROOMS)
    assert course.metrics(dead)["oldest_seconds"] == 30 * 60.0


def test_a_restart_in_a_back_off_goes_on_with_the_schedule(durable_course: Course) -> None:
    course = durable_course
    site, undisturbed = course.site(lambda _: DOWN), course.site(lambda _: DOWN)
    course.start(site, undisturbed)
    course.send("a")
    for _ in range(20):
        course.pass_time(60.0)
        course.restart()

    course.pass_time(0.0)

    waits = [after - before for before, after in pairwise(site.seconds())]
    assert len(waits) == 7
    for number, wait in enumerate(waits):
        assert 5.0 * 2**number <= wait <= 5.0 * 2**number * 1.1 + 0.001
    assert [one.webhook_id for one in site.visits] == [site.visits[0].webhook_id] * 8


def test_events_that_wait_at_a_restart_are_delivered_after_it_in_order(
    durable_course: Course,
) -> None:
    course = durable_course
    site = down_until(course, 10.0)
    course.start(site)
    for hour in range(10):
        course.send("a", "b")
        course.pass_time(HOUR / 2 if hour % 2 else 1.5 * HOUR)
        course.restart()

    course.pass_time(9.0 * HOUR)

    assert sequences(site) == {key: list(range(1, 11)) for key in ("a", "b")}
    assert not any(one.gap or one.is_duplicate for one in site.accepted)
