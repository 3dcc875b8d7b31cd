"""At close() with a data directory, what is not delivered waits for the next start."""

from __future__ import annotations

import threading

from aiohttp import web
from livekit.protocol.models import Room

from greenroom.testing.loopback import HttpReceiver, respond

from .rooms import Start


def test_what_hangs_at_close_is_kept_and_delivered_by_the_next_start(
    receiver: HttpReceiver, start: Start
) -> None:
    receiver.handler = receiver.hang
    first = start(receiver.url())
    for number in range(5):
        first.room_started(Room(name="room", metadata=str(number)))
    first.sync()

    assert first.close(timeout=4.0), "nothing is lost"

    receiver.release()
    arrived = threading.Event()
    ids, sequences = set[str](), list[str]()

    async def take(request: web.Request) -> web.StreamResponse:
        ids.add(request.headers["webhook-id"])
        sequences.append(request.headers["greenroom-sequence"])
        if b'"4"' in await request.read():
            arrived.set()
        return await respond(204)(request)

    receiver.handler = take
    with start(receiver.url()):
        assert arrived.wait(10)

    assert sequences == ["1", "2", "3", "4", "5"]
    assert len(set(ids)) == 5


def test_close_delivers_what_it_can_before_it_returns(
    receiver: HttpReceiver, start: Start
) -> None:
    telemetry = start(receiver.url())
    for number in range(50):
        telemetry.room_started(Room(name=f"room-{number % 3}"))

    assert telemetry.close()

    assert len(receiver.received) == 50
