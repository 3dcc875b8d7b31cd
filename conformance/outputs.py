"""What one step of a scenario causes: as recorded, and as it came out of a greenroom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TypeAlias

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..core.times import NS_PER_SECOND, timestamp
from ..errors import RecordingError
from ..messages.control import WorkerStatus
from ..messages.outputs import Notify
from .compare import Difference, diff, diff_messages, parsed, plain
from .vectors import Json, typed

NOW: Final = "NOW"
NAMES: Final = frozenset({"events", "webhooks", "node_rooms", "stats", "workers"})

Batch: TypeAlias = Sequence[AnalyticsStat]
Webhook: TypeAlias = tuple[WebhookEvent, list[WebhookConfig]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Everything that left the supervisor and its children; ids are cleared.

    Args:
        events: In order.
        webhooks: As handed to the notifier, each with its extra webhooks, in order.
        node_rooms: As protojson or None, in order.
        batches: Each inside by (kind, track); all of them by (room, participant), and those of
            one pair in order.
        workers: The current ones, by (room, participant).
    """

    events: list[AnalyticsEvent]
    webhooks: list[Webhook]
    node_rooms: list[dict[str, object] | None]
    batches: list[Batch]
    workers: list[dict[str, object]]


def observed(
    events: Sequence[AnalyticsEvent],
    webhooks: Sequence[Notify],
    node_rooms: Sequence[AnalyticsNodeRooms | None],
    batches: Sequence[Batch],
    workers: Sequence[WorkerStatus],
) -> Outputs:
    """What came out. The protobufs are changed: their ids are cleared."""
    for event in events:
        event.ClearField("id")
    for notify in webhooks:
        notify.event.ClearField("id")
    for stat in (stat for batch in batches for stat in batch):
        stat.ClearField("id")
    return Outputs(
        list(events),
        [(notify.event, list(notify.extra_webhooks)) for notify in webhooks],
        [None if info is None else plain(info) for info in node_rooms],
        sorted((sorted(batch, key=_by_kind_and_track) for batch in batches), key=by_worker),
        [
            {
                "room_id": worker.key.room_id,
                "participant_id": worker.key.participant_id,
                "connected": worker.connected,
                "closed": worker.closed,
            }
            for worker in workers
        ],
    )


def recorded(expect: Json, now_ns: int, where: str) -> Outputs:
    """What a step's `expect` says.

    Args:
        expect: From the vector; "NOW" in it is `now_ns`.
        now_ns: Unix ns.
        where: `file:line` and the step.

    Raises:
        RecordingError: It is not understood.
    """
    if unknown := expect.keys() - NAMES:
        raise RecordingError(where, f"unknown outputs: {', '.join(sorted(unknown))}")
    now = timestamp(now_ns).ToJsonString()
    return Outputs(
        [
            parsed(AnalyticsEvent, _filled(event, "timestamp", now), where)
            for event in _listed(expect, "events", where)
        ],
        [_webhook(webhook, now_ns, where) for webhook in _listed(expect, "webhooks", where)],
        [
            None if info is None else plain(parsed(AnalyticsNodeRooms, info, where))
            for info in _listed(expect, "node_rooms", where)
        ],
        [
            [
                parsed(AnalyticsStat, _filled(stat, "time_stamp", now), where)
                for stat in typed(batch, list, where)
            ]
            for batch in _listed(expect, "stats", where)
        ],
        [dict(typed(worker, dict, where)) for worker in _listed(expect, "workers", where)],
    )


def diff_outputs(expected: Outputs, got: Outputs, path: str) -> list[Difference]:
    """Every field that is not as expected."""
    found = [
        *diff_messages(expected.events, got.events, f"{path}.events"),
        *diff(expected.node_rooms, got.node_rooms, f"{path}.node_rooms"),
        *diff(expected.workers, got.workers, f"{path}.workers"),
    ]
    if expected.webhooks != got.webhooks:
        shown, got_shown = map(_shown, expected.webhooks), map(_shown, got.webhooks)
        found += diff(list(shown), list(got_shown), f"{path}.webhooks")
    batches = zip_longest(expected.batches, got.batches, fillvalue=())
    for index, (batch, got_batch) in enumerate(batches):
        found += diff_messages(batch, got_batch, f"{path}.stats[{index}]")
    return found


def _listed(expect: Json, name: str, where: str) -> list[object]:
    return typed(expect.get(name, []), list, f"{where} {name}")


def _filled(message: object, name: str, now: str) -> Json:
    fields: Json = typed(message, dict, name)
    return {**fields, name: now} if fields.get(name) == NOW else fields


def _webhook(webhook: object, now_ns: int, where: str) -> tuple[WebhookEvent, list[WebhookConfig]]:
    fields: Json = typed(webhook, dict, where)
    if not {"event"} <= fields.keys() <= {"event", "extra_webhooks"}:
        raise RecordingError(where, f"a webhook has event and extra_webhooks, not {set(fields)}")
    seconds = str(now_ns // NS_PER_SECOND)
    event = parsed(WebhookEvent, _filled(fields["event"], "created_at", seconds), where)
    extras = _listed(fields, "extra_webhooks", where)
    return event, [parsed(WebhookConfig, extra, where) for extra in extras]


def _shown(webhook: Webhook) -> dict[str, object]:
    """As a vector has it."""
    event, extras = webhook
    shown: dict[str, object] = {"event": plain(event)}
    return {**shown, "extra_webhooks": [plain(extra) for extra in extras]} if extras else shown


def _by_kind_and_track(stat: AnalyticsStat) -> tuple[int, bytes]:
    return stat.kind, stat.track_id.encode()


def by_worker(batch: Batch) -> tuple[bytes, bytes]:
    """How batches are sorted: by (room, participant)."""
    first = batch[0]
    return first.room_id.encode(), first.participant_id.encode()
