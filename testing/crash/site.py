"""A receiver of webhooks in a process of its own: what it takes is in a file before it answers.

    python -m greenroom.testing.crash.site FILE SEED

The first line of the file has its URL. The end of its standard input ends it. Some it does not
take, and of some that it took it does not say so.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ...receiver.receiver import Received, Receiver
from ..loopback import HttpReceiver, LoopThread
from ..webhook_site import KEYS
from .ledger import Ledger

REFUSED_PART: Final = 0.01
UNSAID_PART: Final = 0.01


def main(path: str, seed: str) -> None:
    """Serve until the end of the input."""
    book = Ledger(Path(path))
    judge = Receiver(KEYS)
    chance = random.Random(seed)
    thread = LoopThread()
    server = HttpReceiver(thread)

    async def take(request: web.Request) -> web.StreamResponse:
        server.received.clear()  # the file has them
        if chance.random() < REFUSED_PART:
            return web.Response(status=503)
        received = judge.receive(request.headers, await request.read())
        book.write(json.dumps(line_of(received)))
        return web.Response(status=500 if chance.random() < UNSAID_PART else 200)

    server.handler = take
    book.write(json.dumps({"url": server.url()}))
    sys.stdin.read()
    server.close()
    thread.close()


def line_of(received: Received) -> dict[str, Any]:
    """What is to be accounted for."""
    event = received.event
    if event.event.startswith("track"):
        token = event.track.name
    elif event.event.startswith("participant"):
        token = event.participant.metadata
    else:
        token = event.room.metadata
    return {
        "id": received.id,
        "endpoint": received.endpoint,
        "key": received.key,
        "sequence": received.sequence,
        "event": event.event,
        "token": token,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
