"""Webhook vectors of faults of the original, and of how it stops."""

from __future__ import annotations

import re
from typing import Final

from livekit.protocol.models import Room, WebhookConfig

from ..actors.notifier import UNFINISHED
from ..config import Settings, WebhookSettings
from ..core.webhook import NO_SECRET
from ..errors import RecordingError, SystemClosedError
from ..runtime.clock import VirtualClock
from ..runtime.schedule import SeededSchedule
from ..system import Telemetry
from ..testing.fakes import RecordingAnalytics
from .answers import HOOK, an_event
from .differences import CLOSED, CLOSING, LOCK
from .findings import Findings, compared
from .harness import API_KEY, START_NS, Harness, secret_of
from .receiver import HOST, Behaviour, Receiver, in_turn
from .vectors import Vector

PATIENCE_SECONDS: Final = 10.0  # of real time; only a defect takes so long
NO_PATIENCE_SECONDS: Final = 0.2  # of real time: it is waited for
DROPPED: Final = "greenroom_dropped_total"
TOO_MANY_EXTRAS: Final = "more than 1 extra webhook url unexpected"  # the original's text

_LAST: Final = re.compile(r"EV_1\.\.(?:EV_)?(\d+)")


def check_no_key(vector: Vector, receiver: Receiver) -> Findings:
    """A webhook that cannot be signed blocks the original for ever; here it is dropped."""
    error = vector.read("first_error", str)
    vector.read("second_call_with_a_good_key_hangs", bool)
    return _check_goes_on(receiver, error, extras=1)


def check_lock_leak(vector: Vector, receiver: Receiver) -> Findings:
    """The same for the two errors that leave its lock locked."""
    error = vector.read("error", str)
    if error == TOO_MANY_EXTRAS:
        return _check_goes_on(receiver, "", extras=2)
    if error == NO_SECRET:
        return _check_goes_on(receiver, error, extras=1)
    raise RecordingError(vector.where, f"{vector.name}: unknown error {error!r}")


def _check_goes_on(receiver: Receiver, error: str, extras: int) -> Findings:
    """An event that the original chokes on, then one that is all right.

    Args:
        receiver: Gets what can be sent.
        error: Why the first event's webhooks cannot be signed; empty: they can.
        extras: How many extra webhooks the first event has.
    """
    keys = {API_KEY: secret_of(API_KEY)}
    with Harness(receiver, api_key="" if error else API_KEY, keys=keys) as harness:
        url = harness.url(HOOK)
        harness.notify(an_event("EV_1"), *[WebhookConfig(url=url)] * extras)
        harness.notify(an_event("EV_2"), WebhookConfig(url=url, signing_key=API_KEY))
        harness.settle()
        series = harness.metrics.series({})
        got = {
            "dropped": [info.event_id for info in harness.kept.infos if info.is_dropped],
            "reasons": [name for name in series if f'reason="{error}",status="drop"' in name],
            "requests": len(harness.requests),
        }
    dispatched = "livekit_webhook_dispatch_total"
    expected = {
        "dropped": ["EV_1"] * extras if error else [],
        "reasons": [f'{dispatched}{{reason="{error}",status="drop"}}'] if error else [],
        "requests": 1 if error else extras + 1,
    }
    return compared(expected, got, LOCK)


def check_closed(vector: Vector) -> Findings:
    """A call after the end raises, whatever the filter says."""
    vector.read_or_none("error", str)
    telemetry = _telemetry("http://127.0.0.1:1/", VirtualClock(START_NS), RecordingAnalytics())
    telemetry.close()
    raised = _is_refused(telemetry)
    return compared({"raises": True}, {"raises": raised}, CLOSED)


def check_stop(vector: Vector, receiver: Receiver) -> Findings:
    """Closing waits for what can be delivered in time; what is left is lost, and counted."""
    found = _LAST.search(vector.read("about", str))
    count = int(found[1]) + 1 if found else len(vector.read_list("processed_after", str))
    force = vector.read("force", bool)
    clock, analytics = VirtualClock(START_NS), RecordingAnalytics()
    receiver.begin(clock, in_turn(Behaviour.HOLD))
    url = f"http://{HOST}:{receiver.port}{HOOK}"
    telemetry = _telemetry(url, clock, analytics, receiver.schedules())
    for _ in range(count):
        telemetry.room_started(Room(name="stop"))
    telemetry.sync(0)
    receiver.wait_for(1, PATIENCE_SECONDS)
    if not force:
        receiver.release()
    in_time = telemetry.close(NO_PATIENCE_SECONDS if force else PATIENCE_SECONDS)
    raises = _is_refused(telemetry)
    receiver.end()
    lost = {
        dict(labels)["reason"]: value
        for family in telemetry.metrics.snapshot()
        for labels, value in family.samples
        if family.name == DROPPED
    }
    got = {
        "in_time": in_time,
        "requests": len(receiver.requests),
        "records": sum(event.HasField("webhook") for event in analytics.events),
        "lost": lost,
        "late_call_raises": raises,
    }
    expected = {
        "in_time": not force,
        "requests": 1 if force else count,
        "records": 0 if force else count,
        "lost": {UNFINISHED: count} if force else {},
        "late_call_raises": True,
    }
    return compared(expected, got, CLOSING)


def _telemetry(
    url: str,
    clock: VirtualClock,
    analytics: RecordingAnalytics,
    schedule: SeededSchedule | None = None,
) -> Telemetry:
    webhook = WebhookSettings(
        urls=(url,),
        api_key=API_KEY,
        keys={API_KEY: secret_of(API_KEY)},
        policy="livekit",
        allow_private=True,
    )
    settings = Settings(flush_interval_seconds=None, webhook=webhook)
    return Telemetry(settings, analytics=analytics, clock=clock, schedule=schedule)


def _is_refused(telemetry: Telemetry) -> bool:
    try:
        telemetry.room_started(Room(name="late"))
    except SystemClosedError:
        return True
    return False
