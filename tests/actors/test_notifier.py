from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from google.protobuf.json_format import MessageToDict
from livekit.protocol.models import Room, WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from greenroom.actors._base import ActorExitRequest, Configure
from greenroom.actors.notifier import Notifier
from greenroom.config import DEFAULT_POLICY, LIVEKIT_POLICY, Settings, WebhookSettings
from greenroom.core.attempt import Attempt
from greenroom.core.times import NS_PER_SECOND, to_ns
from greenroom.messages import calls
from greenroom.messages.outputs import AttemptEnded, Notify
from greenroom.testing.fakes import DELIVERED, REFUSED, FakePoster, Outcome
from greenroom.testing.harness import ActorHarness

VECTORS: Final = Path(__file__).resolve().parents[1] / "data" / "webhook.jsonl.gz"
START_S: Final = 1_700_000_000
SECRET: Final = "public-secret-public-secret-0123456789"
OTHER_SECRET: Final = "another-public-secret-0123456789abcd"
KEYS: Final = {"APIpubKey1": SECRET, "APIother": OTHER_SECRET}
BUSY: Final = Outcome(status=503)


class Shell:
    """A notifier with a poster that keeps every attempt in flight until it is told otherwise."""

    def __init__(self, **webhook: Any) -> None:
        settings: dict[str, Any] = {
            "urls": ["http://h/one"],
            "api_key": "APIpubKey1",
            "keys": KEYS,
            "policy": LIVEKIT_POLICY,
        }
        self.harness = ActorHarness(Notifier, at_ns=to_ns(START_S))
        self.poster = FakePoster(self.harness.door, holds=True)
        self.harness.tell(
            Configure(
                Settings(webhook=WebhookSettings(**(settings | webhook))),
                replace(self.harness.ports, poster=self.poster),
            )
        )

    def notify(
        self, event_id: str, name: str = "room_started", extra: Iterable[WebhookConfig] = ()
    ) -> None:
        event = WebhookEvent(event=name, id=event_id, room=Room(name="room"), created_at=START_S)
        self.harness.tell(Notify(event, tuple(extra), self.harness.at_ns))

    def finish(self, outcome: Outcome = DELIVERED) -> None:
        self.poster.finish(outcome)
        self.harness.pass_door()

    def in_flight(self) -> list[str]:
        return [attempt.url for attempt, _ in self.poster.in_flight]

    def records(self) -> list[dict[str, Any]]:
        """The webhooks that were reported to the supervisor since the last look."""
        found = []
        for target, body in self.harness.door.entered:
            assert target is self.harness.parent
            assert isinstance(body, calls.Webhook)
            assert body.webhook_info is not None
            found.append(MessageToDict(body.webhook_info, preserving_proto_field_name=True))
        self.harness.door.entered.clear()
        return found

    def ended(self) -> list[str]:
        """Event id and path of those records, and "dropped" or "failed" if they were."""
        return [
            " ".join(
                (
                    record["event_id"],
                    record["url"].removeprefix("http://h"),
                    *(["dropped"] if "is_dropped" in record else []),
                    *(["failed"] if "send_error" in record else []),
                )
            )
            for record in self.records()
        ]


def vector(kind: str) -> Any:
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        return next(line for line in map(json.loads, lines) if line["kind"] == kind)


def claims(attempt: Attempt, secret: str = SECRET) -> dict[str, Any]:
    token = dict(attempt.headers)["Authorization"]
    decoded: dict[str, Any] = jwt.decode(
        token, secret, ["HS256"], options={"verify_exp": False, "verify_nbf": False}
    )
    return decoded


# ── where to ────────────────────────────────────────────────────────────────────────────────────


def test_every_url_gets_the_event_in_order() -> None:
    shell = Shell(urls=["http://h/one", "http://h/two"])

    shell.notify("EV_1")

    assert shell.in_flight() == ["http://h/one", "http://h/two"]
    first, second = shell.poster.attempts
    assert json.loads(first.body)["id"] == "EV_1"
    assert first.body is second.body


def test_a_full_url_does_not_keep_the_event_from_the_next() -> None:
    policy = replace(LIVEKIT_POLICY, max_depth=1)
    shell = Shell(urls=["http://h/one", "http://h/two"], policy=policy)
    shell.notify("EV_0")
    for number in (1, 2, 3):
        shell.notify(f"EV_{number}", extra=[WebhookConfig(url="http://h/extra")])

    assert shell.in_flight() == ["http://h/one", "http://h/two", "http://h/extra"]
    assert shell.ended() == [
        "EV_2 /one dropped",
        "EV_2 /two dropped",
        "EV_3 /one dropped",
        "EV_3 /two dropped",
        "EV_3 /extra dropped",
    ]


def test_a_filtered_event_goes_nowhere_but_to_the_extra_webhooks() -> None:
    shell = Shell(include_events=["room_finished"])

    shell.notify("EV_1", "egress_started", [WebhookConfig(url="http://h/x1")])
    shell.notify("EV_2", "egress_started")

    assert shell.in_flight() == ["http://h/x1"]
    assert shell.records() == []


def test_an_extra_webhook_is_signed_with_the_key_that_it_names() -> None:
    shell = Shell(urls=[])

    shell.notify(
        "EV_1",
        extra=[
            WebhookConfig(url="http://h/x1"),
            WebhookConfig(url="http://h/x2", signing_key="APIother"),
        ],
    )

    first, second = shell.poster.attempts
    assert claims(first)["iss"] == "APIpubKey1"
    assert claims(second, OTHER_SECRET)["iss"] == "APIother"


def test_an_unknown_signing_key_drops_that_extra_webhook_and_no_other() -> None:
    shell = Shell()

    shell.notify(
        "EV_1",
        "egress_updated",
        [
            WebhookConfig(url="http://h/x1"),
            WebhookConfig(url="http://h/x2", signing_key="unknown"),
            WebhookConfig(url="http://h/x3"),
        ],
    )

    assert shell.in_flight() == ["http://h/one", "http://h/x1", "http://h/x3"]
    assert shell.ended() == ["EV_1 /x2 dropped"]
    reason = "no secret for provided signing key"
    series = f'livekit_webhook_dispatch_total{{reason="{reason}",status="drop"}}'
    assert shell.harness.counted()[series] == 1


def test_without_a_configured_key_an_extra_webhook_is_dropped_and_nothing_hangs() -> None:
    shell = Shell(urls=[], api_key="")

    shell.notify("EV_1", extra=[WebhookConfig(url="http://h/x1")])
    shell.notify("EV_2", extra=[WebhookConfig(url="http://h/x2", signing_key="APIother")])

    assert shell.ended() == ["EV_1 /x1 dropped"]
    assert shell.in_flight() == ["http://h/x2"]


def test_an_extra_webhook_is_reported_too() -> None:
    shell = Shell(urls=[])
    shell.notify("EV_1", extra=[WebhookConfig(url="http://h/x1")])

    shell.finish()

    assert shell.ended() == ["EV_1 /x1"]


# ── attempts ────────────────────────────────────────────────────────────────────────────────────


def test_an_attempt_has_the_policys_time_limits_and_comes_back_to_the_notifier() -> None:
    shell = Shell()

    shell.notify("EV_1")

    ((attempt, reply_to),) = shell.poster.in_flight
    assert reply_to is shell.harness.address
    assert attempt.number == 1
    assert attempt.connect_timeout_seconds == LIVEKIT_POLICY.connect_timeout_seconds
    assert attempt.total_timeout_seconds == LIVEKIT_POLICY.total_timeout_seconds


def test_a_retry_has_the_same_body_and_a_token_of_its_own_time() -> None:
    shell = Shell()
    shell.notify("EV_1")

    shell.harness.advance(2)
    shell.finish(BUSY)
    shell.harness.advance(1)

    first, second = shell.poster.attempts
    assert (first.number, second.number) == (1, 2)
    assert second.body == first.body
    assert claims(first)["nbf"] == START_S
    assert claims(second)["nbf"] == START_S + 3
    assert claims(second)["sha256"] == claims(first)["sha256"]


def test_the_livekit_policy_gives_up_after_five_attempts_in_fifteen_seconds() -> None:
    shell = Shell()
    shell.notify("EV_1")
    shell.notify("EV_2")

    for wait_seconds in (1, 2, 4, 8):
        shell.finish(BUSY)
        assert shell.harness.advance(wait_seconds - 0.001) == []
        assert shell.in_flight() == []
        shell.harness.advance(0.001)
    shell.finish(BUSY)

    (record,) = shell.records()
    assert record["send_error"] == "POST http://h/one giving up after 5 attempt(s)"
    assert record["sent_at"] == "2023-11-14T22:13:20Z"
    assert record["send_duration_ns"] == str(15 * NS_PER_SECOND)
    assert [json.loads(attempt.body)["id"] for attempt, _ in shell.poster.in_flight] == ["EV_2"]


def test_waits_are_lengthened_at_random_but_the_same_again_for_the_same_input() -> None:
    def attempts_made(after_seconds: float) -> int:
        shell = Shell(policy=replace(DEFAULT_POLICY, wait_min_seconds=100.0, jitter=1.0))
        shell.notify("EV_1")
        shell.finish(REFUSED)
        shell.harness.advance(after_seconds)
        return len(shell.poster.attempts)

    made = [attempts_made(seconds) for seconds in range(100, 201, 5)]

    assert made == sorted(made)
    assert (made[0], made[-1]) == (1, 2)


def test_an_outcome_that_comes_twice_counts_once() -> None:
    shell = Shell()
    shell.notify("EV_1")
    attempt, _ = shell.poster.in_flight[0]
    shell.finish()

    again = AttemptEnded(attempt.delivery_id, 1, 200, "", "", True, True)
    shell.harness.enter(again)

    assert shell.ended() == ["EV_1 /one"]


# ── counts, idle queues, the end ────────────────────────────────────────────────────────────────


def test_the_metrics_are_the_originals() -> None:
    expected = vector("metrics")["expect"]
    shell = Shell(
        policy=replace(LIVEKIT_POLICY, max_attempts=1, max_depth=3),
        exclude_events=["filtered"],
    )

    shell.notify("delivered")
    shell.finish()
    shell.notify("filtered", "filtered")
    shell.notify("failed")
    shell.notify("too old")
    shell.harness.advance(31)
    shell.finish(BUSY)
    for number in range(6):
        shell.notify(f"EV_{number}")
    for _ in range(4):
        shell.finish()

    node = {"node_id": "node-1", "node_type": "SERVER"}
    counted = shell.harness.metrics.series(node)
    assert {name: value for name, value in counted.items() if "webhook" in name} == expected
    assert [line for line in shell.ended() if "dropped" in line] == [
        "too old /one dropped",
        "EV_4 /one dropped",
        "EV_5 /one dropped",
    ]


def test_an_idle_queue_is_forgotten() -> None:
    shell = Shell()
    shell.notify("EV_1")
    shell.finish()
    assert len(shell.harness.actor.outbox) == 1

    shell.harness.advance(450)

    assert len(shell.harness.actor.outbox) == 0


def test_what_is_not_delivered_at_the_end_is_counted() -> None:
    shell = Shell()
    shell.notify("EV_1")
    shell.notify("EV_2")

    shell.harness.tell(ActorExitRequest())

    series = 'greenroom_dropped_total{intentional="false",reason="webhook_unfinished"}'
    assert shell.harness.counted()[series] == 2


@pytest.mark.parametrize("secret", list(KEYS.values()), ids=["first", "second"])
def test_no_secret_is_in_an_attempt_or_a_record(secret: str) -> None:
    shell = Shell()
    shell.notify("EV_1")
    shell.finish(REFUSED)

    assert secret not in repr(shell.poster.attempts)
    assert secret not in repr(shell.harness.actor.outbox)
    assert secret not in repr(shell.harness.door.entered)
