from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from google.protobuf.json_format import MessageToDict
from livekit.protocol.webhook import WebhookEvent

from greenroom.config import LIVEKIT_POLICY, DeliveryPolicy
from greenroom.core.delivery import Decision, Done, Outcome, Queued, Send, Wait
from greenroom.core.outbox import Outbox
from greenroom.core.times import NS_PER_SECOND
from greenroom.core.webhook_info import describe
from greenroom.messages.outputs import AttemptEnded, RetryDue

START_NS: Final = 1_700_000_000 * NS_PER_SECOND
URL: Final = "http://user:pw@h/hook"
POLICY: Final = replace(LIVEKIT_POLICY, max_attempts=3, max_depth=3)


def at(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_SECOND)


def outbox_with(policy: DeliveryPolicy) -> Outbox:
    outbox = Outbox()
    outbox.set_lane("EP", URL, policy, START_NS)
    outbox.set_lane("other EP", "http://other/hook", policy, START_NS)
    return outbox


def offer(
    outbox: Outbox, name: str = "", *, key: str = "room", endpoint: str = "EP", now: float = 0.0
) -> tuple[Decision, ...]:
    return outbox.offer(endpoint, key, WebhookEvent(id=name), name.encode(), at(now))


def retry(outbox: Outbox, delivery_id: int, attempt: int) -> tuple[Decision, ...]:
    return outbox.retry_due(RetryDue(delivery_id, attempt), START_NS)


def end(
    outbox: Outbox,
    delivery_id: int,
    attempt: int = 1,
    *,
    status: int | None = 200,
    error: str = "",
    retryable: bool = True,
    sent: bool = True,
    retry_after: str = "",
    now: float = 0.0,
    fraction: float = 0.0,
) -> tuple[Decision, ...]:
    ended = AttemptEnded(delivery_id, attempt, status, retry_after, error, retryable, sent)
    return outbox.attempt_ended(ended, at(now), fraction)


def waits_of(outbox: Outbox, now_ns: int) -> dict[tuple[int, int], float]:
    """Seconds that are left, by delivery and attempt."""
    waits = [decision for decision in outbox.waits(now_ns) if isinstance(decision, Wait)]
    return {(wait.delivery_id, wait.attempt): wait.seconds for wait in waits}


def shape(decisions: tuple[Decision, ...]) -> list[str]:
    shown = []
    for decision in decisions:
        match decision:
            case Queued(length):
                shown.append(f"queued {length}")
            case Send(delivery, attempt):
                shown.append(f"send {delivery.event.id} {attempt}")
            case Wait(_, attempt, seconds):
                shown.append(f"wait {seconds:g} for {attempt}")
            case Done(delivery, outcome, reason):
                shown.append(f"{outcome} {delivery.event.id} {reason}".rstrip())
    return shown


def only_done(decisions: tuple[Decision, ...]) -> Done:
    (done,) = (decision for decision in decisions if isinstance(decision, Done))
    return done


# ── order ───────────────────────────────────────────────────────────────────────────────────────


def test_only_the_head_of_a_key_is_in_flight() -> None:
    outbox = outbox_with(POLICY)

    assert shape(offer(outbox, "a")) == ["queued 1", "send a 1"]
    assert shape(offer(outbox, "b")) == ["queued 1"]
    assert shape(offer(outbox, "c")) == ["queued 2"]
    assert shape(end(outbox, 1)) == ["success a", "send b 1"]
    assert shape(end(outbox, 2)) == ["success b", "send c 1"]
    assert shape(end(outbox, 3)) == ["success c"]


def test_a_retried_event_is_not_overtaken() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    offer(outbox, "b")

    assert shape(end(outbox, 1, status=500)) == ["wait 1 for 2"]
    assert shape(offer(outbox, "c")) == ["queued 2"]
    assert shape(retry(outbox, 1, 2)) == ["send a 2"]
    assert shape(end(outbox, 1, 2)) == ["success a", "send b 1"]


@pytest.mark.parametrize(("key", "endpoint"), [("other", "EP"), ("room", "other EP")])
def test_another_key_or_another_endpoint_does_not_wait(key: str, endpoint: str) -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "slow")

    assert shape(offer(outbox, "quick", key=key, endpoint=endpoint)) == [
        "queued 1",
        "send quick 1",
    ]


def test_what_is_left_of_the_waits_is_known_at_any_time() -> None:
    outbox = outbox_with(POLICY)
    for number, key in enumerate(("a", "b", "c"), start=1):
        offer(outbox, key, key=key)
        if key != "c":
            end(outbox, number, status=503, now=float(number), fraction=0.5)
    whole = waits_of(outbox, 0)[1, 2]

    assert waits_of(outbox, at(2.0)) == {
        (1, 2): pytest.approx(whole - 1.0),
        (2, 2): pytest.approx(whole),
    }
    assert waits_of(outbox, at(1e6)) == {(1, 2): 0.0, (2, 2): 0.0}
    retry(outbox, 1, 2)
    assert list(waits_of(outbox, 0)) == [(2, 2)]


# ── ends ────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_given_up_after_the_last_attempt() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")

    assert shape(end(outbox, 1, 1, status=500)) == ["wait 1 for 2"]
    retry(outbox, 1, 2)
    assert shape(end(outbox, 1, 2, status=None, error="EOF")) == ["wait 2 for 3"]
    retry(outbox, 1, 3)
    done = only_done(end(outbox, 1, 3, status=503))

    assert done.outcome is Outcome.FAILURE
    assert done.send_error == "POST http://user:xxxxx@h/hook giving up after 3 attempt(s)"


def test_an_event_is_given_up_at_once_when_no_retry_can_help() -> None:
    outbox = outbox_with(POLICY)
    giving_up = "POST http://user:xxxxx@h/hook giving up after 1 attempt(s)"

    offer(outbox, "a")
    refused = only_done(end(outbox, 1, status=404))
    offer(outbox, "b")
    unsupported = only_done(end(outbox, 2, status=None, error="no", retryable=False))
    offer(outbox, "c")
    unparsed = only_done(end(outbox, 3, status=None, error="parse", retryable=False, sent=False))

    assert refused.send_error == f"{giving_up}: unexpected HTTP status 404"
    assert unsupported.send_error == f"{giving_up}: no"
    assert unparsed.send_error == "parse"


def test_retry_after_and_jitter_reach_the_wait() -> None:
    outbox = outbox_with(replace(POLICY, jitter=0.5))
    offer(outbox, "a")

    decisions = end(outbox, 1, status=429, retry_after="8", fraction=0.5)

    assert shape(decisions) == ["wait 10 for 2"]


# ── drops ───────────────────────────────────────────────────────────────────────────────────────


def test_the_event_in_flight_does_not_count_for_the_depth() -> None:
    outbox = outbox_with(replace(POLICY, max_depth=1))

    assert shape(offer(outbox, "EV_0")) == ["queued 1", "send EV_0 1"]
    assert shape(offer(outbox, "EV_1")) == ["queued 1"]
    assert shape(offer(outbox, "EV_2")) == ["drop EV_2 queue is full"]
    assert shape(offer(outbox, "EV_3")) == ["drop EV_3 queue is full"]
    assert shape(end(outbox, 1)) == ["success EV_0", "send EV_1 1"]
    assert shape(end(outbox, 2)) == ["success EV_1"]


def test_an_event_is_dropped_when_it_is_too_old_at_its_turn() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    offer(outbox, "old", now=0.0)
    offer(outbox, "older by nothing", now=0.5)

    decisions = end(outbox, 1, now=30.5)

    assert shape(decisions) == ["success a", "drop old age", "send older by nothing 1"]


def test_a_retry_does_not_look_at_the_age() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    end(outbox, 1, status=500, now=100.0)

    assert shape(retry(outbox, 1, 2)) == ["send a 2"]


def test_without_a_maximum_age_nothing_is_too_old() -> None:
    outbox = outbox_with(replace(POLICY, max_age_seconds=None))
    offer(outbox, "a")
    offer(outbox, "b")

    assert shape(end(outbox, 1, now=1e6)) == ["success a", "send b 1"]


# ── what comes twice, late or never ─────────────────────────────────────────────────────────────


def test_the_outcome_of_an_attempt_counts_once() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    offer(outbox, "b")
    end(outbox, 1)

    assert end(outbox, 1) == ()
    assert outbox.statistics().stale == 1
    assert outbox.statistics().in_flight == 1


def test_what_nobody_waits_for_is_ignored_and_counted() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")

    assert retry(outbox, 1, 1) == ()  # it is in flight
    assert end(outbox, 1, 2) == ()  # another attempt
    assert end(outbox, 7) == ()  # another delivery
    end(outbox, 1, status=500)
    assert end(outbox, 1, status=200) == ()  # the attempt before the wait
    assert retry(outbox, 1, 3) == ()  # not the one that is due
    assert outbox.statistics().stale == 5
    assert shape(retry(outbox, 1, 2)) == ["send a 2"]


# ── idle queues ─────────────────────────────────────────────────────────────────────────────────


def test_a_queue_is_forgotten_when_it_is_empty_and_was_unused_for_longer_than_idle() -> None:
    outbox = outbox_with(replace(POLICY, idle_seconds=300))
    offer(outbox, "a")
    end(outbox, 1)

    outbox.sweep(at(300))
    assert len(outbox) == 1
    outbox.sweep(at(300.001))
    assert len(outbox) == 0


@pytest.mark.parametrize("status", [None, 500], ids=["in flight", "backing off"])
def test_a_queue_with_an_event_is_never_forgotten(status: int | None) -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    if status is not None:
        end(outbox, 1, status=status)

    outbox.sweep(at(1e6))
    assert len(outbox) == 1
    assert shape(offer(outbox, "b")) == ["queued 1"]


# ── records ─────────────────────────────────────────────────────────────────────────────────────


def record(done: Done) -> dict[str, object]:
    plain: dict[str, object] = MessageToDict(describe(done, URL), preserving_proto_field_name=True)
    return {name: plain[name] for name in plain if name not in {"created_at", "event_id"}}


def test_the_record_of_a_delivery_has_its_times() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    offer(outbox, "b", now=1)
    end(outbox, 1, now=3)
    end(outbox, 2, status=500, now=4)
    retry(outbox, 2, 2)

    assert record(only_done(end(outbox, 2, 2, now=10))) == {
        "url": URL,
        "queued_at": "2023-11-14T22:13:21Z",
        "queue_duration_ns": "2000000000",
        "sent_at": "2023-11-14T22:13:23Z",
        "send_duration_ns": "7000000000",
    }


def test_the_record_of_a_drop_for_age_has_no_time_of_sending() -> None:
    outbox = outbox_with(POLICY)
    offer(outbox, "a")
    offer(outbox, "old")

    decisions = end(outbox, 1, now=31)

    dropped = next(d for d in decisions if isinstance(d, Done) and d.reason == "age")
    assert record(dropped) == {
        "url": URL,
        "is_dropped": True,
        "queued_at": "2023-11-14T22:13:20Z",
        "queue_duration_ns": "31000000000",
        "sent_at": "0001-01-01T00:00:00Z",
    }


def test_the_record_of_a_drop_at_a_full_queue_has_no_times() -> None:
    outbox = outbox_with(replace(POLICY, max_depth=1))
    offer(outbox, "a")
    offer(outbox, "b")

    assert record(only_done(offer(outbox, "c"))) == {
        "url": URL,
        "is_dropped": True,
        "queued_at": "0001-01-01T00:00:00Z",
        "sent_at": "0001-01-01T00:00:00Z",
    }
