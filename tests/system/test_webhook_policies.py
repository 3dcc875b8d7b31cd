"""What an endpoint may answer and be set to, over real HTTP on the virtual clock."""

from __future__ import annotations

from itertools import count
from typing import Final

import pytest
from aiohttp import web
from livekit.protocol.egress import EgressInfo, WebEgressRequest
from livekit.protocol.models import FilterParams, Room, WebhookConfig

from greenroom.testing.webhook_course import Course
from greenroom.testing.webhook_site import DOWN, KEYS, OK, Reply, Script

OLD: Final = {"APIold": "an-old-secret-of-at-least-32-bytes!!"}
NEW: Final = {"APInew": "a-new-secret-of-at-least-32-bytes!!!"}


def replies(*first: Reply, then: Reply = OK) -> Script:
    """These, one after the other; afterwards always the same."""
    left = list(first)

    def script(request: web.Request) -> Reply:
        return left.pop(0) if left else then

    return script


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_waited_for(course: Course, status: int) -> None:
    site = course.site(replies(Reply(status, {"Retry-After": "120"})))
    course.start(site)

    course.send("a")
    course.pass_time(119.0)
    assert len(site.visits) == 1
    course.pass_time(14.0)

    assert [one.id for one in site.accepted] == [site.visits[0].webhook_id]


def test_410_disables_the_endpoint_until_it_is_enabled_by_hand(course: Course) -> None:
    site = course.site(replies(DOWN, Reply(410)))
    course.start(site)
    course.send("a", "a", "a")
    course.pass_time(60.0)
    (endpoint,) = course.telemetry.webhooks.endpoints()
    assert (endpoint.is_enabled, endpoint.reason) == (False, "it answered 410")
    assert course.metrics(site)["endpoint_enabled"] == 0
    course.send("a")  # it is not for it any more
    assert len(site.visits) == 2

    course.telemetry.webhooks.enable(endpoint.id)
    course.pass_time(0.0)

    assert [one.sequence for one in site.accepted] == [2, 3]
    assert course.metrics(site)["endpoint_enabled"] == 1
    assert course.metrics(site)['dead_total{,reason="rejected"}'] == 1


def test_404_is_given_up_at_once_and_the_next_event_goes_on(course: Course) -> None:
    site = course.site(replies(Reply(404)))
    course.start(site)

    course.send("a", "a")

    assert [one.status for one in site.visits] == [404, 200]
    assert [one.gap for one in site.accepted] == [range(1, 2)]
    assert course.metrics(site)['dead_total{,reason="rejected"}'] == 1
    if course.data_dir is not None:
        assert [one.status for one in course.dead()] == [404]


def test_a_rate_limit_is_kept(course: Course) -> None:
    site = course.site()
    telemetry = course.start()
    telemetry.webhooks.add(site.url, rate_per_second=2.0, allow_private=True)

    course.send(*(f"room {number}" for number in range(20)))
    course.pass_time(20.0)

    # two at once, and then one every half a second
    assert site.seconds() == pytest.approx([0.0, *(n / 2 for n in range(19))], abs=0.01)
    assert len(site.accepted) == 20


@pytest.mark.parametrize("known", [OLD, NEW, OLD | NEW], ids=["old", "new", "both"])
def test_while_keys_are_exchanged_a_receiver_may_have_either(
    course: Course, known: dict[str, str]
) -> None:
    site = course.site(keys=known)
    telemetry = course.start(keys=KEYS | OLD | NEW)
    endpoint = telemetry.webhooks.add(site.url, keys=("APIold",), allow_private=True)
    before = "APIold" in known

    course.send("a")
    telemetry.webhooks.update(endpoint.id, keys=("APInew", "APIold"))
    course.send("b")

    assert [one.key for one in site.accepted] == (["a", "b"] if before else ["b"])
    signers = [one.api_key for one in site.accepted]
    assert signers[-1] == ("APInew" if "APInew" in known else "APIold")


def test_filters_and_rooms_decide_what_an_endpoint_gets(course: Course) -> None:
    sites = [course.site() for _ in range(5)]
    telemetry = course.start()
    all_filters: list[dict[str, tuple[str, ...]]] = [
        {"include_events": ("room_started",)},
        {"exclude_events": ("room_started",)},
        {"rooms": ("acme-*",)},
        {"rooms": ("acme-1", "garden")},
        {"rooms": ("acme-*",), "include_events": ("room_finished",)},
    ]
    for site, filters in zip(sites, all_filters, strict=True):
        telemetry.webhooks.add(site.url, allow_private=True, **filters)

    for name in ("acme-1", "acme-2", "garden"):
        telemetry.room_started(Room(name=name))
        telemetry.room_ended(Room(name=name))
    course.pass_time(0.0)

    got = [
        sorted((one.key, one.event.event.removeprefix("room_")) for one in site.accepted)
        for site in sites
    ]
    assert got == [
        [("acme-1", "started"), ("acme-2", "started"), ("garden", "started")],
        [("acme-1", "finished"), ("acme-2", "finished"), ("garden", "finished")],
        [(room, what) for room in ("acme-1", "acme-2") for what in ("finished", "started")],
        [(room, what) for room in ("acme-1", "garden") for what in ("finished", "started")],
        [("acme-1", "finished"), ("acme-2", "finished")],
    ]


def test_a_rooms_own_endpoint_has_its_own_key(course: Course) -> None:
    everything, own = course.site(), course.site(keys=NEW)
    telemetry = course.start(everything)
    telemetry.webhooks.add(
        own.url, keys=tuple(NEW), secrets=NEW, rooms=("acme",), allow_private=True
    )

    course.send("acme", "garden")

    assert sorted(one.key for one in everything.accepted) == ["acme", "garden"]
    assert [(one.key, one.api_key) for one in own.accepted] == [("acme", "APInew")]
    assert not own.problems


def test_an_egress_requests_webhook_is_filtered_and_signed_as_it_asks(course: Course) -> None:
    everything, own = course.site(), course.site(keys=NEW)
    telemetry = course.start(everything, keys=KEYS | NEW)
    hook = WebhookConfig(
        url=own.url,
        signing_key="APInew",
        filter_params=FilterParams(include_events=["egress_ended"]),
    )
    info = EgressInfo(egress_id="EG_1", room_name="a", web=WebEgressRequest(webhooks=[hook]))

    telemetry.egress_started(info)
    telemetry.egress_updated(info)
    telemetry.egress_ended(info)
    course.pass_time(0.0)

    names = ["egress_started", "egress_updated", "egress_ended"]
    assert [one.event.event for one in everything.accepted] == names
    assert [one.event.event for one in own.accepted] == ["egress_ended"]
    assert [one.key for one in own.accepted] == ["EG_1"]


def test_livekits_policy_makes_5_attempts_in_15_seconds_and_drops_after_30(course: Course) -> None:
    numbers = count()
    site = course.site(lambda _: DOWN if next(numbers) < 11 else OK)
    course.start(site, policy="livekit")

    course.send("a", "a", "a", "a")
    course.pass_time(300.0)

    by_event: dict[str, list[float]] = {}
    for seconds, visit in zip(site.seconds(), site.visits, strict=True):
        by_event.setdefault(visit.webhook_id, []).append(round(seconds, 3))
    # the third is 30 s old at its turn, and not yet too old
    assert list(by_event.values()) == [[0, 1, 3, 7, 15], [15, 16, 18, 22, 30], [30, 31]]
    assert len(site.accepted) == 1
    assert course.metrics(site)['dead_total{,reason="exhausted"}'] == 2
    assert course.metrics(site)['dead_total{,reason="age"}'] == 1
