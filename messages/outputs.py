"""What leaves the actors: analytics to the recorder, webhooks to the notifier and endpoints."""

from __future__ import annotations

from typing import TypeAlias

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ._message import message
from .deliveries import StoreAnswer
from .endpoints import EndpointInput


@message
class RecordStats:
    """One worker's coalesced statistics of one flush: upstream before downstream."""

    stats: tuple[AnalyticsStat, ...]
    key: str = ""  # tells this output from all others of its shard


@message
class RecordEvent:
    """One analytics event."""

    event: AnalyticsEvent
    key: str = ""  # as of `RecordStats`


@message
class RecordNodeRooms:
    """The state of this node's rooms (None is passed on as the original does)."""

    info: AnalyticsNodeRooms | None
    key: str = ""  # as of `RecordStats`


@message
class Notify:
    """Send this webhook: id and created_at are set, and stay for ever."""

    event: WebhookEvent
    extra_webhooks: tuple[WebhookConfig, ...]
    at_ns: int


@message
class AttemptEnded:
    """One HTTP attempt is over. `status` is None when there was no answer, then `error` says why.

    `retry_after` is the header's text, `retryable` and `sent` are those of `TransportError`.
    """

    delivery_id: int
    attempt: int  # 1, 2, 3 …
    status: int | None
    retry_after: str
    error: str
    retryable: bool
    sent: bool


@message
class RetryDue:
    """The wait before a delivery's next attempt is over."""

    delivery_id: int
    attempt: int


@message
class LaneDue:
    """Time to look again at an endpoint that was held back."""

    endpoint_id: str
    number: int  # a stale wake-up is told from the next by it


@message
class SweepDue:
    """Time to forget the queues that were idle for long."""

    number: int = 0  # a stale wake-up is told from the next by it


RecorderCommand: TypeAlias = RecordStats | RecordEvent | RecordNodeRooms
NotifierInput: TypeAlias = (
    AttemptEnded | RetryDue | LaneDue | SweepDue | StoreAnswer | EndpointInput
)
