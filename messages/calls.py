"""What a host tells greenroom: one message for each method of `TelemetryService`.

The calls about tracks are in `track_calls`.

The fields are the parameters of the method, in its order. A protobuf in a message belongs to
the receiver: the service copies what the caller passed, so later changes do not leak in.
Source: livekit pkg/telemetry/telemetryservice.go, TelemetryService.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias, get_args

from livekit.protocol.analytics import (
    AnalyticsClientMeta,
    AnalyticsEvent,
    AnalyticsNodeRooms,
    AnalyticsStat,
    APICallInfo,
    ReportInfo,
    WebhookInfo,
)
from livekit.protocol.egress import EgressInfo
from livekit.protocol.ingress import IngressInfo
from livekit.protocol.models import ClientInfo, ParticipantInfo, Room

from ._message import message
from .ids import GuardID, NodeID, RoomID, RoomName, StatsKey
from .track_calls import TrackCall


@message
class TrackStats:
    """A track's counters since its last report. `stat` is a serialized AnalyticsStat."""

    room_id: RoomID
    room_name: RoomName
    key: StatsKey
    stat: bytes  # wire form: smaller to hold than an object, and already what a journal stores


@message
class RoomStarted:
    """A room came to be."""

    room: Room


@message
class RoomEnded:
    """A room is over."""

    room: Room


@message
class ParticipantJoined:
    """A participant has a signal connection to a room."""

    room: Room
    participant: ParticipantInfo
    client_info: ClientInfo | None
    client_meta: AnalyticsClientMeta | None
    should_send_event: bool
    guard: GuardID | None


@message
class ParticipantActive:
    """A participant has a media connection: from now on it counts as joined."""

    room: Room
    participant: ParticipantInfo
    client_meta: AnalyticsClientMeta | None
    is_migration: bool
    guard: GuardID | None


@message
class ParticipantResumed:
    """A participant's connection was resumed; `reason` is a number of `ReconnectReason`."""

    room: Room
    participant: ParticipantInfo
    node_id: NodeID
    reason: int


@message
class ParticipantLeft:
    """A collector of the participant's statistics ended."""

    room: Room
    participant: ParticipantInfo
    should_send_event: bool
    guard: GuardID | None


@message
class EgressStarted:
    """An egress started."""

    info: EgressInfo


@message
class EgressUpdated:
    """An egress changed."""

    info: EgressInfo


@message
class EgressEnded:
    """An egress is over."""

    info: EgressInfo


@message
class NotifyEgressEvent:
    """Send a webhook about an egress, under any event name, without an analytics event."""

    event: str
    info: EgressInfo | None


@message
class IngressCreated:
    """An ingress was made."""

    info: IngressInfo


@message
class IngressDeleted:
    """An ingress was deleted."""

    info: IngressInfo


@message
class IngressStarted:
    """An ingress began to publish."""

    info: IngressInfo


@message
class IngressUpdated:
    """An ingress changed."""

    info: IngressInfo


@message
class IngressEnded:
    """An ingress stopped publishing."""

    info: IngressInfo


@message
class LocalRoomState:
    """The rooms of this node, passed on to the analytics service as they are."""

    info: AnalyticsNodeRooms | None


@message
class Report:
    """A usage report."""

    report_info: ReportInfo | None


@message
class APICall:
    """A server API call was answered."""

    api_call_info: APICallInfo | None


@message
class Webhook:
    """A webhook was delivered, given up or dropped."""

    webhook_info: WebhookInfo | None


@message
class FlushStats:
    """Flush now, without waiting for the next tick."""


@message
class SendStats:
    """Statistics for the analytics service, passed on as they are."""

    stats: tuple[AnalyticsStat, ...]


@message
class SendEvent:
    """An event for the analytics service, passed on as it is."""

    event: AnalyticsEvent


Call: TypeAlias = (
    TrackStats
    | RoomStarted
    | RoomEnded
    | ParticipantJoined
    | ParticipantActive
    | ParticipantResumed
    | ParticipantLeft
    | TrackCall
    | EgressStarted
    | EgressUpdated
    | EgressEnded
    | NotifyEgressEvent
    | IngressCreated
    | IngressDeleted
    | IngressStarted
    | IngressUpdated
    | IngressEnded
    | LocalRoomState
    | Report
    | APICall
    | Webhook
    | FlushStats
    | SendStats
    | SendEvent
)
CALLS: tuple[type[Call], ...] = get_args(Call)


@message
class TrackStatsBatch:
    """Statistics that came together from another process: as so many `TrackStats`, in order."""

    calls: tuple[TrackStats, ...]


def batched(calls: Iterable[Call], most: int) -> Iterator[Call | TrackStatsBatch]:
    """The calls in their order, up to `most` neighbouring statistics as one."""
    stats: list[TrackStats] = []
    for call in calls:
        if type(call) is TrackStats:
            stats.append(call)
            if len(stats) < most:
                continue
        if stats:
            yield TrackStatsBatch(tuple(stats))
            stats = []
        if type(call) is not TrackStats:
            yield call
    if stats:
        yield TrackStatsBatch(tuple(stats))
