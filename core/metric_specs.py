"""The metrics by name: LiveKit's spelling, labels and buckets, and greenroom's own.

Source: livekit pkg/telemetry/prometheus/packets.go and rooms.go, protocol webhook/stats.go.
There all have empty help texts; names that look irregular (a gauge `…_total`, a counter without
it) are as there, because dashboards ask for them. Left out is what other packages of LiveKit's
server record, `livekit_room_total` among it.
"""

from __future__ import annotations

from typing import Final

from .families import FamilySpec

_RTCP_LABELS: Final = ("country", "direction")
_PACKET_LABELS: Final = ("country", "direction", "transmission")
_STREAM_LABELS: Final = ("country", "direction", "source", "type")

PERCENT_EDGES: Final = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0, 5.0, 10.0, 40.0, 100.0)
RTT_MS_EDGES: Final = (50, 100, 150, 200, 250, 500, 750, 1000, 5000, 10000)
JITTER_US_EDGES: Final = (1000, 10000, 30000, 50000, 70000, 100000, 300000, 600000, 1000000)
QUEUE_LENGTH_EDGES: Final = (1, 2, 3, 4, 5, 10, 20, 40, 80)
DELIVERY_SECONDS_EDGES: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 300.0, 900.0, 3600.0, 3 * 3600.0, 12 * 3600.0, 24 * 3600.0),
)

PACKET_TOTAL: Final = FamilySpec(
    "livekit_packet_total", "counter", "Packets of media and data", _PACKET_LABELS
)
PACKET_BYTES: Final = FamilySpec(
    "livekit_packet_bytes", "counter", "Bytes of media and data", _PACKET_LABELS
)
NACK_TOTAL: Final = FamilySpec(
    "livekit_nack_total", "counter", "Packets asked for again", _RTCP_LABELS
)
PLI_TOTAL: Final = FamilySpec(
    "livekit_pli_total", "counter", "Picture loss indications", _RTCP_LABELS
)
FIR_TOTAL: Final = FamilySpec("livekit_fir_total", "counter", "Full intra requests", _RTCP_LABELS)
PACKET_LOSS_TOTAL: Final = FamilySpec(
    "livekit_packet_loss_total", "counter", "Packets lost", _STREAM_LABELS
)
PACKET_LOSS_PERCENT: Final = FamilySpec(
    "livekit_packet_loss_percent",
    "histogram",
    "Packets lost per report, in percent of those sent first",
    _STREAM_LABELS,
    PERCENT_EDGES,
)
PACKET_OUT_OF_ORDER_TOTAL: Final = FamilySpec(
    "livekit_packet_out_of_order_total", "counter", "Packets out of order", _STREAM_LABELS
)
PACKET_OUT_OF_ORDER_PERCENT: Final = FamilySpec(
    "livekit_packet_out_of_order_percent",
    "histogram",
    "Packets out of order per report, in percent of those sent first",
    _STREAM_LABELS,
    PERCENT_EDGES,
)
RTT_MS: Final = FamilySpec(
    "livekit_rtt_ms", "histogram", "Round-trip time per report", _STREAM_LABELS, RTT_MS_EDGES
)
JITTER_US: Final = FamilySpec(
    "livekit_jitter_us", "histogram", "Jitter per report", _STREAM_LABELS, JITTER_US_EDGES
)

PARTICIPANT_TOTAL: Final = FamilySpec(
    "livekit_participant_total", "gauge", "Participants whose statistics are collected now"
)
PARTICIPANT_JOIN_TOTAL: Final = FamilySpec(
    "livekit_participant_join_total", "counter", "Steps of joining", ("state",)
)
TRACK_PUBLISH_COUNTER: Final = FamilySpec(
    "livekit_track_publish_counter", "counter", "Steps of publishing", ("kind", "state")
)
TRACK_PUBLISHED_TOTAL: Final = FamilySpec(
    "livekit_track_published_total", "gauge", "Tracks published now", ("kind",)
)
TRACK_SUBSCRIBE_COUNTER: Final = FamilySpec(
    "livekit_track_subscribe_counter", "counter", "Steps of subscribing", ("error", "state")
)
TRACK_SUBSCRIBED_TOTAL: Final = FamilySpec(
    "livekit_track_subscribed_total", "gauge", "Subscriptions to tracks now", ("kind",)
)

WEBHOOK_DISPATCH_TOTAL: Final = FamilySpec(
    "livekit_webhook_dispatch_total",
    "counter",
    "Webhooks that came to an end",
    ("reason", "status"),
)
WEBHOOK_QUEUE_LENGTH: Final = FamilySpec(
    "livekit_webhook_queue_length",
    "histogram",
    "Length of a webhook queue after an event was added",
    edges=QUEUE_LENGTH_EDGES,
)

WEBHOOK_ATTEMPTS_TOTAL: Final = FamilySpec(
    "greenroom_webhook_attempts_total",
    "counter",
    "Attempts that ended, by their answer: 2xx, 3xx, 4xx, 5xx, or network, or refused",
    ("endpoint", "outcome"),
)
WEBHOOK_DELIVERY_SECONDS: Final = FamilySpec(
    "greenroom_webhook_delivery_seconds",
    "histogram",
    "From the acceptance of a webhook until it was delivered",
    ("endpoint",),
    DELIVERY_SECONDS_EDGES,
)
WEBHOOK_PENDING: Final = FamilySpec(
    "greenroom_webhook_pending", "gauge", "Webhooks not delivered yet", ("endpoint",)
)
WEBHOOK_OLDEST_SECONDS: Final = FamilySpec(
    "greenroom_webhook_oldest_seconds",
    "gauge",
    "Age of the oldest webhook not delivered yet; 0 if there is none",
    ("endpoint",),
)
WEBHOOK_BREAKER: Final = FamilySpec(
    "greenroom_webhook_breaker",
    "gauge",
    "Circuit breaker: 0 closed, 1 half-open, 2 open",
    ("endpoint",),
)
WEBHOOK_ENDPOINT_ENABLED: Final = FamilySpec(
    "greenroom_webhook_endpoint_enabled", "gauge", "0 while it is disabled", ("endpoint",)
)
WEBHOOK_DEAD_TOTAL: Final = FamilySpec(
    "greenroom_webhook_dead_total",
    "counter",
    "Webhooks that were given up",
    ("endpoint", "reason"),
)
WEBHOOK_ENDPOINT_INFO: Final = FamilySpec(
    "greenroom_webhook_endpoint_info", "gauge", "Where an endpoint is", ("endpoint", "host")
)

DROPPED_TOTAL: Final = FamilySpec(
    "greenroom_dropped_total",
    "counter",
    "Inputs that were lost, on purpose or not",
    ("intentional", "reason"),
)
INPUT_FAILURES_TOTAL: Final = FamilySpec(
    "greenroom_input_failures_total",
    "counter",
    "Inputs that an actor could not digest",
    ("actor",),
)
CHILD_RESTARTS_TOTAL: Final = FamilySpec(
    "greenroom_child_restarts_total",
    "counter",
    "Actors that were restarted after a failure",
    ("actor",),
)
STORE_ERRORS_TOTAL: Final = FamilySpec(
    "greenroom_store_errors_total",
    "counter",
    "Failures of the database in the data directory",
    ("kind",),
)
STORE_FAILED: Final = FamilySpec(
    "greenroom_store_failed",
    "gauge",
    "1 while the last write to the data directory failed",
    (),
)
ANALYTICS_ERRORS_TOTAL: Final = FamilySpec(
    "greenroom_analytics_errors_total",
    "counter",
    "Calls of the analytics service that raised",
    ("method",),
)
