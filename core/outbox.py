"""Outbox: which webhook is to be sent when. Decides; whoever asks does.

There is one queue for each (URL, event key). Its first event is the *head*; the others wait.

    state        head         input                               next state (decisions)
    ───────────  ───────────  ──────────────────────────────────  ────────────────────────────
    IDLE         none         offer                               IN_FLIGHT (Queued, Send 1)
    any other    any          offer, fewer than max_depth wait    same (Queued)
    any other    any          offer, max_depth wait               same (Done DROP, full)
    IN_FLIGHT    attempt n    n ended, worth another              BACKING_OFF (Wait n + 1)
    IN_FLIGHT    attempt n    n ended: delivered                  *turn* (Done SUCCESS)
    IN_FLIGHT    attempt n    n ended: no use, or the last        *turn* (Done FAILURE)
    BACKING_OFF  n + 1 due    retry n + 1 due                     IN_FLIGHT (Send n + 1)
    IDLE         none         sweep, unused for idle_seconds      forgotten
    any          any          any other attempt or retry          same (), counted as stale

    *turn*: the oldest waiting event becomes the head: IN_FLIGHT (Send 1); those that are older
    than max_age are dropped on the way (Done DROP, age); none left: IDLE.

Invariants:
    1. Every offered event ends in exactly one Done, or is still held.
    2. Per queue, sends and Dones of accepted events come in the order of the offers: a retried
       event is not overtaken.
    3. Per queue, at most one attempt is in flight. No queue waits for another.
    4. Only an empty queue is forgotten, so a later event cannot overtake (the original's can).

Source: livekit/protocol webhook/{resource_url_notifier,resource_queue}.go, at the version that
webhook.py names.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from livekit.protocol.webhook import WebhookEvent

from ..config import DeliveryPolicy
from ..messages.outputs import AttemptEnded, RetryDue
from .delivery import (
    QUEUE_FULL,
    TOO_OLD,
    Decision,
    Delivery,
    Done,
    Outcome,
    Queued,
    QueueKey,
    Send,
    Wait,
)
from .retry import Verdict, classify, send_error, unexpected_status, wait_seconds
from .times import NS_PER_SECOND, to_ns
from .webhook import Target


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """What an outbox holds, and what it has done since it was made.

    `offered` = `held` + `succeeded` + `failed` + `dropped_full` + `dropped_age`; and
    `held` = `waiting` + `in_flight` + `backing_off`.
    """

    queues: int
    held: int
    waiting: int
    in_flight: int
    backing_off: int
    offered: int
    succeeded: int
    failed: int
    dropped_full: int
    dropped_age: int
    stale: int


class _State(Enum):
    IDLE = "idle"
    IN_FLIGHT = "in flight"
    BACKING_OFF = "backing off"


@dataclass(slots=True)
class _Queue:
    waiting: deque[Delivery] = field(default_factory=deque)
    state: _State = _State.IDLE
    head: Delivery | None = None
    attempt: int = 0  # in flight, or due after the wait
    started_at_ns: int = 0
    used_at_ns: int = 0
    waits_since_ns: int = 0  # when it backed off the last time
    due_at_ns: int = 0


class Outbox:
    """The queues of one notifier; not thread-safe, as an actor's state need not be."""

    def __init__(self, policy: DeliveryPolicy) -> None:
        self._policy = policy
        self._queues: dict[QueueKey, _Queue] = {}
        self._by_head: dict[int, _Queue] = {}
        self._offered = 0
        self._stale = 0
        self._ended: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self._dropped_full = 0

    def __repr__(self) -> str:
        return f"Outbox({self.statistics()})"

    def __len__(self) -> int:
        """How many queues there are, idle ones included."""
        return len(self._queues)

    def offer(
        self, target: Target, event_key: str, event: WebhookEvent, body: bytes, now_ns: int
    ) -> tuple[Decision, ...]:
        """Take one event for one URL; O(1). The caller must not modify `event` any more."""
        self._offered += 1
        delivery = Delivery(self._offered, target, event, body, now_ns)
        key = QueueKey(target.url, event_key)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
        queue.used_at_ns = now_ns
        if len(queue.waiting) >= self._policy.max_depth:
            self._dropped_full += 1
            return (self._done(delivery, Outcome.DROP, now_ns, reason=QUEUE_FULL),)
        queue.waiting.append(delivery)
        queued = Queued(len(queue.waiting))
        if queue.state is _State.IDLE:
            return (queued, *self._next_turn(queue, now_ns))
        return (queued,)

    def attempt_ended(
        self, ended: AttemptEnded, now_ns: int, fraction: float
    ) -> tuple[Decision, ...]:
        """Judge an attempt.

        Args:
            ended: Its outcome.
            now_ns: Unix ns.
            fraction: In [0, 1), for the jitter of the wait that may follow.
        """
        queue = self._awaited(_State.IN_FLIGHT, ended.delivery_id, ended.attempt)
        if queue is None or queue.head is None:
            return ()
        verdict = classify(self._policy, ended.status, retryable=ended.retryable)
        if verdict is Verdict.RETRY and ended.attempt < self._policy.max_attempts:
            return (self._back_off(queue, ended, now_ns, fraction),)
        delivery, error, outcome = queue.head, "", Outcome.SUCCESS
        if verdict is not Verdict.DELIVERED:
            outcome = Outcome.FAILURE
            error = _failure_text(delivery.target.url, ended, verdict)
        done = self._done(
            delivery, outcome, now_ns, send_error=error, started_at_ns=queue.started_at_ns
        )
        return (done, *self._next_turn(queue, now_ns))

    def retry_due(self, due: RetryDue) -> tuple[Decision, ...]:
        """The wait before an attempt is over."""
        queue = self._awaited(_State.BACKING_OFF, due.delivery_id, due.attempt)
        if queue is None or queue.head is None:
            return ()
        queue.state = _State.IN_FLIGHT
        return (Send(queue.head, queue.attempt),)

    def waits(self, now_ns: int) -> tuple[Wait, ...]:
        """What is left of every wait; all of it, if `now_ns` is before the wait began. O(heads).

        For a notifier whose wake-ups are gone.
        """
        return tuple(
            Wait(
                delivery_id,
                queue.attempt,
                max(queue.due_at_ns - max(now_ns, queue.waits_since_ns), 0) / NS_PER_SECOND,
            )
            for delivery_id, queue in self._by_head.items()
            if queue.state is _State.BACKING_OFF
        )

    def sweep(self, now_ns: int) -> tuple[QueueKey, ...]:
        """Forget the queues that are empty and had no event for longer than `idle_seconds`."""
        oldest_ns = now_ns - to_ns(self._policy.idle_seconds)
        forgotten = tuple(
            key
            for key, queue in self._queues.items()
            if queue.state is _State.IDLE and queue.used_at_ns < oldest_ns
        )
        for key in forgotten:
            del self._queues[key]
        return forgotten

    def statistics(self) -> OutboxStatistics:
        """Counts; O(queues)."""
        waiting = sum(len(queue.waiting) for queue in self._queues.values())
        states = [queue.state for queue in self._by_head.values()]
        return OutboxStatistics(
            queues=len(self._queues),
            held=waiting + len(states),
            waiting=waiting,
            in_flight=states.count(_State.IN_FLIGHT),
            backing_off=states.count(_State.BACKING_OFF),
            offered=self._offered,
            succeeded=self._ended[Outcome.SUCCESS],
            failed=self._ended[Outcome.FAILURE],
            dropped_full=self._dropped_full,
            dropped_age=self._ended[Outcome.DROP] - self._dropped_full,
            stale=self._stale,
        )

    def _awaited(self, state: _State, delivery_id: int, attempt: int) -> _Queue | None:
        """The queue whose head awaits exactly this; anything else is stale and counted."""
        queue = self._by_head.get(delivery_id)
        if queue is None or queue.state is not state or queue.attempt != attempt:
            self._stale += 1
            return None
        return queue

    def _next_turn(self, queue: _Queue, now_ns: int) -> list[Decision]:
        """The head is gone, or there was none: find the next."""
        if queue.head is not None:
            del self._by_head[queue.head.id]
        queue.head, queue.state, queue.attempt = None, _State.IDLE, 0
        decisions: list[Decision] = []
        while queue.waiting:
            delivery = queue.waiting.popleft()
            if self._is_too_old(delivery, now_ns):
                decisions.append(self._done(delivery, Outcome.DROP, now_ns, reason=TOO_OLD))
                continue
            queue.head, queue.state, queue.attempt = delivery, _State.IN_FLIGHT, 1
            queue.started_at_ns = now_ns
            self._by_head[delivery.id] = queue
            decisions.append(Send(delivery, 1))
            break
        return decisions

    def _is_too_old(self, delivery: Delivery, now_ns: int) -> bool:
        max_age = self._policy.max_age_seconds
        return max_age is not None and now_ns - delivery.queued_at_ns > to_ns(max_age)

    def _back_off(self, queue: _Queue, ended: AttemptEnded, now_ns: int, fraction: float) -> Wait:
        queue.state, queue.attempt = _State.BACKING_OFF, ended.attempt + 1
        seconds = wait_seconds(
            self._policy,
            ended.attempt,
            now_s=now_ns / NS_PER_SECOND,
            status=ended.status,
            retry_after=ended.retry_after,
            fraction=fraction,
        )
        queue.waits_since_ns, queue.due_at_ns = now_ns, now_ns + to_ns(seconds)
        return Wait(ended.delivery_id, queue.attempt, seconds)

    def _done(
        self,
        delivery: Delivery,
        outcome: Outcome,
        now_ns: int,
        *,
        reason: str = "",
        send_error: str = "",
        started_at_ns: int | None = None,
    ) -> Done:
        self._ended[outcome] += 1
        return Done(delivery, outcome, reason, send_error, started_at_ns, now_ns)


def _failure_text(url: str, ended: AttemptEnded, verdict: Verdict) -> str:
    """A retried status alone leaves no reason, as in the original; one that ends it is named."""
    reason = ended.error
    if ended.status is not None:
        reason = unexpected_status(ended.status) if verdict is Verdict.GIVE_UP else ""
    return send_error(url, ended.attempt, reason, sent=ended.sent)
