"""One statistic and one webhook from end to end: what to read first, to see how all works."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import jwt
import pytest
from google.protobuf.json_format import Parse
from jwt.types import Options
from livekit.protocol.analytics import AnalyticsEventType as Kind
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType
from livekit.protocol.models import ParticipantInfo, Room, TrackSource, TrackType
from livekit.protocol.webhook import WebhookEvent

import greenroom
from greenroom import StatsKey, VirtualClock, WebhookSettings
from greenroom.core.times import timestamp
from greenroom.testing.fakes import RecordingAnalytics

SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND
ROOM: Final = Room(sid="RM_1", name="lobby")
ALICE: Final = ParticipantInfo(sid="PA_1", identity="alice")
UNTIMED: Final[Options] = {"verify_exp": False, "verify_nbf": False}  # it is 2023 here
SECRET: Final = "a secret that is long enough for HMAC-SHA256"


def test_one_statistic() -> None:
    analytics = RecordingAnalytics()
    clock = VirtualClock(START_NS)
    key = StatsKey.for_track(
        "DE", StreamType.UPSTREAM, "PA_1", "TR_1", TrackSource.CAMERA, TrackType.VIDEO
    )

    with greenroom.start(clock=clock, analytics=analytics) as telemetry:
        # 1. A participant is active: the supervisor starts a worker for (room, participant).
        guard = telemetry.guard()
        telemetry.participant_active(ROOM, ALICE, None, False, guard)

        # 2. Two reports about one of its tracks: counted at once, and kept by the worker.
        for packets in (100, 50):
            stream = AnalyticsStream(ssrc=7, primary_packets=packets, packets_lost=1)
            telemetry.track_stats("RM_1", "lobby", key, AnalyticsStat(streams=[stream]))
        telemetry.sync()
        assert telemetry.metrics.node_stats()["packets_in"] == 150
        assert analytics.batches == []

        # 3. The timer ticks after 30 s; the worker makes one statistic of the two.
        telemetry.advance_to(START_NS + 30 * SECOND)
        ((flushed,),) = analytics.batches
        assert (flushed.room_id, flushed.participant_id, flushed.track_id) == (
            "RM_1",
            "PA_1",
            "TR_1",
        )
        assert flushed.time_stamp == timestamp(START_NS + 30 * SECOND)
        assert flushed.streams[0].primary_packets == 150
        assert flushed.streams[0].packets_lost == 2

        # 4. The participant leaves with its only guard: the worker is closed, and still there.
        telemetry.participant_left(ROOM, ALICE, True, guard)
        telemetry.advance_to(START_NS + 210 * SECOND)
        assert [worker.closed for worker in telemetry.workers().current] == [True]

        # 5. The first tick after more than three minutes finds it so, and it is retired.
        telemetry.advance_to(START_NS + 240 * SECOND)
        assert telemetry.workers().current == ()
        assert telemetry.statistics().runtime.actors == 5, "the lasting ones"

    assert len(analytics.batches) == 1  # nothing was left, so nothing was handed over at the end


@dataclass
class Endpoint:
    """A receiver of webhooks that answers as it is told, then with 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # Authorization, body


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    seen = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.requests.append((self.headers["Authorization"], body))
            self.send_response(seen.answers.pop(0) if seen.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield seen
        server.shutdown()
        thread.join()


def test_one_webhook(endpoint: Endpoint) -> None:
    analytics = RecordingAnalytics()
    settings = WebhookSettings(
        urls=(endpoint.url,), api_key="key", keys={"key": SECRET}, allow_private=True
    )
    endpoint.answers = [503]

    with greenroom.start(
        clock=VirtualClock(START_NS), analytics=analytics, webhook=settings
    ) as telemetry:
        # 1. Two calls: their events go to the analytics at once, their webhooks wait in line.
        telemetry.room_started(ROOM)
        telemetry.room_ended(ROOM)
        telemetry.sync()
        assert [event.type for event in analytics.events] == [Kind.ROOM_CREATED, Kind.ROOM_ENDED]

        # 2. The first attempt got a 503: the other webhook of the room stays behind it.
        assert [event.event for event in received(endpoint)] == ["room_started"]

        # 3. After five seconds and a little, it is tried again; then it is the other one's turn.
        telemetry.advance_to(START_NS + 6 * SECOND)
        first, again, second = received(endpoint)
        assert [event.event for event in (first, again, second)] == [
            "room_started",
            "room_started",
            "room_finished",
        ]

        # 4. Id and time were fixed when the call was made, so a receiver can tell a repetition.
        assert first == again
        assert first.id.startswith("EV_")
        assert first.id != second.id
        assert first.created_at == START_NS // SECOND

        # 5. Each attempt is signed anew over exactly the bytes that were sent.
        for token, body in endpoint.requests:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], options=UNTIMED)
            assert claims["iss"] == "key"
            assert claims["sha256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()

        # 6. The fate of each webhook is itself an event, and a count.
        telemetry.sync()
        fates = [event.webhook for event in analytics.events if event.type == Kind.WEBHOOK]
        assert [fate.event_id for fate in fates] == [first.id, second.id]
        assert not any(fate.is_dropped for fate in fates)


def received(endpoint: Endpoint) -> list[WebhookEvent]:
    return [Parse(body, WebhookEvent()) for _, body in endpoint.requests]
