"""Notifier: sends the webhooks, in order for each endpoint and event key.

Told `Notify` by the supervisor, and stamped: results of attempts, what the store answers, retries
that are due, endpoints that changed. Orders attempts from the poster; tells the supervisor each
webhook's fate as a `calls.Webhook` through the door. Lives as long as the supervisor; without a
store, what it holds then is lost and counted. When somebody else ends it, its heir goes on where
it was.

Source: livekit/protocol webhook/notifier.go, DefaultNotifier.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import ClassVar, Final

from google.protobuf.json_format import Parse, ParseError
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..core.delivery import REMOVED, Delivery, Outcome
from ..core.endpoints import (
    UNUSABLE,
    accepts,
    extra_endpoint,
    known_endpoints,
    room_of,
    signing_keys,
    tried_again,
)
from ..core.ids import derive_fraction
from ..core.outbox import Outbox
from ..core.signatures import SigningKey
from ..core.webhook import encode_body, event_key
from ..core.webhook_info import build_webhook_info
from ..errors import ConfigError, UnsendableError
from ..messages import calls
from ..messages.control import Stamped
from ..messages.deliveries import (
    Buried,
    Kept,
    KeptDelivery,
    KeysLoaded,
    Loaded,
    NotKept,
    Requeued,
    StoredDelivery,
)
from ..messages.endpoints import Endpoint, EndpointChanged, EndpointRemoved, Origin, StopSending
from ..messages.outputs import AttemptEnded, LaneDue, Notify, RetryDue, SweepDue
from ._base import ActorAddress, Configure, stamped, told
from .carrier import Carrier
from .estate import Inherit

FIRST_FAILURE: Final = 300  # only a retry's wait has jitter
UNFINISHED: Final = "webhook_unfinished"


class Notifier(Carrier):
    """A thin shell over the outbox."""

    inherited: ClassVar[tuple[str, ...]] = (
        "outbox",
        "_endpoints",
        "_signing",
        "_todo",
        "_judging",
        "_sweeps",
    )

    def on_configure(self, configure: Configure) -> None:
        """Endpoints are those of the settings, and those that were added before."""
        ports = configure.ports
        self.door, self.metrics, self.poster = ports.door, ports.metrics, ports.poster
        self.store, self.book = ports.outbox, ports.endpoints
        self._webhook = configure.settings.webhook
        self._kept = ports.past.kept  # what a life before has made of the same inputs
        self._endpoints, self._signing = {}, {}
        self._todo = deque()
        self._awaits_sweep = False
        self._sweeps = 0
        if self.store is None:
            self.outbox = Outbox()
        else:
            self.outbox = Outbox(pending=self.store.pending, next_id=self.store.next_id)
        kept = {endpoint.id: endpoint for endpoint in self.book.endpoints()}
        for endpoint in known_endpoints(self._webhook, kept.values()):
            self._put(tried_again(endpoint), at_ns=0)
            if (now := self._endpoints[endpoint.id]) != kept.get(endpoint.id):
                self.book.put(now)  # so that others see it in the data directory
        if self.store is not None:
            self.store.watch(self.myAddress)

    @told(Notify)
    def on_notify(self, notify: Notify, sender: ActorAddress) -> None:
        """Every endpoint whose filters let it through, then every extra webhook.

        No endpoint's trouble keeps the event from another, unlike in the original.
        """
        event, at_ns = notify.event, notify.at_ns
        room = room_of(event)
        chosen = [
            endpoint
            for endpoint in self._endpoints.values()
            if endpoint.origin is not Origin.EXTRA
            and endpoint.is_enabled
            and accepts(endpoint, event.event, room)
            and (endpoint.id, event.id) not in self._kept
        ]
        for extra in notify.extra_webhooks:
            try:
                endpoint = self._extra(extra, at_ns)
            except (UnsendableError, ConfigError) as error:
                self._refuse(event, extra.url, str(error))
            else:
                if (
                    endpoint.is_enabled
                    and accepts(endpoint, event.event, room)
                    and (endpoint.id, event.id) not in self._kept
                ):
                    chosen.append(endpoint)
        if chosen:
            key, body = event_key(event), encode_body(event)
            for endpoint in chosen:
                self.metrics.webhooks.accepted(endpoint.id, at_ns)
                offered = self.outbox.offer(endpoint.id, key, event, body, at_ns)
                self._todo.extend((decision, at_ns) for decision in offered)
            self.carry_out()
            self._await_sweep()

    # ── results and wake-ups ────────────────────────────────────────────────────────────────

    @stamped(AttemptEnded)
    def on_attempt_ended(self, ended: AttemptEnded, stamp: Stamped) -> None:
        """Delivered, to be retried, or given up."""
        self._judging = ended, stamp.at_ns
        is_retried = ended.status is None or ended.status >= FIRST_FAILURE
        fraction = derive_fraction(stamp.position, ended.delivery_id) if is_retried else 0.0
        lane = self.outbox.lane_of(ended.delivery_id)
        decisions = self.outbox.attempt_ended(ended, stamp.at_ns, fraction)
        if lane is not None and decisions:
            self.metrics.webhooks.attempted(lane, ended)
        self.decide(decisions, stamp.at_ns)

    @stamped(RetryDue)
    def on_retry_due(self, due: RetryDue, stamp: Stamped) -> None:
        """The next attempt, unless this wake-up came too late for it."""
        self.decide(self.outbox.retry_due(due, stamp.at_ns), stamp.at_ns)

    @stamped(LaneDue)
    def on_lane_due(self, due: LaneDue, stamp: Stamped) -> None:
        """An endpoint may be tried again, or has a token."""
        self.decide(self.outbox.lane_due(due, stamp.at_ns), stamp.at_ns)

    @stamped(SweepDue)
    def on_sweep_due(self, due: SweepDue, stamp: Stamped) -> None:
        """Forget idle queues; look again as long as there are others."""
        if not self._awaits_sweep or due.number != self._sweeps:
            return  # a wake-up that came twice must not make two of every one after it
        self._awaits_sweep = False
        self.decide(self.outbox.sweep(stamp.at_ns), stamp.at_ns)
        for lane in self.outbox.lanes.values():
            self.metrics.webhooks.correct(lane)
        self._await_sweep()

    # ── the store ───────────────────────────────────────────────────────────────────────────

    @stamped(Kept)
    def on_kept(self, kept: Kept, stamp: Stamped) -> None:
        """What is on the disk may be sent."""
        self.decide(self.outbox.kept(kept.rows, stamp.at_ns), stamp.at_ns)

    @stamped(NotKept)
    def on_not_kept(self, refused: NotKept, stamp: Stamped) -> None:
        """Nothing may be sent that would be forgotten; the store has counted it."""
        deliveries = [_delivery_of(row) for row in refused.rows]
        self.decide(self.outbox.not_kept(deliveries, stamp.at_ns), stamp.at_ns)

    @stamped(Buried)
    def on_buried(self, buried: Buried, stamp: Stamped) -> None:
        """Some of what a removed endpoint had not got yet: counted, and told by no one."""
        self.metrics.webhook_dispatched(Outcome.DROP, REMOVED, buried.count)

    @stamped(Loaded)
    def on_loaded(self, loaded: Loaded, stamp: Stamped) -> None:
        """The next part of a long queue."""
        rows = tuple(_delivery_of(row) for row in loaded.rows)
        decisions = self.outbox.loaded(loaded.endpoint, loaded.key, rows, stamp.at_ns)
        self.decide(decisions, stamp.at_ns)

    @stamped(KeysLoaded)
    def on_keys_loaded(self, loaded: KeysLoaded, stamp: Stamped) -> None:
        """The next queues that are in the store only."""
        decisions = self.outbox.keys_loaded(
            loaded.endpoint, loaded.rows, loaded.limit, stamp.at_ns
        )
        self.decide(decisions, stamp.at_ns)
        self._await_sweep()

    @stamped(Requeued)
    def on_requeued(self, requeued: Requeued, stamp: Stamped) -> None:
        """Somebody asked for these to be sent again."""
        rows = [_delivery_of(row) for row in requeued.rows]
        for row in rows:
            row.queued_at_ns = stamp.at_ns  # it is given its full time again
            if not row.attempts:  # it was over; one that was pending is counted already
                self.metrics.webhooks.accepted(row.endpoint_id, stamp.at_ns)
        self.decide(self.outbox.requeued(rows, stamp.at_ns), stamp.at_ns)
        self._await_sweep()

    # ── endpoints ───────────────────────────────────────────────────────────────────────────

    @stamped(EndpointChanged)
    def on_endpoint_changed(self, changed: EndpointChanged, stamp: Stamped) -> None:
        """From now on, also for what waits."""
        self._put(changed.endpoint, stamp.at_ns)

    @stamped(EndpointRemoved)
    def on_endpoint_removed(self, removed: EndpointRemoved, stamp: Stamped) -> None:
        """No new events; what waits is dropped."""
        if (endpoint := self._endpoints.pop(removed.endpoint_id, None)) is not None:
            del self._signing[endpoint.id]
            self.metrics.webhooks.forget(endpoint.id)
            self.decide(self.outbox.remove_lane(endpoint.id, stamp.at_ns), stamp.at_ns)

    @stamped(StopSending)
    def on_stop_sending(self, stop: StopSending, stamp: Stamped) -> None:
        """The rest is for the next start."""
        self.outbox.pause()

    # ── the end, and failures ───────────────────────────────────────────────────────────────

    def on_inherit(self, inherit: Inherit) -> None:
        """The waits of the one before ended with it: arm them anew."""
        super().on_inherit(inherit)
        self.decide(self.outbox.waits(inherit.at_ns), inherit.at_ns)

    def on_end(self) -> None:
        """What memory alone holds is lost now, and counted."""
        held = self.outbox.statistics().held
        if held and self.store is None:
            self.metrics.dropped(UNFINISHED, held)

    def on_restart(self) -> None:
        """Carry out what was decided before the failure; what cannot be is given up."""
        self.carry_on()
        self._await_sweep()

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _put(self, endpoint: Endpoint, at_ns: int) -> None:
        """Know this endpoint; one that cannot sign is disabled, and its reason says why."""
        keys: tuple[SigningKey, ...] = ()
        try:
            keys = signing_keys(endpoint, self._webhook.keys)
        except UnsendableError as error:
            if endpoint.is_enabled:
                endpoint = replace(endpoint, is_enabled=False, reason=f"{UNUSABLE}{error}")
                self.book.put(endpoint)
        self._signing[endpoint.id] = keys
        self._endpoints[endpoint.id] = endpoint
        decisions = self.outbox.set_lane(
            endpoint.id,
            endpoint.url,
            endpoint.delivery_policy,
            at_ns,
            rate_per_second=endpoint.rate_per_second,
            is_enabled=endpoint.is_enabled,
        )
        self.decide(decisions, at_ns)
        oldest_ns = None if self.store is None else self.store.oldest_ns.get(endpoint.id)
        self.metrics.webhooks.put(endpoint, self.outbox.lanes[endpoint.id], oldest_ns)

    def _extra(self, extra: WebhookConfig, at_ns: int) -> Endpoint:
        """The endpoint that an egress request names, known from now on.

        Raises:
            UnsendableError: There is no key to sign with, or no secret for it.
            ConfigError: The request's filter is malformed.
        """
        endpoint = extra_endpoint(extra, self._webhook)
        known = self._endpoints.get(endpoint.id)
        if known is not None:
            return known
        signing_keys(endpoint, self._webhook.keys)  # a request that cannot be met leaves none
        self._put(endpoint, at_ns)
        self.book.put(endpoint)
        return endpoint

    def _refuse(self, event: WebhookEvent, url: str, reason: str) -> None:
        """Drop what could not even be queued."""
        self.metrics.webhook_dispatched(Outcome.DROP, reason)
        info = build_webhook_info(event, url, is_dropped=True)
        self.door.enter(self.parent, calls.Webhook(info))

    def _await_sweep(self) -> None:
        if len(self.outbox) and not self._awaits_sweep:
            self._awaits_sweep = True
            self._sweeps += 1
            self.wake_after(self.outbox.sweep_seconds(), SweepDue(self._sweeps))


def _delivery_of(row: KeptDelivery) -> Delivery:
    delivery = Delivery(row.id, row.endpoint, row.key, _event_of(row), row.body, row.queued_at_ns)
    if isinstance(row, StoredDelivery):
        delivery.sequence, delivery.attempts = row.sequence, row.attempts
        delivery.next_at_ns, delivery.started_at_ns = row.next_at_ns, row.started_at_ns or None
    return delivery


def _event_of(row: KeptDelivery) -> WebhookEvent:
    """For the record of its fate only: what is sent is the body, whatever is in it."""
    try:
        return Parse(row.body, WebhookEvent(), ignore_unknown_fields=True)
    except ParseError:
        return WebhookEvent(id=row.event_id, event=row.event)
