"""`telemetry.webhooks`: the endpoints of a running greenroom."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from greenroom.config import WebhookSettings
from greenroom.core.signatures import SigningKey
from greenroom.errors import ConfigError, UnsendableError
from greenroom.messages.deliveries import DeliveryState
from greenroom.messages.endpoints import EndpointChanged
from greenroom.receiver.verification import Scheme, verify
from greenroom.testing.loopback import HttpReceiver, respond, unused_port
from greenroom.testing.settling import settle

from .rooms import Start, delivered, sequences

SECRET: Final = "s" * 32
OTHER_SECRET: Final = "o" * 32


def paths(receiver: HttpReceiver) -> list[str]:
    return [one.request.path for one in receiver.received]


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
        ("add", ["http://h"], {"nope": 1}, "endpoint.nope: there is no such .* are url, keys"),
        ("add", ["http://h"], {"policy": []}, "endpoint.policy: no policy"),
        ("add", ["http://h"], {"rooms": ["a*b"]}, r"endpoint.rooms: 'a\*b' has a \* before"),
        ("add", ["http://h"], {"rooms": [""]}, "endpoint.rooms: one of them is empty"),
        ("add", ["http://h"], {"keys": ["key", "key"]}, "endpoint.keys: 'key' is there 2 times"),
        ("update", ["configured"], {"nope": 1}, "endpoint.nope: there is no such setting"),
        ("update", ["configured"], {"origin": "extra"}, "endpoint.origin: is not set this way"),
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


def test_what_is_printed_of_an_endpoint_or_the_settings_has_no_secret(start: Start) -> None:
    url = "http://user:correct-horse@h.example/hook"
    telemetry = start()
    keys = {"own": OTHER_SECRET}
    added = telemetry.webhooks.add(url, keys=["own"], secrets=keys)
    settings = WebhookSettings(urls=[url], api_key="own", keys=keys)  # type: ignore[arg-type]

    for one in (added, settings, EndpointChanged(added)):
        assert "http://user:xxxxx@h.example/hook" in repr(one)
        assert "correct-horse" not in repr(one)
        assert OTHER_SECRET not in repr(one)
    assert repr(added).startswith("Endpoint(url='http://user:xxxxx@h.example/hook', keys=('own',)")
    assert added.url == url


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
