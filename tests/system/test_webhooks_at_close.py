"""At close() with a data directory, what is not delivered waits for the next start."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from aiohttp import web
from livekit.protocol.models import Room

import greenroom
from greenroom.testing.loopback import HttpReceiver, LoopThread, respond

SECRET: Final = "a-secret-of-the-test-0123456789abcdef"


def start(receiver: HttpReceiver, directory: Path) -> greenroom.Telemetry:
    webhook = greenroom.WebhookSettings(
        urls=(receiver.url(),), api_key="key", keys={"key": SECRET}, allow_private=True
    )
    return greenroom.start(webhook=webhook, data_dir=directory)


def test_what_hangs_at_close_is_kept_and_delivered_by_the_next_start(tmp_path: Path) -> None:
    thread = LoopThread()
    receiver = HttpReceiver(thread)
    receiver.handler = receiver.hang
    first = start(receiver, tmp_path)
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
    with start(receiver, tmp_path):
        assert arrived.wait(10)
    receiver.close()
    thread.close()

    assert sequences == ["1", "2", "3", "4", "5"]
    assert len(set(ids)) == 5


def test_close_delivers_what_it_can_before_it_returns(tmp_path: Path) -> None:
    thread = LoopThread()
    receiver = HttpReceiver(thread)
    telemetry = start(receiver, tmp_path)
    for number in range(50):
        telemetry.room_started(Room(name=f"room-{number % 3}"))

    assert telemetry.close()

    assert len(receiver.received) == 50
    receiver.close()
    thread.close()
