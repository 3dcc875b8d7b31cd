"""Webhook vectors about queues: order, depth, idle ones, and what is counted."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from livekit.protocol.analytics import WebhookInfo
from livekit.protocol.webhook import WebhookEvent

from ..config import LIVEKIT_POLICY
from ..core.delivery import QUEUE_FULL
from ..errors import RecordingError
from .answers import HOOK, an_event, with_port
from .compare import node_labels, parsed, plain
from .findings import Findings, compared
from .harness import Harness, event_ids, posted_ids
from .processed import is_refused
from .receiver import Answer, Behaviour, Receiver, Request, Status, in_turn
from .vectors import Json, Vector

WEBHOOK_SERIES: Final = "livekit_webhook_"
TOO_OLD_SECONDS: Final = 0.5  # less than the first wait of the event before it

_COURSE: Final = re.compile(
    r"(\d+) delivered, (\d+) filtered out, (\d+) failed, (\d+) too old, "
    r"then with max_depth (\d+): 1 in flight \+ (\d+) queued \(all delivered\) "
    r"\+ (\d+) dropped as full"
)


def check_queue_full(vector: Vector, receiver: Receiver) -> Findings:
    """One event is held in flight; then as many as the queue takes, and more."""
    at_once = vector.read_list("hooks_at_once", dict)
    errors = vector.read_or_none("queue_notify_errors", list) or []
    policy = replace(LIVEKIT_POLICY, max_depth=vector.read("max_depth", int))
    with Harness(receiver, in_turn(Behaviour.HOLD), paths=[HOOK], policy=policy) as harness:
        harness.notify(_event_like(at_once, 0))
        got_errors: list[str | None] = []
        for number in range(1, len(errors) + 1):
            before = len(harness.kept.infos)
            harness.notify(_event_like(at_once, number))
            refused = [info for info in harness.kept.infos[before:] if is_refused(info)]
            got_errors.append(QUEUE_FULL if refused else None)
        early = harness.kept.infos.copy()
        harness.release()
        harness.settle()
        later = harness.kept.infos[len(early) :]
        requests = harness.requests
    expected = {
        "queue_notify_errors": errors,
        "hooks_at_once": [
            {**hook, "url": with_port(str(hook.get("url")), receiver.port)} for hook in at_once
        ],
        "hooks_later": vector.read_list("hooks_later", str),
        "delivered_order": vector.read_list("delivered_order", str),
    }
    got = {
        "queue_notify_errors": got_errors,
        "hooks_at_once": [plain(info) for info in early],
        "hooks_later": event_ids(later),
        "delivered_order": posted_ids(requests),
    }
    return compared(expected, got)


def check_order(vector: Vector, receiver: Receiver) -> Findings:
    """Many events of a few keys: in order for each key, also when some must be retried."""
    keys, count = vector.read("keys", int), vector.read("events", int)
    events = [an_event(f"EV_{number}", f"room {number % keys}") for number in range(count)]

    def every_seventh_fails(request: Request, earlier: int) -> Answer:
        return Status(500) if earlier % 7 == 3 else Status()

    policy = replace(LIVEKIT_POLICY, max_depth=count, max_age_seconds=None)
    with Harness(receiver, every_seventh_fails, paths=[HOOK], policy=policy) as harness:
        for event in events:
            harness.notify(event)
        harness.settle()
        infos = harness.kept.infos
        succeeded = [info for info in infos if not info.send_error and not info.is_dropped]
    in_order = all(
        event_ids(info for info in succeeded if info.room_name == f"room {key}")
        == [event.id for event in events[key::keys]]
        for key in range(keys)
    )
    return compared(
        {"in_order_per_key": vector.read("in_order_per_key", bool), "records": count},
        {"in_order_per_key": in_order, "records": len(infos)},
    )


def check_blocked_key(vector: Vector, receiver: Receiver) -> Findings:
    """An event that hangs holds up those of its key and no others.

    A name without its digits is the key; the first one hangs until all others are through.
    """
    queued = vector.read_list("queued", str)
    keys = {name: name.rstrip("0123456789") for name in queued}
    slow = keys[queued[0]] if queued else ""

    def hold_the_slow(request: Request, earlier: int) -> Answer:
        return Behaviour.HOLD if _room(request) == slow else Status()

    free = [name for name in queued if keys[name] != slow]
    with Harness(receiver, hold_the_slow, paths=[HOOK]) as harness:
        for name in queued:
            harness.notify(an_event(name, keys[name]))
        harness.run_until(lambda: len(harness.kept.infos) >= len(free))
        harness.release()
        harness.settle()
        processed = event_ids(harness.kept.infos)
    return compared({"processed": vector.read_list("processed", str)}, {"processed": processed})


def check_sweep(vector: Vector, receiver: Receiver) -> Findings:
    """A queue that is idle for long is forgotten, and made again when there is need."""
    idle_seconds = vector.read("timeout_ms", float) / 1000
    (after,) = (
        name for name in vector.content if name.startswith("queues_after_") and "ms" in name
    )
    wait_seconds = float(after.split("_")[2]) / 1000
    policy = replace(LIVEKIT_POLICY, idle_seconds=idle_seconds)
    with Harness(receiver, paths=[HOOK], policy=policy) as harness:
        harness.notify(an_event("EV_1"))
        at_first = harness.queues()
        harness.advance(wait_seconds)
        at_last = harness.queues()
        harness.notify(an_event("EV_2"))
        harness.settle()
        requests = harness.requests
        refused = any(info.is_dropped for info in harness.kept.infos)
    expected = {
        "queues_after_notify": vector.read("queues_after_notify", int),
        after: vector.read(after, int),
        "notify_after_sweep_error": vector.read_or_none("notify_after_sweep_error", str),
        "requests": vector.read("requests", int),
    }
    got = {
        "queues_after_notify": at_first,
        after: at_last,
        "notify_after_sweep_error": "dropped" if refused else None,
        "requests": len(requests),
    }
    return compared(expected, got)


def check_metrics(vector: Vector, receiver: Receiver) -> Findings:
    """What is counted in a course of events, which the vector tells in words.

    An event gets too old behind one that is retried: so each does behind one that fails.
    """
    match = _COURSE.search(vector.read("about", str))
    if match is None:
        raise RecordingError(vector.where, f"metrics: expected a course like {_COURSE.pattern}")
    delivered, filtered, failed, too_old, max_depth, queued, full = map(int, match.groups())
    recorded = vector.read("expect", dict)
    policy = replace(LIVEKIT_POLICY, max_depth=max_depth, max_age_seconds=TOO_OLD_SECONDS)

    def answer(request: Request, earlier: int) -> Answer:
        answers: dict[str, Answer] = {"failed": Status(500), "queued": Behaviour.HOLD}
        return answers.get(_room(request).split()[0], Status())

    out = ("room_finished",)
    with Harness(receiver, answer, paths=[HOOK], policy=policy, exclude_events=out) as harness:
        for number in range(delivered):
            harness.notify(an_event(room=f"delivered {number}"))
        for _ in range(filtered):
            harness.notify(WebhookEvent(event=out[0]))
        for number in range(failed):
            harness.notify(an_event(room=f"failed {number}"))
        for number in range(too_old):
            harness.notify(an_event(room=f"failed {number % max(failed, 1)}"))
        harness.settle()
        for _ in range(1 + queued + full):
            harness.notify(an_event(room="queued"))
        harness.release()
        harness.settle()
        series = harness.metrics.series(node_labels(recorded))
    got = {name: n for name, n in series.items() if name.startswith(WEBHOOK_SERIES)}
    return compared(recorded, got)


def _event_like(hooks: Sequence[Json], number: int) -> WebhookEvent:
    """The event with this number, of which `hooks` are some of the records."""
    like = parsed(WebhookInfo, {**hooks[0], "url": ""}, "hooks_at_once") if hooks else None
    event = an_event(f"EV_{number}", "full")
    if like is not None:
        event.event, event.created_at = like.event, like.created_at.seconds
        event.room.sid, event.room.name = like.room_id, like.room_name
    return event


def _room(request: Request) -> str:
    return str(json.loads(request.body)["room"]["name"])
