"""Notifier: sends the webhooks, in order for each URL and event key.

Told `Notify` by the supervisor, and stamped results of attempts, retries that are due and sweeps.
Orders attempts from the poster; tells the supervisor each webhook's fate as a `calls.Webhook`
through the door. Lives as long as the supervisor; what it holds then is lost and counted. When
somebody else ends it, its heir goes on where it was.

Source: livekit/protocol webhook/notifier.go, DefaultNotifier.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final, assert_never

from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..core.attempt import Attempt
from ..core.delivery import Decision, Delivery, Done, Outcome, Queued, Send, Wait
from ..core.ids import derive_fraction
from ..core.outbox import Outbox
from ..core.times import NS_PER_SECOND
from ..core.webhook import (
    NO_SECRET_FOR_KEY,
    Target,
    build_headers,
    encode_body,
    event_key,
    is_allowed,
    resolve_target,
    sign,
)
from ..core.webhook_info import build_webhook_info, describe
from ..errors import UnsendableError
from ..messages import calls
from ..messages.control import Stamped
from ..messages.outputs import AttemptEnded, Notify, RetryDue, SweepDue
from ._base import ActorAddress, Configure, GreenroomActor, stamped, told
from .estate import Inherit

UNFINISHED: Final = "webhook_unfinished"
INTERNAL_ERROR: Final = "internal error; see the dead letters"


class Notifier(GreenroomActor):
    """A thin shell over the outbox."""

    inherited: ClassVar[tuple[str, ...]] = ("outbox", "_todo", "_judging", "_sweeps")

    def on_configure(self, configure: Configure) -> None:
        """Every configured URL is signed with the one configured key."""
        self.door = configure.ports.door
        self.metrics = configure.ports.metrics
        self.poster = configure.ports.poster
        webhook = configure.settings.webhook
        self._keys = webhook.keys
        self._include, self._exclude = webhook.include_events, webhook.exclude_events
        self._policy = webhook.delivery_policy
        self._static = Target("", webhook.api_key, webhook.keys.get(webhook.api_key, ""))
        self._targets = tuple(
            Target(url, self._static.api_key, self._static.secret) for url in webhook.urls
        )
        self.outbox = Outbox(self._policy)
        self._awaits_sweep = False
        self._sweeps = 0
        self._todo: deque[tuple[Decision, int]] = deque()  # decided, not carried out yet; when
        self._judging: tuple[AttemptEnded, int] | None = None  # what ended, and when

    @told(Notify)
    def on_notify(self, notify: Notify, sender: ActorAddress) -> None:
        """Every URL whose filter lets it through, then every extra webhook, filtered or not.

        No URL's trouble keeps the event from another, unlike in the original.
        """
        event = notify.event
        targets: list[Target] = []
        if is_allowed(event.event, self._include, self._exclude):
            targets.extend(self._targets)
        for extra in notify.extra_webhooks:
            try:
                targets.append(self._extra_target(extra))
            except UnsendableError as error:
                self._refuse(event, extra.url, str(error))
        if targets:
            key, body = event_key(event), encode_body(event)
            for target in targets:
                offered = self.outbox.offer(target, key, event, body, notify.at_ns)
                self._todo.extend((decision, notify.at_ns) for decision in offered)
            self._carry_out()
            self._await_sweep()

    @stamped(AttemptEnded)
    def on_attempt_ended(self, ended: AttemptEnded, stamp: Stamped) -> None:
        """Delivered, to be retried, or given up."""
        self._judging = ended, stamp.at_ns
        fraction = derive_fraction(stamp.position, ended.delivery_id)
        self._decide(self.outbox.attempt_ended(ended, stamp.at_ns, fraction), stamp.at_ns)

    @stamped(RetryDue)
    def on_retry_due(self, due: RetryDue, stamp: Stamped) -> None:
        """The next attempt, unless this wake-up came too late for it."""
        self._decide(self.outbox.retry_due(due), stamp.at_ns)

    @stamped(SweepDue)
    def on_sweep_due(self, due: SweepDue, stamp: Stamped) -> None:
        """Forget idle queues; look again as long as there are others."""
        if not self._awaits_sweep or due.number != self._sweeps:
            return  # a wake-up that came twice must not make two of every one after it
        self._awaits_sweep = False
        self.outbox.sweep(stamp.at_ns)
        self._await_sweep()

    def on_inherit(self, inherit: Inherit) -> None:
        """The waits of the one before ended with it: arm them anew."""
        super().on_inherit(inherit)
        for wait in self.outbox.waits(inherit.at_ns):
            self.wake_after(wait.seconds, RetryDue(wait.delivery_id, wait.attempt))

    def on_end(self) -> None:
        """What memory alone holds is lost now, and counted."""
        held = self.outbox.statistics().held
        if held:
            self.metrics.dropped(UNFINISHED, held)

    def on_restart(self) -> None:
        """Carry out what was decided before the failure; what cannot be is given up."""
        if self._judging is not None:  # whatever it was in the answer, it must not hold the queue
            (ended, at_ns), self._judging = self._judging, None
            self._fail_attempt(ended.delivery_id, ended.attempt, at_ns)
        elif self._todo:
            decision, at_ns = self._todo.popleft()
            if isinstance(decision, Send):
                self._fail_attempt(decision.delivery.id, decision.attempt, at_ns)
            elif isinstance(decision, Wait):
                self._todo.appendleft((decision, at_ns))
        self._carry_out()
        self._await_sweep()

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _extra_target(self, extra: WebhookConfig) -> Target:
        """Signed with the key that it names, or else with the configured one.

        Raises:
            UnsendableError: There is no secret for either.
        """
        secret = self._keys.get(extra.signing_key) if extra.signing_key else None
        if extra.signing_key and not secret:
            raise UnsendableError(NO_SECRET_FOR_KEY)
        return resolve_target(self._static, extra_webhooks=(extra,), secret=secret)

    def _decide(self, decisions: tuple[Decision, ...], at_ns: int) -> None:
        self._judging = None
        self._todo.extend((decision, at_ns) for decision in decisions)
        self._carry_out()

    def _carry_out(self) -> None:
        """Do what was decided, in order; a decision is forgotten when it is done."""
        while self._todo:
            decision, at_ns = self._todo[0]
            match decision:
                case Queued(length):
                    self.metrics.webhook_queued(length)
                case Send(delivery, attempt):
                    self._send(delivery, attempt, at_ns)
                case Wait(delivery_id, attempt, seconds):
                    self.wake_after(seconds, RetryDue(delivery_id, attempt))
                case Done():
                    self.metrics.webhook_dispatched(decision.outcome, decision.reason)
                    self.door.enter(self.parent, calls.Webhook(describe(decision)))
                case _:
                    assert_never(decision)
            self._todo.popleft()

    def _fail_attempt(self, delivery_id: int, attempt: int, at_ns: int) -> None:
        """An attempt that came to nothing here: the delivery fails, its queue goes on."""
        ended = AttemptEnded(
            delivery_id,
            attempt,
            status=None,
            retry_after="",
            error=INTERNAL_ERROR,
            retryable=False,
            sent=False,
        )
        decisions = self.outbox.attempt_ended(ended, at_ns, 0.0)
        self._todo.extendleft((decision, at_ns) for decision in reversed(decisions))

    def _send(self, delivery: Delivery, attempt: int, at_ns: int) -> None:
        """Sign anew, because a token is valid for minutes and retries go on for days."""
        target = delivery.target
        token = sign(delivery.body, target.api_key, target.secret, at_ns // NS_PER_SECOND)
        self.poster.post(
            Attempt(
                delivery_id=delivery.id,
                number=attempt,
                url=target.url,
                headers=build_headers(token),
                body=delivery.body,
                connect_timeout_seconds=self._policy.connect_timeout_seconds,
                total_timeout_seconds=self._policy.total_timeout_seconds,
            ),
            self.myAddress,
        )

    def _refuse(self, event: WebhookEvent, url: str, reason: str) -> None:
        """Drop what could not even be queued."""
        self.metrics.webhook_dispatched(Outcome.DROP, reason)
        info = build_webhook_info(event, url, is_dropped=True)
        self.door.enter(self.parent, calls.Webhook(info))

    def _await_sweep(self) -> None:
        if len(self.outbox) and not self._awaits_sweep:
            self._awaits_sweep = True
            self._sweeps += 1
            self.wake_after(self._policy.idle_seconds / 2, SweepDue(self._sweeps))
