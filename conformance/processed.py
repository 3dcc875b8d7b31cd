"""Webhook vectors of kind `processed`: a delivery with an ending, and the record of it.

A line tells how it ended, not what the receiver did: that follows from the error's text, from the
number of requests, and from a status or a closed connection in the line's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import WebhookInfo
from livekit.protocol.webhook import WebhookEvent

from ..config import DeliveryPolicy
from ..core.delivery import QUEUE_FULL
from ..core.retry import Verdict, classify
from ..errors import RecordingError
from .answers import failure_text, policy_of, with_port
from .compare import parsed, plain
from .differences import NON_2XX
from .findings import Findings, compared
from .harness import Harness, posted_ids
from .receiver import ANSWER_NS, Answer, Behaviour, Receiver, Script, Status, in_turn
from .vectors import Json, Vector

TIMEOUT_SECONDS: Final = 0.4  # of real time, as there is no other to a client's time-out
SOON_TOO_OLD_SECONDS: Final = 0.5  # less than the wait of the event that is before it
ZERO_TIME: Final = "0001-01-01T00:00:00Z"

_STATUS: Final = re.compile(r"\b[1-9]\d\d\b")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a line means.

    Args:
        script: The receiver's answers.
        policy: How the webhook is tried and retried.
        port: Where it is posted to.
        final: The status of the last answer.
        before: Events of the same key that are there before it.
    """

    script: Script
    policy: DeliveryPolicy
    port: int
    final: int = 200
    before: int = 0


def check_processed(vector: Vector, receiver: Receiver) -> Findings:
    """The record, and how many requests were made."""
    event = parsed(WebhookEvent, vector.read("event", dict), f"{vector.where} event")
    count, recorded = vector.read("requests", int), dict(vector.read("expect", dict))
    plan = _plan(vector, recorded, receiver)
    url = with_port(vector.read("url", str), plan.port)
    with Harness(receiver, plan.script, urls=[url], policy=plan.policy) as harness:
        for number in range(plan.before):
            earlier = WebhookEvent()
            earlier.CopyFrom(event)
            earlier.id = f"before {number}"
            harness.notify(earlier)
        start_ns = harness.clock.now_ns()
        harness.notify(event)
        harness.settle()
        end_ns = harness.clock.now_ns()
        infos = [info for info in harness.kept.infos if info.event_id == event.id]
        requests = [one for one in harness.requests if posted_ids([one]) == [event.id]]
    for name in ("url", "send_error"):
        if name in recorded:
            recorded[name] = with_port(str(recorded[name]), plan.port)
    slugs = []
    if vector.read("outcome", str) == "delivered" and not 200 <= plan.final < 300:
        slugs.append(NON_2XX)
        recorded["send_error"] = failure_text(url, count, plan.final)
    sent_ns = ANSWER_NS * len(requests)
    records = [_with_times(plain(info), start_ns, end_ns, sent_ns) for info in infos]
    expected = {
        "requests": count,
        "queue_notify_error": vector.read_or_none("queue_notify_error", str),
        "records": [recorded],
    }
    got = {
        "requests": len(requests),
        "queue_notify_error": QUEUE_FULL if any(map(is_refused, infos)) else None,
        "records": records,
    }
    return compared(expected, got, *slugs)


def is_refused(info: WebhookInfo) -> bool:
    """Whether the record says that the queue did not even take the event."""
    return info.is_dropped and info.queued_at.ToJsonString() == ZERO_TIME


def _plan(vector: Vector, recorded: Json, receiver: Receiver) -> _Plan:
    policy, port = policy_of(vector), receiver.port
    outcome, error = vector.read("outcome", str), str(recorded.get("send_error", ""))
    name = vector.read("name", str)
    statuses = [int(status) for status in _STATUS.findall(name)]
    closes = "closes the connection" in name or error.endswith("EOF")
    failing: Answer = Behaviour.CLOSE if closes else Status(500)
    match outcome:
        case "delivered":
            final = [one for one in statuses if classify(policy, one) is not Verdict.RETRY]
            last = final[-1] if final else 200
            at_once = "delivered" in name  # and not "second attempt works"
            failures = [] if at_once else [failing] * (vector.read("requests", int) - 1)
            return _Plan(in_turn(*failures, Status(last)), policy, port, final=last)
        case "dropped" if recorded.get("queued_at") == ZERO_TIME:
            policy = replace(policy, max_depth=1)
            return _Plan(in_turn(failing, Status()), policy, port, before=2)
        case "dropped":
            policy = replace(policy, max_age_seconds=SOON_TOO_OLD_SECONDS)
            return _Plan(in_turn(failing, Status()), policy, port, before=1)
        case "failed" if "connection refused" in error:
            return _Plan(in_turn(Status()), policy, receiver.refusing_port)
        case "failed" if "Client.Timeout" in error:
            policy = replace(policy, total_timeout_seconds=TIMEOUT_SECONDS)
            return _Plan(in_turn(Behaviour.HOLD), policy, port)
        case "failed":
            return _Plan(in_turn(Status(statuses[-1]) if statuses else failing), policy, port)
    raise RecordingError(vector.where, f"processed: unknown outcome {outcome!r}")


def _with_times(info: dict[str, object], start_ns: int, end_ns: int, sent_ns: int) -> Json:
    """The record with the vectors' words where its times and durations are what they may be.

    A duration may be 0 (and so absent), as time stands still while greenroom works; not so the
    sending, when a receiver took its time.
    """
    shown = dict(info)
    for name in ("queued_at", "sent_at"):
        if start_ns <= _ns(info.get(name)) <= end_ns:
            shown[name] = "NOW"
    dropped = info.get("is_dropped") is True
    least = {"queue_duration_ns": 0, "send_duration_ns": sent_ns}
    if dropped:
        least = {"queue_duration_ns": int(SOON_TOO_OLD_SECONDS * 1e9)}
    if shown["queued_at"] == "NOW":
        for name, minimum in least.items():
            if minimum <= int(str(info.get(name, "0"))) <= end_ns - start_ns:
                shown[name] = "MEASURED"
    return shown


def _ns(text: object) -> int:
    time = Timestamp()
    time.FromJsonString(str(text))
    return time.ToNanoseconds()
