"""Who is tried while an endpoint's breaker is open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from livekit.protocol.webhook import WebhookEvent

from greenroom.config import DEFAULT_POLICY
from greenroom.core.delivery import Decision, Done, Send, Wait, WakeLane
from greenroom.core.outbox import Outbox
from greenroom.core.times import to_ns
from greenroom.messages.outputs import AttemptEnded, LaneDue, RetryDue

START_S: Final = 1_700_000_000
POLICY: Final = replace(
    DEFAULT_POLICY, breaker_failures=2, wait_min_seconds=100.0, wait_max_seconds=100.0
)


def at(seconds: float) -> int:
    return to_ns(START_S) + to_ns(seconds)


def end(
    outbox: Outbox, delivery_id: int, attempt: int, *, status: int = 200, now: float = 0.0
) -> tuple[Decision, ...]:
    ended = AttemptEnded(delivery_id, attempt, status, "", "", retryable=True, sent=True)
    return outbox.attempt_ended(ended, at(now), 0.0)


def shape(decisions: tuple[Decision, ...]) -> list[str]:
    shown = []
    for decision in decisions:
        match decision:
            case Send(delivery, attempt):
                shown.append(f"send {delivery.event.id} {attempt}")
            case Wait(_, attempt, seconds):
                shown.append(f"wait {seconds:g} for {attempt}")
            case Done(delivery, outcome):
                shown.append(f"{outcome} {delivery.event.id}")
    return shown


def opened(**policy: Any) -> Outbox:
    """Events 1 and 2 of two rooms failed, and wait for 100 s; the breaker is open for 5 s."""
    outbox = Outbox()
    outbox.set_lane("EP", "http://h/hook", replace(POLICY, **policy), at(0.0))
    outbox.offer("EP", "one", WebhookEvent(id="a"), b"", at(0.0))
    outbox.offer("EP", "two", WebhookEvent(id="b"), b"", at(0.0))
    end(outbox, 1, 1, status=503)
    end(outbox, 2, 1, status=503)
    return outbox


def look(outbox: Outbox, now: float) -> tuple[Decision, ...]:
    number = outbox.lanes["EP"].wake_number
    return outbox.lane_due(LaneDue("EP", number), at(now))


def test_while_the_breaker_is_open_one_that_waits_for_longer_probes() -> None:
    outbox = opened()

    assert shape(look(outbox, 5.0)) == ["send a 2"]
    assert shape(end(outbox, 1, 2, now=5.0)) == ["success a", "send b 2"]


def test_a_probe_that_fails_costs_no_attempt_and_the_next_one_is_another_rooms() -> None:
    outbox = opened(max_attempts=2)
    look(outbox, 5.0)

    assert shape(end(outbox, 1, 2, status=503, now=6.0)) == ["wait 94 for 2"]
    assert shape(look(outbox, 16.0)) == ["send b 2"]
    assert shape(end(outbox, 2, 2, status=503, now=16.0)) == ["wait 84 for 2"]
    assert shape(outbox.retry_due(RetryDue(1, 2), at(100.0))) == ["send a 2"]
    assert shape(end(outbox, 1, 2, status=503, now=100.0)) == ["failure a"]


def test_a_look_that_comes_a_moment_too_early_is_not_repeated_at_once() -> None:
    outbox = opened()
    early = outbox.lane_due(LaneDue("EP", outbox.lanes["EP"].wake_number), at(5.0) - 1)

    assert [one.seconds for one in early if isinstance(one, WakeLane)] == [0.001]
