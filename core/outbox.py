"""Outbox: which webhook is to be sent when. Decides; whoever asks does.

Each endpoint has a *lane*, and in it one queue for each key. Its first event is the *head*.

    state        head        input                              next state (decisions)
    ───────────  ──────────  ─────────────────────────────────  ─────────────────────────────
    IDLE         none        offer                              *turn*, when it is kept
    any other    any         offer                              same
    IN_FLIGHT    attempt n   n ended, worth another             BACKING_OFF (Wait n + 1)
    IN_FLIGHT    attempt n   n ended: delivered                 *turn* (Done SUCCESS)
    IN_FLIGHT    attempt n   n ended: no use, or the last       *turn* (Done FAILURE)
    BACKING_OFF  n + 1 due   retry n + 1 due                    *pass*
    BACKING_OFF  n + 1 due   the endpoint is up again           *pass*
    BACKING_OFF  n + 1 due   a probe is due, none is BLOCKED    IN_FLIGHT (Send n + 1)
    IN_FLIGHT    probe       it ended, worth another            BACKING_OFF (Wait n + 1), as before
    BLOCKED      n due       there is room, a token, a probe    *pass*
    IDLE         none        sweep, unused for idle_seconds     forgotten
    IN_FLIGHT    attempt n   its endpoint is removed            same (Bury); n's end is the last
    any other    any         its endpoint is removed            forgotten (Bury, or Dones: DROP)
    any          any         any other attempt or retry         same (), counted as stale

    *turn*: the oldest waiting event becomes the head, and is to *pass*; those that are older than
    max_age are dropped on the way (Done DROP, age); none left: IDLE.
    *pass*: IN_FLIGHT (Send n) if the lane's gate lets it through, otherwise BLOCKED.

With a store an event is *kept* (Keep) before anything else happens to it. Of each queue a window
is in memory, and the tail in the store until it is loaded (Load); of each endpoint so many queues,
and other keys are cold (LoadKeys). Without one, `max_depth` bounds what is held.

Invariants:
    1. Every offered event ends in exactly one Done, or is still held or in the store (where it may
       be buried).
    2. Per queue, sends and Dones of accepted events come in the order of the offers: a retried
       event is not overtaken.
    3. Per queue, at most one attempt is in flight. No queue waits for another of another lane.
    4. Only an empty queue is forgotten, so a later event cannot overtake (the original's can).

Source: livekit/protocol webhook/{resource_url_notifier,resource_queue}.go, at the version that
webhook.py names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from livekit.protocol.webhook import WebhookEvent

from ..config import DeliveryPolicy
from ..messages.outputs import AttemptEnded, LaneDue, RetryDue
from .cold_keys import ColdKeys
from .delivery import (
    QUEUE_FULL,
    REMOVED,
    Bury,
    Decision,
    Delivery,
    Disable,
    Done,
    Outcome,
    Queued,
)
from .gate import Gate
from .lane import Lane, Limits, Queue, State
from .outbox_statistics import OutboxStatistics, count_up
from .retry import Verdict, cause_of, classify, failure_text
from .shelf import Shelf
from .times import to_ns
from .turns import Turns


class Outbox:
    """The queues of one notifier; not thread-safe, as an actor's state need not be.

    Args:
        pending: With a store: how many deliveries are pending in it, per endpoint id. None:
            there is no store.
        next_id: The first delivery's id.
        limits: With a store: how much of it is in memory.
    """

    def __init__(
        self,
        *,
        pending: Mapping[str, int] | None = None,
        next_id: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self.lanes: dict[str, Lane] = {}
        self._is_stored = pending is not None
        self._pending = dict(pending or {})  # of endpoints that have no lane yet
        self._next_id = next_id
        limits = limits or Limits()
        self._turns = Turns(limits)
        self._shelf = Shelf(self._turns, limits)
        self._offered = self._stale = self._dropped_full = 0
        self._is_paused = False

    def __repr__(self) -> str:
        return f"Outbox({self.statistics()})"

    def __len__(self) -> int:
        """How many queues there are in memory, idle ones included."""
        return sum(len(lane.queues) for lane in self.lanes.values())

    def set_lane(
        self,
        endpoint_id: str,
        url: str,
        policy: DeliveryPolicy,
        now_ns: int,
        *,
        rate_per_second: float | None = None,
        is_enabled: bool = True,
    ) -> tuple[Decision, ...]:
        """Add an endpoint, or change by which rules it is delivered to. Disabled ones wait."""
        lane = self.lanes.get(endpoint_id)
        if lane is None:
            lane = self.lanes[endpoint_id] = Lane(
                endpoint_id,
                url,
                policy,
                Gate(policy, rate_per_second),
                ColdKeys(self._pending.pop(endpoint_id, 0)),
            )
        lane.url, lane.policy, lane.is_enabled = url, policy, is_enabled
        lane.gate.change(policy, rate_per_second)
        return (*self._turns.release(lane, now_ns), *self._shelf.warm(lane))

    def remove_lane(self, endpoint_id: str, now_ns: int) -> tuple[Decision, ...]:
        """The endpoint is gone: what waits for it is dropped, what is in flight may end.

        With a store that is one `Bury`, which counts them. O(held in memory).
        """
        if (lane := self.lanes.pop(endpoint_id, None)) is None:
            return ()
        left = self._turns.remove(lane)
        if self._is_stored:
            self._shelf.forget(lane)
            return (self._burial(endpoint_id),)
        self._turns.ended[Outcome.DROP] += len(left)
        return tuple(
            Done(delivery, Outcome.DROP, REMOVED, "", attempts, None, now_ns)
            for delivery, attempts in left
        )

    def offer(
        self, endpoint_id: str, key: str, event: WebhookEvent, body: bytes, now_ns: int
    ) -> tuple[Decision, ...]:
        """Take one event for one endpoint; O(1). The caller must not modify `event` any more."""
        self._offered += 1
        delivery = Delivery(self._next_id, endpoint_id, key, event, body, now_ns)
        self._next_id += 1
        lane = self.lanes[endpoint_id]
        if self._is_stored:
            return tuple(self._shelf.offer(lane, delivery))
        queue = lane.queue_of(key)
        queue.used_at_ns = now_ns
        if len(queue.waiting) >= lane.policy.max_depth:
            self._dropped_full += 1
            return (Done(delivery, Outcome.DROP, QUEUE_FULL, "", 0, None, now_ns),)
        queue.newest += 1
        delivery.sequence = queue.newest
        queue.waiting.append(delivery)
        return (Queued(queue.length), *self._turns.next(queue, now_ns))

    def kept(self, rows: Iterable[tuple[int, int]], now_ns: int) -> tuple[Decision, ...]:
        """These deliveries are in the store.

        Args:
            rows: Id and sequence of each, in the order of the offers.
            now_ns: Unix ns.
        """
        return (*self._shelf.kept(rows, now_ns), *self._shelf.tidy())

    def not_kept(self, deliveries: Iterable[Delivery], now_ns: int) -> tuple[Decision, ...]:
        """These deliveries are not in the store, and never will be."""
        return tuple(self._shelf.not_kept(deliveries, now_ns))

    def loaded(
        self, endpoint_id: str, key: str, rows: Sequence[Delivery], now_ns: int
    ) -> tuple[Decision, ...]:
        """The next of a queue's tail, in order; fewer than a window: that was all of it."""
        lane = self.lanes.get(endpoint_id)
        queue = None if lane is None else lane.queues.get(key)
        if queue is None or not queue.is_loading:
            self._stale += 1
            return ()
        return (*self._shelf.loaded(queue, rows, now_ns), *self._shelf.tidy())

    def keys_loaded(
        self, endpoint_id: str, rows: Iterable[tuple[str, int]], limit: int, now_ns: int
    ) -> tuple[Decision, ...]:
        """These keys have so many pending deliveries in the store.

        Args:
            endpoint_id: The endpoint whose keys they are.
            rows: Keys and counts; fewer than `limit`: there are no more keys.
            limit: How many were asked for.
            now_ns: Unix ns.
        """
        lane = self.lanes.get(endpoint_id)
        if lane is None or not lane.cold.is_loading:
            self._stale += 1
            return ()
        return tuple(self._shelf.keys_loaded(lane, rows, limit, now_ns))

    def requeued(self, rows: Iterable[Delivery], now_ns: int) -> tuple[Decision, ...]:
        """Somebody asked for these again: they go before what waits, by their sequence.

        A pending one that backs off is due now. Those of removed endpoints are buried again.
        """
        decisions: list[Decision] = []
        removed: dict[str, None] = {}
        for delivery in rows:
            if (lane := self.lanes.get(delivery.endpoint_id)) is None:
                removed[delivery.endpoint_id] = None
            else:
                decisions += self._shelf.requeued(lane, delivery, now_ns)
        return (*decisions, *(self._burial(one) for one in removed))

    def attempt_ended(
        self, ended: AttemptEnded, now_ns: int, fraction: float
    ) -> tuple[Decision, ...]:
        """Judge an attempt.

        Args:
            ended: Its outcome.
            now_ns: Unix ns.
            fraction: In [0, 1), for the jitter of the wait that may follow.
        """
        queue = self._awaited(State.IN_FLIGHT, ended.delivery_id, ended.attempt)
        if queue is None or queue.head is None:
            return ()
        if self._is_paused and ended.status is None:
            queue.state = State.BLOCKED  # cut off: it is made again after the next start
            return ()
        lane, policy = queue.lane, queue.lane.policy
        verdict = classify(policy, ended.status, retryable=ended.retryable)
        decisions: list[Decision] = []
        is_up_again = False
        if verdict is Verdict.RETRY or ended.status is None:
            lane.gate.failed(now_ns, fraction)
        else:
            is_up_again = lane.gate.answered()
        may_retry = (
            verdict is Verdict.RETRY
            and not lane.is_removed
            and not self._turns.is_hopeless(queue.head, policy, now_ns)
        )
        if may_retry and queue.due_at_ns > now_ns:
            decisions.append(self._turns.wait_on(queue, queue.head, now_ns))
        elif may_retry and ended.attempt < policy.max_attempts:
            decisions.append(self._turns.back_off(queue, ended, now_ns, fraction))
        else:
            outcome, error, cause = Outcome.SUCCESS, "", ""
            if verdict is not Verdict.DELIVERED:
                outcome, error = Outcome.FAILURE, failure_text(lane.url, ended, verdict)
                cause = cause_of(verdict, ended.status)
            if ended.status in policy.disable_statuses:
                lane.is_enabled = False
                decisions.append(Disable(lane.endpoint_id, f"it answered {ended.status}"))
            done = self._turns.done(queue, outcome, now_ns, error=error, last=ended, cause=cause)
            decisions.append(done)
            decisions += self._turns.next(queue, now_ns)
        if is_up_again:
            self._turns.bring_forward(lane)
        decisions += self._turns.release(lane, now_ns)
        return (*decisions, *self._shelf.tidy())

    def retry_due(self, due: RetryDue, now_ns: int) -> tuple[Decision, ...]:
        """The wait before an attempt is over."""
        queue = self._awaited(State.BACKING_OFF, due.delivery_id, due.attempt)
        return () if queue is None else tuple(self._turns.try_send(queue, now_ns))

    def lane_due(self, due: LaneDue, now_ns: int) -> tuple[Decision, ...]:
        """Time to look at a lane that was held back."""
        lane = self.lanes.get(due.endpoint_id)
        if lane is None or lane.wake_number != due.number:
            self._stale += 1
            return ()
        lane.wake_at_ns = None
        return (*self._turns.release(lane, now_ns), *self._shelf.tidy())

    def waits(self, now_ns: int) -> tuple[Decision, ...]:
        """What is left of every wait; all of it, if `now_ns` is before the wait began. O(heads).

        For a notifier whose wake-ups are gone.
        """
        return tuple(self._turns.waits(self.lanes.values(), now_ns))

    def sweep(self, now_ns: int) -> tuple[Decision, ...]:
        """Forget the queues that are empty and had no event for longer than `idle_seconds`."""
        decisions: list[Decision] = []
        for lane in self.lanes.values():
            oldest_ns = now_ns - to_ns(lane.policy.idle_seconds)
            lane.forget_idle(oldest_ns)
            decisions += self._shelf.warm(lane)
        return tuple(decisions)

    def pause(self) -> None:
        """Send nothing more, because the process ends."""
        self._is_paused = True
        for lane in self.lanes.values():
            lane.is_enabled = False

    def sweep_seconds(self) -> float:
        """How long to wait between two sweeps: half of the shortest `idle_seconds`."""
        return min(lane.policy.idle_seconds for lane in self.lanes.values()) / 2

    def statistics(self) -> OutboxStatistics:
        """Counts; O(queues)."""
        return count_up(
            (*self.lanes.values(), *self._turns.removed()),
            unopened=sum(self._pending.values()),
            ended=self._turns.ended,
            offered=self._offered,
            dropped_full=self._dropped_full,
            stale=self._stale,
        )

    def lane_of(self, delivery_id: int) -> Lane | None:
        """Whose attempt it is to be delivered; None: it is no queue's head."""
        queue = self._turns.by_head.get(delivery_id)
        return None if queue is None else queue.lane

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _burial(self, endpoint_id: str) -> Bury:
        spared = (
            one
            for one, queue in self._turns.by_head.items()
            if queue.lane.endpoint_id == endpoint_id
        )
        return Bury(endpoint_id, self._next_id - 1, tuple(spared))

    def _awaited(self, state: State, delivery_id: int, attempt: int) -> Queue | None:
        """The queue whose head awaits exactly this; anything else is stale and counted."""
        queue = self._turns.by_head.get(delivery_id)
        if queue is None or queue.state is not state or queue.attempt != attempt:
            self._stale += 1
            return None
        return queue
