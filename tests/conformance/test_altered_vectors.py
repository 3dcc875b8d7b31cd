"""A vector that was tampered with: the check must see it, and say where."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from greenroom.conformance.findings import Findings, Verdict
from greenroom.conformance.runner import check_all, read_files
from greenroom.conformance.vectors import Vector
from greenroom.errors import RecordingError

DATA = Path(__file__).parents[1] / "data"
NAMES = ("scenarios", "webhook", "coalesce", "condense")
FILES = {name: read_files([DATA / f"{name}.jsonl.gz"]) for name in NAMES}

Alter = Callable[[dict[str, Any]], None]


def first(file: str, name: str) -> Vector:
    return next(vector for vector in FILES[file] if vector.name == name)


def checked(vector: Vector, alter: Alter) -> Findings:
    content = copy.deepcopy(dict(vector.content))
    alter(content)
    (result,) = check_all([replace(vector, content=content)])
    return result.findings


@dataclass(frozen=True)
class put:  # noqa: N801  # reads as the function that it is
    """Sets what is at a path such as `steps.0.expect.workers.0.closed`."""

    path: str
    value: object

    def __call__(self, content: dict[str, Any]) -> None:
        *parents, last = self.path.split(".")
        inside: Any = content
        for name in parents:
            inside = inside[int(name)] if isinstance(inside, list) else inside[name]
        inside[int(last) if isinstance(inside, list) else last] = self.value


@pytest.mark.parametrize(
    ("name", "alter", "path"),
    [
        (
            "room_started_and_ended",
            put("steps.1.expect.events.0.room.name", "tampered"),
            "steps[1] room_ended.events[0].room.name",
        ),
        (
            "room_started_and_ended",
            put("steps.1.expect.events.0.timestamp", "2025-01-01T00:00:00Z"),
            "steps[1] room_ended.events[0].timestamp",
        ),
        (
            "left_connected",
            put("steps.1.expect.webhooks.0.event.event", "participant_connection_aborted"),
            "steps[1] participant_left.webhooks[0].event.event",
        ),
        (
            "left_connected",
            put("steps.1.expect.webhooks.0.event.created_at", "1"),
            "steps[1] participant_left.webhooks[0].event.created_at",
        ),
        (
            "left_connected",
            put("steps.1.expect.workers.0.closed", False),
            "steps[1] participant_left.workers[0].closed",
        ),
        (
            "left_connected",
            put("steps.0.expect.webhooks", []),
            "steps[0] participant_active.webhooks[0]",
        ),
        (
            "egress_extra_webhooks",
            put("steps.0.expect.webhooks.0.extra_webhooks.0.signing_key", "tampered"),
            "steps[0] egress_started.webhooks[0].extra_webhooks[0].signing_key",
        ),
        (
            "local_room_state",
            put("steps.0.expect.node_rooms.0.node_id", "tampered"),
            "steps[0] local_room_state.node_rooms[0].node_id",
        ),
        ("active_first", put("node_stats.num_clients", 2), "node_stats.num_clients"),
        (
            "active_first",
            put("metrics", {}),
            'metrics.livekit_participant_total{node_id="node-1",node_type="SERVER"}',
        ),
    ],
    ids=str,
)
def test_an_altered_scenario_fails_at_the_altered_field(
    name: str, alter: Alter, path: str
) -> None:
    findings = checked(first("scenarios", name), alter)

    assert findings.verdict is Verdict.FAILED
    assert [difference.path for difference in findings.differences] == [path]


def test_an_altered_statistic_fails_at_the_altered_field() -> None:
    vector = first("scenarios", "stats_up_and_down_same_track")
    steps = vector.content["steps"]
    assert isinstance(steps, list)
    (index,) = (i for i, step in enumerate(steps) if "stats" in step.get("expect", {}))

    findings = checked(vector, put(f"steps.{index}.expect.stats.0.1.streams.0.frames", 7))

    paths = [difference.path for difference in findings.differences]
    assert paths == [f"steps[{index}] flush_stats.stats[0][1].streams[0].frames"]


@pytest.mark.parametrize(
    ("file", "name", "alter", "path"),
    [
        ("coalesce", "one_full", put("expect.streams.0.rtt", 1), "expect[0].streams[0].rtt"),
        ("coalesce", "one_full", put("expect", None), "expect"),
        ("coalesce", "empty_list", put("expect", {}), "expect"),
        ("condense", "one_full", put("expect.bytes", 1), "bytes"),
        ("condense", "one_full", put("expect.end_time", "1970-01-01T00:00:00Z"), "end_ns"),
        ("condense", "one_full", put("expect", None), ""),
    ],
    ids=str,
)
def test_an_altered_sample_fails_at_the_altered_field(
    file: str, name: str, alter: Alter, path: str
) -> None:
    findings = checked(first(file, name), alter)

    assert [difference.path for difference in findings.differences] == [path]


@pytest.mark.parametrize(
    ("kind", "alter", "path"),
    [
        ("event_key", put("expect", "tampered"), "key"),
        ("filter", put("expect", False), "allowed"),
        ("filter_set", put("allowed.room_started", True), "allowed.room_started"),
        ("webhook_info", put("expect.room_id", "tampered"), "expect[0].room_id"),
        ("processed", put("requests", 2), "requests"),
        ("processed", put("expect.room_name", "tampered"), "records[0].room_name"),
        ("processed", put("expect.sent_at", "2025-01-01T00:00:00Z"), "records[0].sent_at"),
        ("request", put("method", "PUT"), "method"),
        ("request", put("jwt_claims.iss", "tampered"), "jwt_claims.iss"),
        ("request", put("jwt_claims_text", "{}"), "jwt_claims_text"),
        ("request", put("signed_with", "nothing"), "signed_with"),
        ("request", put("headers.3", "Content-Type: text/plain"), "headers.content-type"),
        ("request", put("body.room.name", "tampered"), "body.room.name"),
        ("status", put("requests", 3), "requests"),
        ("status", put("success", False), "success"),
        ("status_sequence", put("requests", 3), "requests"),
        ("status_sequence", put("send_error", "tampered"), "send_error"),
        ("redirect", put("requests.0.method", "GET"), "requests[0].method"),
        ("retry_waits", put("waits_ms.1", 41), "waits_ms[1]"),
        ("retry_after", put("wait_ms", 1), "waits_ms[0]"),
        ("default_waits", put("waits_s_by_attempt.3", 9), "waits_s_by_attempt[3]"),
        ("defaults", put("max_depth", 1), "max_depth"),
        ("queue_full", put("queue_notify_errors.0", "tampered"), "queue_notify_errors[0]"),
        ("queue_full", put("delivered_order.1", "EV_7"), "delivered_order[1]"),
        ("order", put("in_order_per_key", False), "in_order_per_key"),
        ("blocked_key", put("processed.0", "slow"), "processed[0]"),
        ("sweep", put("queues_after_500_ms", 1), "queues_after_500_ms"),
        ("notify_options", put("hook_url", "tampered"), "hook_url[0]"),
        ("default_notifier", put("requests.0", "/x iss=K signed=K"), "requests[1][0]"),
        ("default_notifier_full", put("errors.0", "tampered"), "refused[0]"),
    ],
    ids=str,
)
def test_an_altered_webhook_vector_fails_at_the_altered_field(
    kind: str, alter: Alter, path: str
) -> None:
    findings = checked(first("webhook", kind), alter)

    assert findings.verdict is Verdict.FAILED
    assert path in [difference.path for difference in findings.differences]


def test_altered_counters_fail_by_their_names() -> None:
    vector = first("webhook", "metrics")
    expect = vector.content["expect"]
    assert isinstance(expect, dict)
    name = next(name for name in expect if "age" in name)

    findings = checked(vector, lambda content: content["expect"].update({name: 2}))

    assert [difference.path for difference in findings.differences] == [name]


@pytest.mark.parametrize(
    ("kind", "alter"),
    [
        ("request", put("path", "/elsewhere?a=b")),
        ("event_key", put("event.room.sid", "RM_other")),
        ("retry_after", put("retry_wait_min_ms", 77)),
        ("order", put("keys", 7)),
        ("order", put("events", 400)),
        ("sweep", put("timeout_ms", 111)),
        ("notify_options", put("requests.0.iss", "APIelsewhere")),
    ],
    ids=str,
)
def test_what_other_recordings_may_have_otherwise_is_no_difference(
    kind: str, alter: Alter
) -> None:
    assert checked(first("webhook", kind), alter) == Findings()


def test_the_node_that_a_scenario_names_is_the_one_that_is_compared() -> None:
    vector = first("scenarios", "session_two_participants")
    text = json.dumps(vector.content).replace("node-1", "node-2").replace("SERVER", "MEDIA")

    (result,) = check_all([replace(vector, content=json.loads(text))])

    assert result.findings == Findings()


def test_a_retry_after_beyond_the_limit_differs_on_purpose() -> None:
    def beyond(content: dict[str, Any]) -> None:
        content.update(status=429, retry_after="86400", wait_ms=86_400_000)

    findings = checked(first("webhook", "retry_after"), beyond)

    assert findings == Findings(on_purpose=("retry-after-is-capped",))


def test_what_differs_on_purpose_fails_when_it_is_not_as_promised() -> None:
    vector = next(
        vector
        for vector in FILES["webhook"]
        if vector.name == "status" and vector.content["status"] == 404
    )

    findings = checked(vector, put("requests", 2))

    assert findings.verdict is Verdict.FAILED
    assert "non-2xx-is-a-failure" in findings.on_purpose


@pytest.mark.parametrize(
    ("file", "name", "alter", "reason"),
    [
        (
            "scenarios",
            "left_connected",
            put("steps.0.call", "participant_vanished"),
            "no call is named",
        ),
        ("scenarios", "left_connected", put("steps.0.args.guard", "one"), "guard"),
        ("scenarios", "left_connected", put("steps.0.expect.smoke", []), "unknown outputs: smoke"),
        ("scenarios", "left_connected", put("steps.0", {"wait": 3}), "neither a call nor"),
        ("scenarios", "left_connected", put("steps.0", {"advance": -3}), "only goes forward"),
        ("scenarios", "left_connected", put("metrics", []), "metrics: expected dict"),
        ("coalesce", "one_full", put("stats.0.streams", 7), "not a AnalyticsStat"),
        ("condense", "one_full", put("expect.volume", 7), "unknown or missing fields"),
        ("webhook", "event_key", put("event.colour", "red"), "not a WebhookEvent"),
        ("webhook", "processed", put("outcome", "eaten"), "unknown outcome 'eaten'"),
        ("webhook", "metrics", put("about", "a walk in the park"), "expected a course"),
        ("webhook", "lock_leak", put("error", "no luck"), "unknown error 'no luck'"),
        ("webhook", "status", put("max_retries", "two"), "expected int, got 'two'"),
    ],
    ids=str,
)
def test_a_line_that_is_not_understood_is_refused_with_file_and_line(
    file: str, name: str, alter: Alter, reason: str
) -> None:
    vector = first(file, name)

    with pytest.raises(RecordingError, match=reason) as raised:
        checked(vector, alter)

    assert raised.value.where.startswith(vector.where)
