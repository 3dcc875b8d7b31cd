"""A receiver of webhooks in a process of its own: verifies each, and checks the order per room.

Talks to `bench/webhooks.py` through a pipe. It is as quick as Python allows, so that what is
measured is the sender: HTTP by hand, Standard Webhooks' signature, sequences; no JSON.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from multiprocessing.connection import Connection

from greenroom.core.signatures import sign_content

SENT_AT = re.compile(rb'"metadata":"(\d+)"')
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Tally:
    """What was received so far."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.received = 0
        self.forged = 0
        self.out_of_order = 0
        self.latencies_ms: list[float] = []
        self.last: dict[bytes, int] = defaultdict(int)

    def take(self, headers: dict[bytes, bytes], body: bytes) -> None:
        """Verify one, and see whether it is the next of its room."""
        now_ns = time.time_ns()
        content = b".".join((headers[b"webhook-id"], headers[b"webhook-timestamp"], body))
        if sign_content(content, self.secret).encode() != headers[b"webhook-signature"]:
            self.forged += 1
        key, sequence = headers[b"greenroom-key"], int(headers[b"greenroom-sequence"])
        if sequence != self.last[key] + 1:
            self.out_of_order += 1
        self.last[key] = sequence
        self.received += 1
        if (sent := SENT_AT.search(body)) is not None:
            self.latencies_ms.append((now_ns - int(sent[1])) / 1e6)


class Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it for the answers."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer whatever is whole."""
        left = self._left + data
        while (end := left.find(b"\r\n\r\n")) >= 0:
            lines = left[:end].split(b"\r\n")[1:]
            headers = {
                name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)
            }
            whole = end + 4 + int(headers[b"content-length"])
            if len(left) < whole:
                break
            self._tally.take(headers, left[end + 4 : whole])
            left = left[whole:]
            self._transport.write(ANSWER)  # type: ignore[attr-defined]  # of a socket
        self._left = left


def serve(pipe: Connection, secret: bytes) -> None:
    """Say the port; then answer each question with what was received since the last one."""
    asyncio.run(_serve(pipe, secret))


async def _serve(pipe: Connection, secret: bytes) -> None:
    loop = asyncio.get_running_loop()
    tally = Tally(secret)
    server = await loop.create_server(lambda: Protocol(tally), "127.0.0.1", 0, backlog=1_000)
    asked = asyncio.Event()
    loop.add_reader(pipe.fileno(), asked.set)
    pipe.send(server.sockets[0].getsockname()[1])
    while True:
        await asked.wait()
        asked.clear()
        if not pipe.poll():
            continue  # it was read already; one answer more would be an old one to the next
        if pipe.recv() == "end":
            return
        latencies, tally.latencies_ms = tally.latencies_ms, []
        pipe.send((tally.received, tally.forged, tally.out_of_order, latencies))
