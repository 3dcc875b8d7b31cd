"""`telemetry.webhooks`: endpoints and deliveries of a running greenroom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from livekit.protocol.models import Room

import greenroom
from greenroom.core.signatures import SigningKey
from greenroom.errors import ConfigError, UnsendableError
from greenroom.messages.deliveries import DeliveryState
from greenroom.receiver.verification import Scheme, verify
from greenroom.testing.loopback import HttpReceiver, LoopThread, respond, unused_port

SECRET: Final = "s" * 32
OTHER_SECRET: Final = "o" * 32
OPTIONS: Final[dict[str, Any]] = {
    "api_key": "key",
    "keys": {"key": SECRET},
    "allow_private": True,
}
ATTEMPTS_MAX: Final = 3  # that a test makes of one queue in a row
NAIVE: Final = datetime(2026, 1, 1)  # noqa: DTZ001  # that is what is refused
Start: TypeAlias = Callable[..., greenroom.Telemetry]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    thread = LoopThread()
    receiver = HttpReceiver(thread)
    yield receiver
    receiver.close()
    thread.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts greenroom with URLs and the data directory, unless told otherwise."""
    started: list[greenroom.Telemetry] = []

    def begin(*urls: str, data_dir: Path | None = tmp_path) -> greenroom.Telemetry:
        webhook = greenroom.WebhookSettings(urls=urls, **OPTIONS)
        started.append(greenroom.start(webhook=webhook, data_dir=data_dir))
        return started[-1]

    yield begin
    for telemetry in started:
        telemetry.close(1.0)


def paths(receiver: HttpReceiver) -> list[str]:
    return [one.request.path for one in receiver.received]


def sequences(receiver: HttpReceiver) -> list[str]:
    return [one.request.headers["greenroom-sequence"] for one in receiver.received]


def delivered(telemetry: greenroom.Telemetry, *rooms: str) -> None:
    """Start these rooms, and have all webhooks delivered and written."""
    for room in rooms:
        telemetry.room_started(Room(name=room))
    settle(telemetry)


def settle(telemetry: greenroom.Telemetry) -> None:
    """Let every queue make the attempts that are due, and write what became of them."""
    for _ in range(ATTEMPTS_MAX):
        assert telemetry.sync()  # on the disk
        assert telemetry.sync()  # that was said, and the attempt is ordered
        assert telemetry._poster.wait_idle(30.0)
        assert telemetry.sync()  # its end is on the disk


# ── endpoints ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kept", ["on the disk", "in memory"])
def test_an_endpoint_is_added_changed_disabled_enabled_and_removed_while_greenroom_runs(
    receiver: HttpReceiver, start: Start, tmp_path: Path, kept: str
) -> None:
    telemetry = start(receiver.url("/one"), data_dir=tmp_path if kept == "on the disk" else None)
    added = telemetry.webhooks.add(receiver.url("/two"), allow_private=True, rooms=["acme-*"])
    delivered(telemetry, "acme-1", "other")
    assert sorted(paths(receiver)) == ["/one", "/one", "/two"]

    telemetry.webhooks.update(added.id, url=receiver.url("/moved"), rooms=())
    delivered(telemetry, "third")
    assert sorted(paths(receiver)[3:]) == ["/moved", "/one"]

    telemetry.webhooks.disable(added.id, "moves on Friday")
    delivered(telemetry, "fourth")
    assert paths(receiver)[5:] == ["/one"]
    assert telemetry.webhooks.endpoints()[-1].reason == "moves on Friday"

    telemetry.webhooks.enable(added.id)
    delivered(telemetry, "fifth")
    assert sorted(paths(receiver)[6:]) == ["/moved", "/one"]

    telemetry.webhooks.remove(added.id)
    delivered(telemetry, "sixth")
    assert paths(receiver)[8:] == ["/one"]
    assert [one.url for one in telemetry.webhooks.endpoints()] == [receiver.url("/one")]


def test_endpoints_outlive_the_process(receiver: HttpReceiver, start: Start) -> None:
    first = start()
    added = first.webhooks.add(
        receiver.url(), keys=["own"], secrets={"own": OTHER_SECRET}, allow_private=True
    )
    assert first.close()

    second = start()
    delivered(second, "lobby")

    assert second.webhooks.endpoints() == (added,)
    assert paths(receiver) == ["/hook"]


def test_what_waits_for_a_url_that_the_settings_lost_is_sent_when_they_have_it_again(
    receiver: HttpReceiver, start: Start
) -> None:
    receiver.handler = respond(503)
    first = start(receiver.url())
    delivered(first, "lobby")
    first.close(1.0)

    without = start()
    delivered(without, "other")
    (vanished,) = without.webhooks.endpoints()
    assert (vanished.is_enabled, vanished.reason) == (
        False,
        "the settings do not have it any more",
    )
    assert [one.room for one in without.webhooks.deliveries(state="pending")] == ["lobby"]
    with pytest.raises(ConfigError, match="start greenroom with its URL again"):
        without.webhooks.enable(vanished.id)
    assert without.close()
    before = len(receiver.received)

    receiver.handler = respond(200)
    again = start(receiver.url())
    assert again.webhooks.retry(endpoint=vanished.id) == 1
    settle(again)

    assert sequences(receiver)[before:] == ["1"]
    assert [one.state for one in again.webhooks.deliveries()] == [DeliveryState.DELIVERED]


@pytest.mark.parametrize(
    ("name", "arguments", "options", "why"),
    [
        ("update", ["configured"], {"url": "http://h"}, "change it there, or disable it"),
        ("remove", ["configured"], {}, "change it there, or disable it"),
        ("enable", ["EP_x"], {}, "no endpoint 'EP_x'; there are EP_"),
        ("test", ["EP_x"], {}, "no endpoint 'EP_x'; there are EP_"),
        ("test", ["configured", 0], {}, "timeout_seconds: must be greater than 0"),
        ("add", ["ftp://h"], {}, "endpoint.url: .*unsupported protocol"),
        ("add", ["http://h"], {"keys": ["x"]}, "endpoint.keys: no secret"),
        ("add", ["http://h"], {"id": "EP_1"}, "endpoint.id: is not set this way"),
    ],
    ids=str,
)
def test_a_change_that_cannot_be_is_refused(
    start: Start, name: str, arguments: list[Any], options: dict[str, Any], why: str
) -> None:
    telemetry = start("http://h.example/hook")
    (configured,) = telemetry.webhooks.endpoints()
    given = [configured.id if one == "configured" else one for one in arguments]

    with pytest.raises(ConfigError, match=why):
        getattr(telemetry.webhooks, name)(*given, **options)

    assert telemetry.webhooks.endpoints() == (configured,)


# ── deliveries ──────────────────────────────────────────────────────────────────────────────


def test_deliveries_are_found_by_all_that_is_given_newest_first(
    receiver: HttpReceiver, start: Start
) -> None:
    telemetry = start(receiver.url())
    telemetry.room_started(Room(name="lobby"))
    telemetry.room_ended(Room(name="lobby"))
    delivered(telemetry, "attic")
    (endpoint,) = telemetry.webhooks.endpoints()
    now = datetime.now(UTC)

    def found(**filters: Any) -> list[tuple[str, str, int]]:
        records = telemetry.webhooks.deliveries(**filters)
        return [(one.event, one.room, one.sequence) for one in records]

    everything = [
        ("room_started", "attic", 1),
        ("room_finished", "lobby", 2),
        ("room_started", "lobby", 1),
    ]
    assert found() == everything
    assert found(endpoint=endpoint.id, state="delivered") == everything
    assert found(room="lobby", event="room_started") == everything[2:]
    assert found(key="attic", state=DeliveryState.DELIVERED) == everything[:1]
    assert found(limit=1, before=3) == everything[1:2]
    assert found(since=now - timedelta(hours=1), until=now + timedelta(hours=1)) == everything
    assert found(until=now - timedelta(hours=1)) == []
    assert [(one.state, one.count) for one in telemetry.webhooks.counts() if one.count] == [
        ("delivered", 3)
    ]


def test_one_delivery_has_its_outcome_and_its_body(receiver: HttpReceiver, start: Start) -> None:
    receiver.handler = respond(404)
    telemetry = start(receiver.url())
    delivered(telemetry, "lobby")

    record = telemetry.webhooks.delivery(1)

    assert record is not None
    assert (record.state, record.status, record.attempts) == ("dead", 404, 1)
    assert "404" in record.error
    assert telemetry.webhooks.body(1) == receiver.received[0].body
    assert telemetry.webhooks.delivery(2) is None
    assert telemetry.webhooks.body(2) is None


def test_what_was_dead_or_delivered_is_replayed_with_its_first_id_and_sequence(
    receiver: HttpReceiver, start: Start
) -> None:
    receiver.handler = respond(404)
    telemetry = start(receiver.url())
    delivered(telemetry, "lobby", "lobby", "attic")
    receiver.handler = respond(200)

    assert telemetry.webhooks.replay(3, 99) == 1
    settle(telemetry)
    assert telemetry.webhooks.replay(room="lobby", from_sequence=2) == 1
    settle(telemetry)
    assert telemetry.webhooks.replay(key="lobby", from_sequence=1, to_sequence=2) == 2
    settle(telemetry)

    again = receiver.received[3:]
    assert [one.request.headers["greenroom-key"] for one in again] == [
        *("attic", "lobby", "lobby", "lobby"),
    ]
    assert sequences(receiver)[3:] == ["1", "2", "1", "2"]
    ids = {one.request.headers["webhook-id"] for one in receiver.received}
    assert len(ids) == 3
    assert telemetry.webhooks.deliveries(state="dead") == ()


def test_a_delivery_that_waits_is_tried_now_and_its_attempts_count_on(
    receiver: HttpReceiver, start: Start
) -> None:
    receiver.handler = respond(503)
    telemetry = start(receiver.url())
    delivered(telemetry, "lobby", "attic")
    receiver.handler = respond(200)
    waiting = [one.id for one in telemetry.webhooks.deliveries(state="pending")]
    assert sorted(waiting) == [1, 2]

    assert telemetry.webhooks.retry(1, 99) == 1
    settle(telemetry)

    record = telemetry.webhooks.delivery(1)
    assert record is not None
    assert (record.state, record.attempts, record.status) == ("delivered", 2, 200)
    assert telemetry.webhooks.retry(1) == 0
    assert len(telemetry.webhooks.deliveries(state="pending")) == 1


@pytest.mark.parametrize(
    ("name", "ids", "options", "why"),
    [
        ("replay", [], {}, "replay: give ids, or a room or a key"),
        ("replay", [1], {"room": "a", "from_sequence": 1}, "replay: give ids, or a room"),
        ("replay", [], {"room": "a"}, "with from_sequence"),
        ("retry", [], {}, "retry: give ids, or an endpoint"),
        ("retry", [1], {"endpoint": "EP_1"}, "retry: give ids, or an endpoint"),
        ("deliveries", [], {"limit": 0}, "limit: expected a whole number"),
        ("deliveries", [], {"state": "lost"}, "state: must be pending or .* got 'lost'"),
        ("deliveries", [], {"since": NAIVE}, "since: needs a time zone"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_answered_is_refused(
    start: Start, name: str, ids: list[int], options: dict[str, Any], why: str
) -> None:
    webhooks = start().webhooks

    with pytest.raises(ConfigError, match=why):
        getattr(webhooks, name)(*ids, **options)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("deliveries", []),
        ("delivery", [1]),
        ("body", [1]),
        ("counts", []),
        ("replay", [1]),
        ("retry", [1]),
    ],
)
def test_without_a_data_directory_it_says_that_one_is_needed(
    start: Start, name: str, ids: list[int]
) -> None:
    webhooks = start(data_dir=None).webhooks

    with pytest.raises(ConfigError, match=r"data_dir: without one .* greenroom.start\(data_dir"):
        getattr(webhooks, name)(*ids)


# ── a test webhook ──────────────────────────────────────────────────────────────────────────


def test_a_test_webhook_goes_out_now_signed_and_without_a_sequence(
    receiver: HttpReceiver, start: Start
) -> None:
    telemetry = start(receiver.url())
    (endpoint,) = telemetry.webhooks.endpoints()
    telemetry.webhooks.disable(endpoint.id)

    outcome = telemetry.webhooks.test(endpoint.id)

    (one,) = receiver.received
    event = json.loads(one.body)
    assert (event["event"], event["id"]) == ("greenroom_test", outcome.event_id)
    sender = verify(
        dict(one.request.headers),
        one.body,
        [SigningKey("key", SECRET)],
        now_s=datetime.now(UTC).timestamp(),
        tolerance_seconds=60.0,
        require=Scheme.LIVEKIT | Scheme.STANDARD,
    )
    assert sender.sequence is None
    assert (outcome.is_delivered, outcome.status, outcome.error) == (True, 200, "")
    assert outcome.endpoint == endpoint.id
    assert telemetry.webhooks.deliveries() == ()


def test_a_test_webhook_that_does_not_arrive_says_why(
    receiver: HttpReceiver, start: Start
) -> None:
    telemetry = start(receiver.url(), f"http://127.0.0.1:{unused_port()}/hook")
    refusing, silent = telemetry.webhooks.endpoints()

    receiver.handler = respond(500)
    outcome = telemetry.webhooks.test(refusing.id)
    assert (outcome.is_delivered, outcome.status, outcome.error) == (False, 500, "")

    outcome = telemetry.webhooks.test(silent.id)
    assert (outcome.is_delivered, outcome.status) == (False, None)
    assert "connection refused" in outcome.error

    receiver.handler = receiver.hang
    outcome = telemetry.webhooks.test(refusing.id, timeout_seconds=0.1)
    assert (outcome.is_delivered, outcome.status) == (False, None)
    assert outcome.error


def test_a_test_webhook_that_cannot_be_signed_is_refused(start: Start, tmp_path: Path) -> None:
    telemetry = start()
    added = telemetry.webhooks.add("http://h/hook", keys=["own"], secrets={"own": OTHER_SECRET})
    telemetry.webhooks.disable(added.id)
    telemetry.webhooks.update(added.id, secrets={})

    with pytest.raises(UnsendableError, match="no secret"):
        telemetry.webhooks.test(added.id)
    with pytest.raises(ConfigError, match=r"endpoint\.keys: no secret"):
        telemetry.webhooks.enable(added.id)
