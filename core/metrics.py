"""The metrics of one shard: plain numbers, added to as its inputs are carried out.

The dispatch thread alone adds, without locks; `snapshot`, `series` and `node_stats` may be called
from any thread meanwhile. Only the counters of greenroom's own troubles are added to from other
threads, under a lock that the owner brings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, TypeAlias

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from livekit.protocol.analytics import StreamType
from livekit.protocol.models import TrackSource, TrackType

from ..messages.ids import StatsKey
from ..messages.sample import Sample
from . import metric_specs as specs
from .families import Family, FamilySpec, LabelValues
from .series import flatten
from .track_counters import Histogram, PacketCounters, StreamCounters, TrackCounters
from .track_families import packet_families, stream_families
from .webhook_metrics import WebhookMetrics
from .widths import UINT64

DOWNSTREAM: Final = int(StreamType.DOWNSTREAM)
INCOMING: Final = "incoming"
OUTGOING: Final = "outgoing"

# is it downstream?, country, source, type, is it a media track?: what of a key decides the series
_KeyLabels: TypeAlias = tuple[bool, str, int, int, bool]


def enum_label(enum: EnumTypeWrapper, number: int) -> str:
    """The value's name; of a number without a name its decimal form, as Go's String does."""
    try:
        return enum.Name(number)
    except ValueError:
        return str(number)


class Tally:
    """One counter or gauge family: a number per label set, existing once it was touched."""

    __slots__ = ("_values", "spec")

    def __init__(self, spec: FamilySpec) -> None:
        self.spec = spec
        self._values: dict[LabelValues, int] = {}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Add `amount` to the series with these label values, in the order of the spec."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def set(self, *labels: str, value: int) -> None:
        """Let the series with these label values stand there."""
        self._values[labels] = value

    def values(self) -> dict[LabelValues, int]:
        """A copy of all, safe to go through while another thread adds."""
        return self._values.copy()

    def total(self, **labels: str) -> int:
        """The sum over the series that have these labels."""
        wanted = [(self.spec.labels.index(name), value) for name, value in labels.items()]
        return sum(
            number
            for values, number in self.values().items()
            if all(values[place] == value for place, value in wanted)
        )

    def family(self) -> Family:
        """Where it stands."""
        return self.spec.family({labels: float(n) for labels, n in self.values().items()})


class Metrics:
    """Counts what LiveKit's Go service counts, under the same names.

    Args:
        mutex: Held while `dropped`, `failed` and the like count, so that any thread may call
            them; without one they belong to the dispatch thread like the rest.
        now_ns: Unix time, for ages that are told when somebody reads them.

    Attributes:
        webhooks: The numbers of each endpoint.

    Source: livekit pkg/telemetry/prometheus. Each method names the function it stands for.
    """

    def __init__(
        self,
        mutex: AbstractContextManager[object] | None = None,
        now_ns: Callable[[], int] = int,
    ) -> None:
        self._mutex = nullcontext() if mutex is None else mutex
        self.webhooks = WebhookMetrics(now_ns)
        self._resolved: dict[_KeyLabels, TrackCounters] = {}
        self._packets: dict[LabelValues, PacketCounters] = {}
        self._streams: dict[LabelValues, StreamCounters] = {}
        self._participants = Tally(specs.PARTICIPANT_TOTAL)
        self._joins = Tally(specs.PARTICIPANT_JOIN_TOTAL)
        self._publish_steps = Tally(specs.TRACK_PUBLISH_COUNTER)
        self._published = Tally(specs.TRACK_PUBLISHED_TOTAL)
        self._subscribe_steps = Tally(specs.TRACK_SUBSCRIBE_COUNTER)
        self._subscribed = Tally(specs.TRACK_SUBSCRIBED_TOTAL)
        self.subscribe_cancels = 0
        self._webhooks = Tally(specs.WEBHOOK_DISPATCH_TOTAL)
        self.queue_length = Histogram(specs.QUEUE_LENGTH_EDGES)
        self._dropped = Tally(specs.DROPPED_TOTAL)
        self._failures = Tally(specs.INPUT_FAILURES_TOTAL)
        self._restarts = Tally(specs.CHILD_RESTARTS_TOTAL)
        self._sink_errors = Tally(specs.ANALYTICS_ERRORS_TOTAL)
        self._store_errors = Tally(specs.STORE_ERRORS_TOTAL)
        self._store_failed = Tally(specs.STORE_FAILED)
        self._participants.add(amount=0)  # without labels it is there from the start

    def track_stats(self, key: StatsKey, sample: Sample) -> None:
        """Count one report of a track. Source: livekit stats.go, TrackStats."""
        labels = (
            key.stream_type == DOWNSTREAM,
            key.country,
            key.track_source,
            key.track_type,
            key.track,
        )
        counters = self._resolved.get(labels)
        if counters is None:
            counters = self._resolved[labels] = self._resolve(labels)
        counters.add(sample)

    def participant_opened(self, *, joined: bool) -> None:
        """A worker was made: AddParticipant; by joining also IncrementParticipantRtcConnected."""
        self._participants.add()
        if joined:
            self._joins.add("rtc_connected")

    def participant_closed(self) -> None:
        """The last guard of a worker was released: SubParticipant."""
        self._participants.add(amount=-1)

    def track_publish_requested(self, track_type: int) -> None:
        """RecordTrackPublishAttempt."""
        self._publish_steps.add(enum_label(TrackType, track_type), "attempt")

    def track_published(self, track_type: int) -> None:
        """AddPublishedTrack and RecordTrackPublishSuccess."""
        kind = enum_label(TrackType, track_type)
        self._published.add(kind)
        self._publish_steps.add(kind, "success")

    def track_unpublished(self, track_type: int) -> None:
        """SubPublishedTrack. May go below 0, as there."""
        self._published.add(enum_label(TrackType, track_type), amount=-1)

    def track_subscribe_requested(self) -> None:
        """RecordTrackSubscribeAttempt."""
        self._subscribe_steps.add("", "attempt")

    def track_subscribed(self, track_type: int) -> None:
        """RecordTrackSubscribeSuccess."""
        self._subscribed.add(enum_label(TrackType, track_type))
        self._subscribe_steps.add("", "success")

    def track_unsubscribed(self, track_type: int) -> None:
        """RecordTrackUnsubscribed. May go below 0, as there."""
        self._subscribed.add(enum_label(TrackType, track_type), amount=-1)

    def track_subscribe_failed(self, error: str, is_user_error: bool) -> None:  # noqa: FBT001
        """RecordTrackSubscribeFailure: each text of an error is a series of its own.

        Kept quirk: a user's error is a cancel in the node's statistics, but not in this counter.
        """
        self._subscribe_steps.add(error, "failure")
        if is_user_error:
            self.subscribe_cancels += 1

    def webhook_dispatched(self, status: str, reason: str, count: int = 1) -> None:
        """Webhooks came to an end: IncDispatchSuccess, IncDispatchFailure, IncDispatchDrop."""
        self._webhooks.add(reason, status, amount=count)

    def webhook_queued(self, length: int) -> None:
        """A webhook was queued and made its queue this long: RecordQueueLength."""
        self.queue_length.observe(length)

    def dropped(self, reason: str, count: int = 1, *, intentional: bool = False) -> None:
        """`count` inputs were lost. From any thread."""
        with self._mutex:
            self._dropped.add("true" if intentional else "false", reason, amount=count)

    def lost(self) -> int:
        """What was dropped against the will so far, of all kinds."""
        return self._dropped.total(intentional="false")

    def failed(self, actor: str) -> None:
        """An actor could not digest an input. From any thread."""
        with self._mutex:
            self._failures.add(actor)

    def restarted(self, actor: str) -> None:
        """An actor that had failed goes on. From any thread."""
        with self._mutex:
            self._restarts.add(actor)

    def sink_error(self, method: str) -> None:
        """A method of the analytics service raised. From any thread."""
        with self._mutex:
            self._sink_errors.add(method)

    def store_error(self, kind: str) -> None:
        """The database failed. From any thread."""
        with self._mutex:
            self._store_errors.add(kind)

    def store_failed(self, *, failed: bool) -> None:
        """Whether the last write to the database did. From any thread."""
        with self._mutex:
            self._store_failed.set(value=int(failed))

    def tallies(self) -> dict[str, Tally]:
        """The families that are plain counts, by name; the state of the store is none."""
        tallies = (
            *(self._participants, self._joins, self._publish_steps, self._published),
            *(self._subscribe_steps, self._subscribed, self._webhooks, self._dropped),
            *(self._failures, self._restarts, self._sink_errors, self._store_errors),
        )
        return {tally.spec.name: tally for tally in tallies}

    def counters(
        self,
    ) -> tuple[dict[LabelValues, PacketCounters], dict[LabelValues, StreamCounters]]:
        """Packets by country and direction, and streams by these, source and type."""
        return self._packets.copy(), self._streams.copy()

    def packet_counters(self, labels: LabelValues) -> PacketCounters:
        """Those of a country and direction, made on first use."""
        return self._packets.setdefault(labels, PacketCounters())

    def stream_counters(self, labels: LabelValues) -> StreamCounters:
        """Those of a country, direction, source and type, made on first use."""
        return self._streams.setdefault(labels, StreamCounters())

    def snapshot(self) -> tuple[Family, ...]:
        """Every family, also those without samples, sorted by name; from any thread.

        Each series is right by itself; two that change with one input may be read between.
        """
        families = [
            *packet_families(self._packets.copy()),
            *stream_families(self._streams.copy()),
            *(tally.family() for tally in self.tallies().values()),
            self._store_failed.family(),
            *self.webhooks.families(),
            specs.WEBHOOK_QUEUE_LENGTH.family({(): self.queue_length.distribution()}),
        ]
        return tuple(sorted(families, key=lambda family: family.name))

    def series(self, const_labels: Mapping[str, str]) -> dict[str, float]:
        """LiveKit's series that are not 0, as `name{labels}` with `const_labels` among them."""
        livekit = [family for family in self.snapshot() if family.name.startswith("livekit_")]
        flat = flatten(livekit, const_labels)
        return {name: value for name, value in flat.items() if value}

    def node_stats(self) -> dict[str, int]:
        """The counters behind GetNodeStats that telemetry calls feed, as fields of NodeStats.

        Source: livekit prometheus/node.go, GetNodeStats.
        """
        packets = self._packets.copy()
        incoming = [c for (_, direction), c in packets.items() if direction == INCOMING]
        outgoing = [c for (_, direction), c in packets.items() if direction == OUTGOING]
        again_packets = sum(c.retransmit_packets for c in outgoing)
        again_bytes = sum(c.retransmit_bytes for c in outgoing)
        return {
            "num_clients": self._participants.total(),
            "num_tracks_in": self._published.total(),
            "num_tracks_out": self._subscribed.total(),
            "num_track_publish_attempts": self._publish_steps.total(state="attempt"),
            "num_track_publish_success": self._publish_steps.total(state="success"),
            "num_track_subscribe_attempts": self._subscribe_steps.total(state="attempt"),
            "num_track_subscribe_success": self._subscribe_steps.total(state="success"),
            "num_track_subscribe_cancels": self.subscribe_cancels,
            "bytes_in": sum(c.initial_bytes for c in incoming) & UINT64,
            "bytes_out": sum(c.initial_bytes for c in outgoing) + again_bytes & UINT64,
            "packets_in": sum(c.initial_packets for c in incoming) & UINT64,
            "packets_out": sum(c.initial_packets for c in outgoing) + again_packets & UINT64,
            "retransmit_bytes_out": again_bytes & UINT64,
            "retransmit_packets_out": again_packets & UINT64,
            "nack_total": sum(c.nacks for c in packets.values()) & UINT64,
            "participant_rtc_connected": self._joins.total(state="rtc_connected"),
        }

    def _resolve(self, labels: _KeyLabels) -> TrackCounters:
        downstream, country, track_source, track_type, track = labels
        direction = OUTGOING if downstream else INCOMING
        packets = self.packet_counters((country, direction))
        streams = None
        if track:
            source = enum_label(TrackSource, track_source)
            kind = enum_label(TrackType, track_type)
            streams = self.stream_counters((country, direction, source, kind))
        return TrackCounters(downstream=downstream, packets=packets, streams=streams)
