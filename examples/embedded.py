"""greenroom inside a program: one room, one participant, one webhook endpoint.

    python examples/embedded.py

The endpoint is greenroom's own local receiver, so nothing leaves the machine.
"""

from __future__ import annotations

from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType
from livekit.protocol.models import ParticipantInfo, Room, TrackSource, TrackType

import greenroom
from greenroom.replay.receiver import Received, Receiver
from greenroom.runtime.clock import SystemClock

API_KEY, SECRET = "devkey", "devsecret-0123456789abcdef0123456789abcdef"


def show(received: Received) -> None:
    """Print one request that arrived."""
    verdict = f"REFUSED: {received.problem}" if received.problem else "verified"
    print(received.number, received.event.event, received.event.room.name, verdict)


def main() -> None:
    """Join, publish statistics, leave; each webhook is shown as it arrives."""
    # 1. somebody who listens
    receiver = Receiver({API_KEY: SECRET}, SystemClock(), on_received=show)
    webhook = greenroom.WebhookSettings(
        urls=(receiver.url,),
        api_key=API_KEY,
        keys={API_KEY: SECRET},
        allow_private=True,  # it is on this machine
    )

    # 2. the telemetry, on its own thread
    with greenroom.start(webhook=webhook) as telemetry:
        room = Room(sid="RM_1", name="garden")
        alice = ParticipantInfo(sid="PA_1", identity="alice")
        guard = telemetry.guard()

        # 3. what a server would tell it
        telemetry.room_started(room)
        telemetry.participant_joined(room, alice, None, None, True, guard)
        telemetry.participant_active(room, alice, None, False, guard)
        key = greenroom.StatsKey.for_track(
            "CH", StreamType.UPSTREAM, alice.sid, "TR_1", TrackSource.MICROPHONE, TrackType.AUDIO
        )
        for _ in range(10):
            stream = AnalyticsStream(primary_packets=50, primary_bytes=6000)
            telemetry.track_stats(room.sid, room.name, key, AnalyticsStat(streams=[stream]))
        telemetry.participant_left(room, alice, True, guard)
        telemetry.room_ended(room)
    # 4. leaving the block flushed the statistics and waited for the webhooks
    receiver.close()


if __name__ == "__main__":
    main()
