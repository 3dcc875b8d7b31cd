"""A call recorded from LiveKit, played: what comes out is what came out of LiveKit.

`tests/data/call` holds the calls, and what LiveKit's own telemetry made of them: the sends to its
analytics service, its flushes and retired workers, and the webhook requests that arrived.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from google.protobuf.json_format import MessageToDict, Parse
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsEventType, AnalyticsStat
from livekit.protocol.webhook import WebhookEvent

import greenroom
from greenroom.replay.player import Player
from greenroom.replay.receiver import Received, Receiver
from greenroom.replay.recording import RecordedCall, Recording
from greenroom.replay.start import find_start
from greenroom.testing.fakes import RecordingAnalytics

DATA = Path(__file__).parent.parent / "data" / "call"
START_NS = 1_795_473_543_636_366_600  # the time of "at" 0, as the recorder noted it
KEYS = {"devkey": "devsecret-0123456789abcdef0123456789abcdef"}
MEASURED = ("queued_at", "queue_duration_ns", "sent_at", "send_duration_ns", "created_at", "url")

Json: TypeAlias = dict[str, Any]
StatKey: TypeAlias = tuple[str, str, str, int]


def recorded(name: str) -> list[Json]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def calls() -> list[RecordedCall]:
    with Recording(DATA / "calls.jsonl.gz") as recording:
        return list(recording)


@pytest.fixture
def analytics() -> RecordingAnalytics:
    return RecordingAnalytics()


def plain(message: AnalyticsEvent | AnalyticsStat | WebhookEvent) -> Json:
    found: Json = MessageToDict(message, preserving_proto_field_name=True)
    return found


def by_room(events: list[Json], room_of: Callable[[Json], str]) -> dict[str, list[Json]]:
    rooms = defaultdict(list)
    for event in events:
        rooms[room_of(event)].append(event)
    return dict(rooms)


def without_times(event: Json) -> Json:
    """What does not depend on when it happened, or how long a request took."""
    kept = {name: value for name, value in event.items() if name != "timestamp"}
    if "webhook" in event:
        webhook = event["webhook"]
        kept["webhook"] = {
            name: value.replace(webhook["url"], "URL") if isinstance(value, str) else value
            for name, value in webhook.items()
            if name not in (*MEASURED, "event_id")
        }
    return kept


def room_of(event: Json) -> str:
    return str(event.get("webhook", {}).get("room_name") or event["room"]["name"])


def test_the_start_that_is_found_is_the_recorders_to_a_few_milliseconds(
    calls: list[RecordedCall],
) -> None:
    start_ns, _ = find_start(iter(calls))

    assert start_ns is not None
    assert abs(start_ns - START_NS) < 5_000_000


# ── statistics ──────────────────────────────────────────────────────────────────────────────


def without_time_stamp(stat: AnalyticsStat) -> AnalyticsStat:
    kept = AnalyticsStat()
    kept.CopyFrom(stat)
    kept.ClearField("time_stamp")
    return kept


def key_of(stat: AnalyticsStat) -> StatKey:
    return stat.room_id, stat.participant_id, stat.track_id, int(stat.kind)


def keyed(stats: list[AnalyticsStat]) -> dict[StatKey, AnalyticsStat]:
    found = {key_of(stat): without_time_stamp(stat) for stat in stats}
    assert len(found) == len(stats)
    return found


def recorded_stats() -> Iterator[tuple[float, list[AnalyticsStat]]]:
    """For each recorded flush its time, and all that it sent."""
    flushes = [line["flush_now"] for line in recorded("internal") if "flush_now" in line]
    sends = [line for line in recorded("analytics") if line["send"] == "stats"]
    for at, until in zip(flushes, [*flushes[1:], float("inf")], strict=True):
        stats = [
            Parse(json.dumps(stat), AnalyticsStat())
            for send in sends
            if at <= send["at"] < until
            for stat in send["stats"]
        ]
        yield at, stats


def test_at_the_recorded_flush_times_the_same_statistics_come_out_and_workers_go(
    calls: list[RecordedCall], analytics: RecordingAnalytics
) -> None:
    flushes = [line for line in recorded("internal") if "flush_now" in line]
    remaining = list(calls)
    compared = 0
    with greenroom.start(
        clock=greenroom.VirtualClock(START_NS), analytics=analytics, flush_interval_seconds=None
    ) as telemetry:
        player = Player(telemetry)
        for flush, (at, expected) in zip(flushes, recorded_stats(), strict=True):
            at_ns = round(at * 1e9)
            due = [call for call in remaining if call.at_ns < at_ns]
            remaining = remaining[len(due) :]
            player.play([*due, RecordedCall("flush", at_ns, "flush_stats", {})])
            telemetry.sync()

            assert keyed(analytics.stats) == keyed(expected)
            assert {s.time_stamp.ToNanoseconds() for s in analytics.stats} <= {START_NS + at_ns}
            assert telemetry.statistics().workers_retained == flush["workers_in_map_after"]
            current = {(w.key.room_id, w.key.participant_id) for w in telemetry.workers().current}
            gone = {(w["room_id"], w["participant_id"]) for w in flush["retired"]}
            there = {(w["room_id"], w["participant_id"]) for w in flush["workers"]}
            assert current == there - gone
            compared += len(expected)
            analytics.batches.clear()

    assert not remaining
    assert compared == sum(len(line.get("stats", ())) for line in recorded("analytics"))
    assert not analytics.batches


def test_what_one_worker_flushes_leaves_as_one_batch_upstream_first(
    calls: list[RecordedCall], analytics: RecordingAnalytics
) -> None:
    with greenroom.start(clock=greenroom.VirtualClock(START_NS), analytics=analytics) as telemetry:
        player = Player(telemetry)
        player.play(calls)
        player.finish()

    for batch in analytics.batches:
        kinds = [stat.kind for stat in batch]
        assert len({(stat.room_id, stat.participant_id) for stat in batch}) == 1
        assert kinds == sorted(kinds)


# ── events and webhooks ─────────────────────────────────────────────────────────────────────


class RecordedAnswers:
    """Answers each request as the recorded receiver did: some first attempts failed.

    The n-th event of a room gets the answers that the n-th event of that room got.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._answers: dict[tuple[str, int], list[int]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        numbers: dict[str, tuple[str, int]] = {}
        counts: dict[str, int] = defaultdict(int)
        for line in recorded("webhooks"):
            if line["event_id"] not in numbers:
                room = self.room(base64.b64decode(line["body_b64"]))
                numbers[line["event_id"]] = room, counts[room]
                counts[room] += 1
            self._answers.setdefault(numbers[line["event_id"]], []).append(line["answered"])
        self._counts: dict[str, int] = defaultdict(int)

    @staticmethod
    def room(body: bytes) -> str:
        return str(json.loads(body)["room"]["name"])

    def __call__(self, received: Received) -> int:
        room = self.room(received.body)
        event_id = received.event.id
        if event_id not in self._places:
            self._places[event_id] = room, self._counts[room]
            self._counts[room] += 1
        return self._answers[self._places[event_id]].pop(0)


@pytest.fixture
def played_with_webhooks(
    calls: list[RecordedCall], analytics: RecordingAnalytics
) -> RecordedAnswers:
    answers = RecordedAnswers()
    clock = greenroom.VirtualClock(START_NS)
    receiver = Receiver(KEYS, clock, on_received=answers.requests.append, answer=answers)
    webhook = greenroom.WebhookSettings(
        urls=(receiver.url,), api_key="devkey", keys=KEYS, policy="livekit", allow_private=True
    )
    with greenroom.start(clock=clock, analytics=analytics, webhook=webhook) as telemetry:
        player = Player(telemetry)
        player.play(calls)
        player.finish()
    receiver.close()
    return answers


def test_the_same_events_come_out_in_the_same_order_for_each_room(
    played_with_webhooks: RecordedAnswers, analytics: RecordingAnalytics
) -> None:
    mine = [without_times(plain(event)) for event in analytics.events]
    theirs = [
        without_times(line["event"]) for line in recorded("analytics") if line["send"] == "event"
    ]

    # an event about a webhook's fate comes when the request is over: at real speed, later
    for about_webhooks in (False, True):
        assert by_room([e for e in mine if ("webhook" in e) == about_webhooks], room_of) == (
            by_room([e for e in theirs if ("webhook" in e) == about_webhooks], room_of)
        )


def test_events_other_than_those_about_webhooks_keep_their_order_across_rooms(
    played_with_webhooks: RecordedAnswers, analytics: RecordingAnalytics
) -> None:
    webhook = AnalyticsEventType.WEBHOOK

    mine = [without_times(plain(e)) for e in analytics.events if e.type != webhook]

    assert mine == [
        without_times(line["event"])
        for line in recorded("analytics")
        if line["send"] == "event" and "webhook" not in line["event"]
    ]


def test_events_carry_the_time_of_their_call(
    played_with_webhooks: RecordedAnswers, analytics: RecordingAnalytics
) -> None:
    theirs = [
        Parse(json.dumps(line["event"]), AnalyticsEvent())
        for line in recorded("analytics")
        if line["send"] == "event" and "webhook" not in line["event"]
    ]
    mine = [e for e in analytics.events if e.type != AnalyticsEventType.WEBHOOK]

    for event, their in zip(mine, theirs, strict=True):
        late_ns = their.timestamp.ToNanoseconds() - event.timestamp.ToNanoseconds()
        assert 0 <= late_ns < 100_000_000  # there, an event is made when its turn comes


def test_the_same_webhooks_arrive_in_the_same_order_for_each_room_retries_included(
    played_with_webhooks: RecordedAnswers,
) -> None:
    def described(body: bytes) -> Json:
        event = plain(Parse(body, WebhookEvent()))
        return {name: value for name, value in event.items() if name not in ("id", "created_at")}

    mine = [described(received.body) for received in played_with_webhooks.requests]
    theirs = [described(base64.b64decode(line["body_b64"])) for line in recorded("webhooks")]

    def room(event: Json) -> str:
        return str(event["room"]["name"])

    assert all(not received.problem for received in played_with_webhooks.requests)
    assert by_room(mine, room) == by_room(theirs, room)
    assert len(mine) == 94


def test_a_webhook_keeps_its_id_and_bytes_on_every_attempt(
    played_with_webhooks: RecordedAnswers,
) -> None:
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for received in played_with_webhooks.requests:
        bodies[received.event.id].add(received.body)

    assert len(bodies) == 79
    assert all(len(same) == 1 for same in bodies.values())


def test_retries_wait_in_the_calls_own_time(played_with_webhooks: RecordedAnswers) -> None:
    attempts: dict[str, list[int]] = defaultdict(list)
    for received in played_with_webhooks.requests:
        attempts[received.event.id].append(received.at_ns)

    waits = {
        tuple(round((b - a) / 1e9) for a, b in pairwise(times)) for times in attempts.values()
    }
    assert waits == {(), (1,), (1, 2, 4, 8)}
