"""What the metrics say of each endpoint, on the virtual clock."""

from __future__ import annotations

import pytest
from aiohttp import web

from greenroom.testing.webhook_course import Course
from greenroom.testing.webhook_site import DOWN, OK, Reply

HOUR = 3600.0


def test_an_endpoint_without_trouble_is_shown_so(course: Course) -> None:
    site = course.site()
    course.start(site)

    course.send("a", "a", "b")

    shown = course.metrics(site)
    host = site.url.split("/")[2]
    assert shown == {
        'attempts_total{,outcome="2xx"}': 3,
        "pending": 0,
        "oldest_seconds": 0,
        "breaker": 0,
        "endpoint_enabled": 1,
        f'endpoint_info{{,host="{host}"}}': 1,
        **{name: value for name, value in shown.items() if name.startswith("delivery_seconds")},
    }
    assert shown["delivery_seconds_count"] == 3
    assert shown['delivery_seconds_bucket{,le="0.005"}'] == 3
    assert shown["delivery_seconds_sum"] == 0


def test_the_age_of_the_oldest_grows_while_nothing_moves(course: Course) -> None:
    site = course.site(lambda _: DOWN)
    course.start(site, policy="default")
    course.send("a")
    course.pass_time(100.0)
    course.send("b")

    for hours in (0.1, 1.0, 30.0):
        course.pass_time(hours * HOUR - course.elapsed())
        assert course.metrics(site)["oldest_seconds"] == pytest.approx(hours * HOUR)
        assert course.metrics(site)["pending"] == 2


def test_the_age_of_the_oldest_is_that_of_the_next_once_it_is_delivered(course: Course) -> None:
    site = course.site(lambda request: DOWN if request.headers["greenroom-key"] != "a" else OK)
    course.start(site)
    course.send("b")
    course.pass_time(60.0)
    course.send("c")
    course.pass_time(60.0)
    course.send("a")  # is delivered, and changes nothing
    assert course.metrics(site)["oldest_seconds"] == 120.0

    site.script = lambda request: DOWN if request.headers["greenroom-key"] == "c" else OK
    course.pass_time(60.0)
    assert course.metrics(site)["pending"] == 1
    assert course.metrics(site)["oldest_seconds"] == 120.0

    site.script = None
    course.pass_time(HOUR)
    assert course.metrics(site)["pending"] == 0
    assert course.metrics(site)["oldest_seconds"] == 0


def test_the_time_to_deliver_begins_with_the_acceptance(course: Course) -> None:
    site = course.site(lambda _: DOWN)
    course.start(site)
    course.send("a", "a")
    course.pass_time(30.0)
    site.script = None
    course.pass_time(20.0)

    shown = course.metrics(site)
    assert shown["delivery_seconds_count"] == 2
    assert 2 * 35.0 <= shown["delivery_seconds_sum"] <= 2 * 35.0 * 1.1
    assert shown['delivery_seconds_bucket{,le="30"}'] == 0
    assert shown['delivery_seconds_bucket{,le="60"}'] == 2


def test_a_breaker_is_shown_open_then_half_open_then_closed(course: Course) -> None:
    seen = []

    def probed(request: web.Request) -> Reply:
        seen.append(course.metrics(site)["breaker"])
        return OK

    site = course.site(lambda _: DOWN)
    course.start(site)
    course.send(*(f"room {number}" for number in range(25)))
    assert course.metrics(site)["breaker"] == 2

    site.script = probed
    course.pass_time(60.0)

    assert seen[0] == 1
    assert set(seen[1:]) == {0}
    assert course.metrics(site)["breaker"] == 0


def test_attempts_are_counted_by_what_came_of_them(course: Course) -> None:
    statuses = iter((500, 301))
    site, gone = course.site(lambda _: Reply(next(statuses, 404))), course.site()
    refusing = course.site()
    telemetry = course.start(site, gone)
    telemetry.webhooks.add(refusing.url)  # on this machine, and that is not allowed
    gone.close()

    course.send("a")
    course.pass_time(8.0)
    course.send("b")

    assert {
        name: value
        for name, value in course.metrics(site).items()
        if name.startswith(("attempts", "dead"))
    } == {
        'attempts_total{,outcome="5xx"}': 1,
        'attempts_total{,outcome="3xx"}': 1,
        'attempts_total{,outcome="4xx"}': 1,
        'dead_total{,reason="rejected"}': 2,
    }
    assert course.metrics(gone)['attempts_total{,outcome="network"}'] == 3
    assert course.metrics(refusing)['attempts_total{,outcome="refused"}'] == 2
    assert course.metrics(refusing)['dead_total{,reason="unsendable"}'] == 2


def test_the_series_of_a_removed_endpoint_end(course: Course) -> None:
    site, other = course.site(lambda _: DOWN), course.site()
    telemetry = course.start(other)
    endpoint = telemetry.webhooks.add(site.url, allow_private=True)
    course.send("a")

    telemetry.webhooks.remove(endpoint.id)
    course.pass_time(HOUR)
    course.send("a")

    shown = [
        family.name
        for family in telemetry.metrics.snapshot()
        if any(("endpoint", endpoint.id) in sample.labels for sample in family.samples)
    ]
    assert not shown
    assert course.metrics(other)["pending"] == 0


def test_after_a_restart_the_backlog_has_its_size_and_age(durable_course: Course) -> None:
    course = durable_course
    site = course.site(lambda _: DOWN)
    course.start(site)
    course.send(*(["a"] * 100), "b")
    course.pass_time(HOUR)

    course.restart()
    course.send("c")

    assert course.metrics(site)["pending"] == 102
    assert course.metrics(site)["oldest_seconds"] == pytest.approx(HOUR)
    site.script = None
    course.pass_time(2 * HOUR)
    assert course.metrics(site)["pending"] == 0
    assert course.metrics(site)["oldest_seconds"] == 0
    assert course.metrics(site)["delivery_seconds_count"] == 102


def test_replayed_webhooks_count_for_the_backlog_once(durable_course: Course) -> None:
    course = durable_course
    site = course.site(lambda _: Reply(404))
    course.start(site)
    course.send("a", "a")
    assert course.metrics(site)["pending"] == 0
    site.script = lambda _: DOWN

    course.replay(*(one.id for one in course.dead()))
    course.pass_time(60.0)
    assert course.metrics(site)["pending"] == 2
    course.replay(1)  # it waits for its next attempt: that is due now
    assert course.metrics(site)["pending"] == 2
    assert course.metrics(site)["oldest_seconds"] == 60.0

    site.script = None
    course.pass_time(HOUR)
    assert course.metrics(site)["pending"] == 0
