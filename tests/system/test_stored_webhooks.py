"""`telemetry.webhooks`: the deliveries of a running greenroom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from livekit.protocol.models import Room

from greenroom.errors import ConfigError
from greenroom.messages.deliveries import DeliveryState
from greenroom.testing.loopback import HttpReceiver, respond
from greenroom.testing.settling import settle

from .rooms import Start, delivered, sequences

NAIVE: Final = datetime(2026, 1, 1)  # noqa: DTZ001  # that is what is refused


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


def test_of_a_room_what_was_for_removed_endpoints_is_left_alone(
    receiver: HttpReceiver, start: Start
) -> None:
    telemetry = start(receiver.url("/one"))
    removed = telemetry.webhooks.add(receiver.url("/two"), allow_private=True)
    delivered(telemetry, "lobby")
    telemetry.webhooks.remove(removed.id)

    assert telemetry.webhooks.replay(room="lobby", from_sequence=1) == 1

    settle(telemetry)
    assert [one.request.path for one in receiver.received[2:]] == ["/one"]
    assert len(telemetry.webhooks.deliveries(endpoint=removed.id)) == 1
    with pytest.raises(ConfigError, match="endpoint: there is no endpoint 'EP_"):
        telemetry.webhooks.replay(room="lobby", from_sequence=1, endpoint=removed.id)


def test_an_endpoint_that_was_added_just_now_is_no_unknown_one(start: Start) -> None:
    telemetry = start()
    added = telemetry.webhooks.add("http://h.example/hook")

    assert telemetry.webhooks.deliveries(endpoint=added.id) == ()
    assert telemetry.webhooks.retry(endpoint=added.id) == 0


@pytest.mark.parametrize(
    ("name", "ids", "options", "why"),
    [
        ("replay", [], {}, "replay: give ids, or a room or a key"),
        ("replay", [1], {"room": "a", "from_sequence": 1}, "not room with ids"),
        ("replay", [1], {"endpoint": "EP_1"}, "not endpoint with ids"),
        ("replay", [1], {"to_sequence": 5}, "not to_sequence with ids"),
        ("replay", [], {"endpoint": "EP_1", "from_sequence": 1}, "replay: give ids, or a room or"),
        (
            "replay",
            [],
            {"room": "a", "from_sequence": 5, "to_sequence": 4},
            "to_sequence: must be",
        ),
        ("replay", [], {"room": "a", "from_sequence": 0}, "from_sequence: expected a whole"),
        ("replay", [], {"room": "a", "from_sequence": "1"}, "from_sequence: expected a whole"),
        ("replay", [], {"key": 1, "from_sequence": 1}, "key: expected text, got 1"),
        ("replay", [1, "x"], {}, "ids: expected a whole number of at least 1, got 'x'"),
        ("replay", [True], {}, "ids: expected a whole number of at least 1, got True"),
        (
            *("replay", [], {"room": "a", "from_sequence": 1, "endpoint": "EP_1"}),
            r"endpoint: there is no endpoint 'EP_1'; telemetry\.webhooks\.endpoints\(\) lists",
        ),
        ("retry", [], {"endpoint": "EP_1"}, "endpoint: there is no endpoint 'EP_1'"),
        ("retry", [], {"endpoint": 1}, "endpoint: expected text, got 1"),
        ("retry", [0], {}, "ids: expected a whole number of at least 1, got 0"),
        ("deliveries", [], {"endpoint": "EP_1"}, "endpoint: there is no endpoint 'EP_1'"),
        ("deliveries", [], {"before": "x"}, "before: expected a whole number .* got 'x'"),
        ("deliveries", [], {"event": b"x"}, "event: expected text"),
        ("delivery", ["1"], {}, "delivery_id: expected a whole number of at least 1, got '1'"),
        ("delivery", [True], {}, "delivery_id: expected a whole number of at least 1, got True"),
        ("body", [None], {}, "delivery_id: expected a whole number of at least 1, got None"),
        ("replay", [], {"room": "a"}, "with from_sequence"),
        ("retry", [], {}, "retry: give ids, or an endpoint"),
        ("retry", [1], {"endpoint": "EP_1"}, "retry: give ids, or an endpoint"),
        ("deliveries", [], {"limit": 0}, "limit: expected a whole number"),
        ("deliveries", [], {"state": "lost"}, "state: must be pending or .* got 'lost'"),
        ("deliveries", [], {"since": NAIVE}, "since: needs a time zone"),
        ("deliveries", [], {"since": 3}, "since: expected a datetime, got 3"),
        ("deliveries", [], {"limit": 10**20}, "no delivery can be like that"),
        ("deliveries", [], {"room": "\ud800"}, "room: expected text"),
        ("delivery", [10**20], {}, "no delivery can be like that"),
        ("body", [10**20], {}, "no delivery can be like that"),
        ("replay", [10**20], {}, "no delivery can be like that"),
        ("replay", [], {"room": "a", "from_sequence": 10**20}, "no delivery can be like that"),
        ("retry", [10**20], {}, "no delivery can be like that"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_answered_is_refused(
    start: Start, name: str, ids: list[Any], options: dict[str, Any], why: str
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
