"""Endpoints that are removed while something waits for them, and what could not be kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from livekit.protocol.webhook import WebhookEvent

from greenroom.config import DEFAULT_POLICY
from greenroom.core.delivery import (
    NOT_KEPT,
    REMOVED,
    Bury,
    Decision,
    Delivery,
    Done,
    Keep,
    Outcome,
    Send,
)
from greenroom.core.lane import Limits
from greenroom.core.outbox import Outbox
from greenroom.messages.outputs import AttemptEnded, RetryDue

NOW_NS: Final = 1_700_000_000_000_000_000
POLICY: Final = replace(DEFAULT_POLICY, max_in_flight=2)
LIMITS: Final = Limits(window=2, window_min=2, deliveries=4, queues=2, page=2)
KEYS: Final = "aabbbbbccdd"  # beyond two queues and windows of two: tails, and cold keys


def outbox_with(*, is_stored: bool) -> Outbox:
    outbox = Outbox(pending={} if is_stored else None, limits=LIMITS)
    for one in ("EP", "other"):
        outbox.set_lane(one, "http://h", POLICY, NOW_NS)
    return outbox


def offer(outbox: Outbox, key: str, endpoint: str = "EP") -> tuple[Decision, ...]:
    return outbox.offer(endpoint, key, WebhookEvent(id=key), b"", NOW_NS)


def end(outbox: Outbox, delivery_id: int, status: int) -> tuple[Decision, ...]:
    ended = AttemptEnded(delivery_id, 1, status, "", "", True, True)
    return outbox.attempt_ended(ended, NOW_NS, 0.0)


def deliveries(decisions: tuple[Decision, ...]) -> list[Delivery]:
    return [one.delivery for one in decisions if isinstance(one, Keep)]


def dones(decisions: tuple[Decision, ...]) -> list[tuple[int, Outcome, str]]:
    return [(x.delivery.id, x.outcome, x.reason) for x in decisions if isinstance(x, Done)]


def test_without_a_store_what_waits_is_dropped_and_what_is_in_flight_ends() -> None:
    outbox = outbox_with(is_stored=False)
    for key in ("a", "a", "b", "b", "c"):  # a and b are in flight, c has no room
        offer(outbox, key)
    offer(outbox, "a", "other")
    end(outbox, 3, 503)  # b waits for its second attempt, so c goes

    decisions = outbox.remove_lane("EP", NOW_NS)

    assert sorted(dones(decisions)) == [(one, Outcome.DROP, REMOVED) for one in (2, 3, 4)]
    assert outbox.statistics().held == 3
    assert outbox.retry_due(RetryDue(3, 2), NOW_NS) == ()
    assert dones(end(outbox, 1, 200)) == [(1, Outcome.SUCCESS, "")]
    assert [one[:2] for one in dones(end(outbox, 5, 503))] == [(5, Outcome.FAILURE)]  # the last
    assert outbox.statistics().held == 1
    assert outbox.remove_lane("EP", NOW_NS) == ()


def test_with_a_store_all_of_it_but_what_is_in_flight_is_buried() -> None:
    outbox = outbox_with(is_stored=True)
    for number, key in enumerate(KEYS, 1):
        offer(outbox, key)
        outbox.kept([(number, number)], NOW_NS)
    offer(outbox, "a")  # not on the disk yet
    last = len(KEYS) + 1

    decisions = outbox.remove_lane("EP", NOW_NS)

    assert decisions == (Bury("EP", last, (1, 3)),)
    assert outbox.kept([(last, last)], NOW_NS) == ()
    assert dones(end(outbox, 1, 200)) == [(1, Outcome.SUCCESS, "")]
    assert [one[:2] for one in dones(end(outbox, 3, 503))] == [(3, Outcome.FAILURE)]
    assert outbox.statistics().held == 0


def test_what_is_asked_for_again_of_a_removed_endpoint_is_buried_again() -> None:
    outbox = outbox_with(is_stored=True)
    (delivery,) = deliveries(offer(outbox, "a"))
    outbox.kept([(1, 1)], NOW_NS)
    end(outbox, 1, 404)
    outbox.remove_lane("EP", NOW_NS)

    assert outbox.requeued([delivery], NOW_NS) == (Bury("EP", 1, ()),)


def test_answers_of_the_store_for_a_removed_endpoint_are_stale() -> None:
    outbox = outbox_with(is_stored=True)
    outbox.remove_lane("EP", NOW_NS)

    assert outbox.loaded("EP", "a", [], NOW_NS) == ()
    assert outbox.keys_loaded("EP", [("a", 1)], 2, NOW_NS) == ()
    assert outbox.statistics().stale == 2


def test_each_one_that_is_not_kept_is_done_once_also_of_a_tail_and_of_a_cold_key() -> None:
    outbox = outbox_with(is_stored=True)
    refused = [row for key in KEYS for row in deliveries(offer(outbox, key))]

    decisions = outbox.not_kept(refused, NOW_NS)

    ids = range(1, len(KEYS) + 1)
    assert dones(decisions) == [(one, Outcome.DROP, NOT_KEPT) for one in ids]
    assert outbox.statistics().offered == len(KEYS)


def test_the_last_word_on_a_tail_that_was_not_kept_ends_its_wait() -> None:
    outbox = outbox_with(is_stored=True)
    rows = [row for _ in range(4) for row in deliveries(offer(outbox, "a"))]
    outbox.kept([(1, 1), (2, 2)], NOW_NS)
    outbox.not_kept(rows[2:], NOW_NS)

    end(outbox, 1, 200)
    end(outbox, 2, 200)
    outbox.loaded("EP", "a", [], NOW_NS)

    assert outbox.statistics().held == 0
    (kept,) = deliveries(offer(outbox, "a"))
    assert any(isinstance(one, Send) for one in outbox.kept([(kept.id, 3)], NOW_NS))
