"""Whatever happens in whatever order, the outbox does what a list of ids per key would do."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from livekit.protocol.webhook import WebhookEvent

from greenroom.config import LIVEKIT_POLICY
from greenroom.core.delivery import Decision, Done, Send, Wait
from greenroom.core.outbox import Outbox
from greenroom.core.times import to_ns
from greenroom.core.webhook import Target
from greenroom.messages.outputs import AttemptEnded, RetryDue

KEYS: Final = [("u1", "a"), ("u1", "b"), ("u2", "a")]
POLICY: Final = replace(
    LIVEKIT_POLICY, max_attempts=2, max_depth=2, max_age_seconds=30.0, idle_seconds=10.0
)


class OutboxMachine(RuleBasedStateMachine):
    """The model: a list of ids per key, of which the first is in flight or backing off."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(POLICY)
        self.now = 0.0
        self.queues: dict[tuple[str, str], deque[int]] = {key: deque() for key in KEYS}
        self.in_flight: dict[int, int] = {}  # delivery -> attempt
        self.backing_off: dict[int, int] = {}
        self.ended: list[int] = []
        self.offered = 0
        self.stale = 0

    def follow(self, decisions: tuple[Decision, ...]) -> None:
        for decision in decisions:
            match decision:
                case Send(delivery, attempt):
                    assert self.queues[self.key_of(delivery.id)][0] == delivery.id
                    assert delivery.id not in self.in_flight | self.backing_off
                    self.in_flight[delivery.id] = attempt
                case Wait(delivery_id, attempt, seconds):
                    assert seconds > 0
                    self.backing_off[delivery_id] = attempt
                case Done(delivery, _, "queue is full"):
                    self.ended.append(delivery.id)
                case Done(delivery):
                    assert self.queues[self.key_of(delivery.id)].popleft() == delivery.id
                    self.ended.append(delivery.id)

    def now_ns(self) -> int:
        return to_ns(self.now)

    def end(self, delivery_id: int, attempt: int, status: int | None) -> tuple[Decision, ...]:
        ended = AttemptEnded(delivery_id, attempt, status, "", "", retryable=True, sent=True)
        return self.outbox.attempt_ended(ended, self.now_ns(), fraction=0.5)

    def key_of(self, delivery_id: int) -> tuple[str, str]:
        return next(key for key, queue in self.queues.items() if delivery_id in queue)

    @rule(key=st.sampled_from(KEYS), wait=st.sampled_from([0.0, 0.0, 5.0, 31.0]))
    def offer(self, key: tuple[str, str], wait: float) -> None:
        self.now += wait
        self.offered += 1
        is_full = len(self.queues[key]) > POLICY.max_depth
        if not is_full:
            self.queues[key].append(self.offered)
        target = Target(key[0], "key", "secret")
        decisions = self.outbox.offer(target, key[1], WebhookEvent(), b"", self.now_ns())
        assert isinstance(decisions[0], Done) is is_full
        self.follow(decisions)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), status=st.sampled_from([200, 404, 500, None]))
    def attempt_ends(self, data: st.DataObject, status: int | None) -> None:
        delivery_id = data.draw(st.sampled_from(sorted(self.in_flight)))
        attempt = self.in_flight.pop(delivery_id)
        decisions = self.end(delivery_id, attempt, status)
        is_retried = status in {500, None} and attempt < POLICY.max_attempts
        assert isinstance(decisions[0], Wait if is_retried else Done)
        self.follow(decisions)

    @precondition(lambda self: self.backing_off)
    @rule(data=st.data())
    def wait_ends(self, data: st.DataObject) -> None:
        delivery_id = data.draw(st.sampled_from(sorted(self.backing_off)))
        attempt = self.backing_off.pop(delivery_id)
        self.follow(self.outbox.retry_due(RetryDue(delivery_id, attempt)))
        assert self.in_flight[delivery_id] == attempt

    @rule(delivery_id=st.integers(0, 9), attempt=st.integers(0, 3))
    def something_stale_comes(self, delivery_id: int, attempt: int) -> None:
        if self.in_flight.get(delivery_id) != attempt:
            self.stale += 1
            assert self.end(delivery_id, attempt, 200) == ()
        if self.backing_off.get(delivery_id) != attempt:
            self.stale += 1
            assert self.outbox.retry_due(RetryDue(delivery_id, attempt)) == ()

    @rule(wait=st.sampled_from([1.0, 11.0]))
    def sweep(self, wait: float) -> None:
        self.now += wait
        for url, event_key in self.outbox.sweep(self.now_ns()):
            assert not self.queues[url, event_key]

    @invariant()
    def nothing_is_lost_or_doubled_and_each_key_has_one_head(self) -> None:
        held = [delivery_id for queue in self.queues.values() for delivery_id in queue]
        assert sorted(held + self.ended) == list(range(1, self.offered + 1))
        heads = [queue[0] for queue in self.queues.values() if queue]
        assert sorted(heads) == sorted(self.in_flight | self.backing_off)
        counts = self.outbox.statistics()
        assert counts.held == len(held) == counts.offered - len(self.ended)
        assert counts.held == counts.waiting + counts.in_flight + counts.backing_off
        assert counts.in_flight == len(self.in_flight)
        assert counts.stale == self.stale
        assert counts.offered == counts.held + counts.succeeded + counts.failed + (
            counts.dropped_full + counts.dropped_age
        )


TestAnyCourse = OutboxMachine.TestCase
TestAnyCourse.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
