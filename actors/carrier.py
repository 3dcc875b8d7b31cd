"""Carrier: the part of the notifier that carries out what its outbox decides.

Decisions are carried out in their order, and each is forgotten when it is done: so after a failure
of this actor the rest is carried out, and only what cannot be is given up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final, assert_never

from ..core.attempt import Attempt
from ..core.delivery import (
    NOT_KEPT,
    Bury,
    Decision,
    Delivery,
    Disable,
    Done,
    Keep,
    Load,
    LoadKeys,
    Outcome,
    Queued,
    Send,
    Wait,
    WakeLane,
)
from ..core.endpoints import room_of
from ..core.metrics import Metrics
from ..core.outbox import Outbox
from ..core.ports import EndpointBook, OutboxStore, Poster
from ..core.signatures import SigningKey, build_signed_headers
from ..core.times import NS_PER_SECOND, to_ns
from ..core.webhook_info import describe
from ..errors import UnsendableError
from ..messages import calls
from ..messages.deliveries import DeliveryState, EndedDelivery, KeptDelivery
from ..messages.endpoints import Endpoint
from ..messages.outputs import AttemptEnded, LaneDue, RetryDue
from ._base import GreenroomActor

INTERNAL_ERROR: Final = "internal error; see the dead letters"
UNKNOWN_ENDPOINT: Final = "the endpoint was removed"


class Carrier(GreenroomActor):
    """Sends, waits, writes, and tells what became of it."""

    metrics: Metrics
    poster: Poster
    book: EndpointBook
    store: OutboxStore | None  # None: webhooks are in memory only
    outbox: Outbox
    _endpoints: dict[str, Endpoint]
    _signing: dict[str, tuple[SigningKey, ...]]
    _todo: deque[tuple[Decision, int]]  # decided, not carried out yet; when
    _judging: tuple[AttemptEnded, int] | None = None  # what ended, and when

    def decide(self, decisions: tuple[Decision, ...], at_ns: int) -> None:
        """Carry these out, behind what is left of those before."""
        self._judging = None
        self._todo.extend((decision, at_ns) for decision in decisions)
        self.carry_out()

    def carry_out(self) -> None:
        """Do what was decided, in order; a decision is forgotten when it is done."""
        while self._todo:
            self._do(*self._todo[0])
            self._todo.popleft()

    def carry_on(self) -> None:
        """After a failure: what could not be done is given up, and the rest is carried out."""
        if self._judging is not None:  # whatever it was in the answer, it must not hold the queue
            (ended, at_ns), self._judging = self._judging, None
            self.fail_attempt(ended.delivery_id, ended.attempt, at_ns)
        elif self._todo:
            decision, at_ns = self._todo.popleft()
            if isinstance(decision, Send):
                self.fail_attempt(decision.delivery.id, decision.attempt, at_ns)
            elif isinstance(decision, Wait | WakeLane | Load | LoadKeys | Bury):
                self._todo.appendleft((decision, at_ns))  # without it a queue would stand still
        self.carry_out()

    def fail_attempt(
        self, delivery_id: int, attempt: int, at_ns: int, error: str = INTERNAL_ERROR
    ) -> None:
        """An attempt that came to nothing here: the delivery fails, its queue goes on."""
        ended = AttemptEnded(
            delivery_id,
            attempt,
            status=None,
            retry_after="",
            error=error,
            retryable=False,
            sent=False,
        )
        decisions = self.outbox.attempt_ended(ended, at_ns, 0.0)
        self._todo.extendleft((decision, at_ns) for decision in reversed(decisions))

    # ── one decision ────────────────────────────────────────────────────────────────────────

    def _do(self, decision: Decision, at_ns: int) -> None:
        match decision:
            case Queued(length):
                self.metrics.webhook_queued(length)
            case Keep(delivery):
                self._keep(delivery)
            case Send(delivery, attempt):
                self._send(delivery, attempt, at_ns)
                if (lane := self.outbox.lanes.get(delivery.endpoint_id)) is not None:
                    self.metrics.webhooks.sent(lane)
            case Wait():
                self._wait(decision, at_ns)
            case WakeLane(endpoint_id, number, seconds):
                self.wake_after(seconds, LaneDue(endpoint_id, number))
            case Load(endpoint_id, key, after, limit):
                self._store.load(endpoint_id, key, after, limit, self.myAddress)
            case LoadKeys(endpoint_id, after, limit):
                self._store.load_keys(endpoint_id, after, limit, self.myAddress)
            case Bury(endpoint_id, last_id, spared):
                self._store.bury(endpoint_id, last_id, spared, at_ns, self.myAddress)
            case Disable(endpoint_id, reason):
                self._disable(endpoint_id, reason)
            case Done():
                self._finish(decision)
            case _:
                assert_never(decision)

    @property
    def _store(self) -> OutboxStore:
        if self.store is None:
            raise LookupError("there is no store: nothing is in it")
        return self.store

    def _disable(self, endpoint_id: str, reason: str) -> None:
        if (endpoint := self._endpoints.get(endpoint_id)) is not None:
            disabled = replace(endpoint, is_enabled=False, reason=reason)
            self._endpoints[endpoint_id] = disabled
            self.metrics.webhooks.disabled(endpoint_id)
            self.book.put(disabled)

    def _keep(self, delivery: Delivery) -> None:
        event = delivery.event
        row = KeptDelivery(
            id=delivery.id,
            endpoint=delivery.endpoint_id,
            key=delivery.key,
            event_id=event.id,
            event=event.event,
            room=room_of(event),
            body=delivery.body,
            queued_at_ns=delivery.queued_at_ns,
        )
        self._store.keep((row,), self.myAddress)

    def _send(self, delivery: Delivery, attempt: int, at_ns: int) -> None:
        """Sign anew, because a token is valid for minutes and retries go on for days."""
        endpoint = self._endpoints.get(delivery.endpoint_id)
        if endpoint is None:
            self.fail_attempt(delivery.id, attempt, at_ns, UNKNOWN_ENDPOINT)
            return
        try:
            headers = build_signed_headers(
                delivery.body,
                delivery.event.id,
                delivery.sequence,
                delivery.key,
                self._signing[endpoint.id],
                at_ns // NS_PER_SECOND,
                endpoint=endpoint.id,
            )
        except UnsendableError as error:
            self.fail_attempt(delivery.id, attempt, at_ns, str(error))
            return
        policy = endpoint.delivery_policy
        self.poster.post(
            Attempt(
                delivery_id=delivery.id,
                number=attempt,
                url=endpoint.url,
                headers=headers,
                body=delivery.body,
                connect_timeout_seconds=policy.connect_timeout_seconds,
                total_timeout_seconds=policy.total_timeout_seconds,
                allow_private=endpoint.allow_private,
            ),
            self.myAddress,
        )

    def _wait(self, wait: Wait, at_ns: int) -> None:
        self.wake_after(wait.seconds, RetryDue(wait.delivery_id, wait.attempt))
        if self.store is not None and wait.error is not None:
            self.store.postpone(
                wait.delivery_id,
                wait.attempt - 1,
                at_ns + to_ns(wait.seconds),
                wait.status,
                wait.error,
                wait.started_at_ns,
            )

    def _finish(self, done: Done) -> None:
        delivery = done.delivery
        self.metrics.webhook_dispatched(done.outcome, done.reason)
        self.metrics.webhooks.ended(done)
        endpoint = self._endpoints.get(delivery.endpoint_id)
        url = "" if endpoint is None else endpoint.url
        self.door.enter(self.parent, calls.Webhook(describe(done, url)))
        if self.store is not None and done.reason != NOT_KEPT:
            is_delivered = done.outcome is Outcome.SUCCESS
            self.store.end(
                EndedDelivery(
                    id=delivery.id,
                    state=DeliveryState.DELIVERED if is_delivered else DeliveryState.DEAD,
                    attempts=done.attempts,
                    status=done.status,
                    error=done.send_error or done.reason,
                    started_at_ns=delivery.started_at_ns or 0,
                    ended_at_ns=done.ended_at_ns,
                )
            )
