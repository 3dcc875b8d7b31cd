"""A server that receives webhooks: verified, each event once, and it says what is missing.

    python examples/webhook_receiver.py --port 8080 --key APIkey --secret ... --remember seen.db

Without --port it shows itself: a greenroom of its own sends it some webhooks, and it ends.
"""

from __future__ import annotations

import argparse
import asyncio

from aiohttp import web
from livekit.protocol.models import Room

import greenroom
from greenroom.receiver import MemoryStore, Received, ReceiveError, Receiver, SqliteStore

HOST = "127.0.0.1"


def handle(received: Received) -> None:
    """What your program does with an event; when it raises, the event comes again."""
    if received.gap:
        print(f"{received.key!r}: not here yet: {[*received.gap]}", flush=True)
    line = f"{received.id} {received.event.event} {received.event.room.name}\n"
    print(line, end="", flush=True)  # in one piece: several threads print


def build_app(receiver: Receiver) -> web.Application:
    """One route, `POST /webhook`."""

    def receive(headers: list[tuple[str, str]], body: bytes) -> None:
        with receiver.receiving(headers, body) as received:
            if not received.is_duplicate:
                handle(received)

    async def on_post(request: web.Request) -> web.Response:
        body = await request.read()  # the raw bytes: they are what is signed
        try:
            await asyncio.to_thread(receive, [*request.headers.items()], body)
        except ReceiveError as error:
            return web.Response(status=error.status, text=str(error))
        return web.Response()

    app = web.Application(client_max_size=4 * 1024**2)
    app.router.add_post("/webhook", on_post)
    return app


def send_some(url: str, key: str, secret: str) -> None:
    """Two rooms open and close."""
    webhook = greenroom.WebhookSettings(
        urls=(url,),
        api_key=key,
        keys={key: secret},
        allow_private=True,  # it goes to this very machine
    )
    with greenroom.start(webhook=webhook) as telemetry:
        for name in ("garden", "kitchen"):
            room = Room(sid=f"RM_{name}", name=name)
            telemetry.room_started(room)
            telemetry.room_ended(room)


async def serve(options: argparse.Namespace) -> None:
    """Listen until it is interrupted, or until everything was shown."""
    store = SqliteStore(options.remember) if options.remember else MemoryStore()
    receiver = Receiver({options.key: options.secret}, store=store)
    runner = web.AppRunner(build_app(receiver), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, options.port or 0).start()
    url = f"http://{HOST}:{runner.addresses[0][1]}/webhook"
    print("listening on", url, flush=True)
    if options.port:
        await asyncio.Event().wait()
    await asyncio.to_thread(send_some, url, options.key, options.secret)
    await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Receive greenroom's or LiveKit's webhooks.")
    parser.add_argument("--port", type=int, help="where to listen (without: send some, and end)")
    parser.add_argument("--key", default="devkey", help="the API key that signs")
    parser.add_argument("--secret", default="devsecret-0123456789abcdef0123456789abcdef")
    parser.add_argument("--remember", help="a SQLite file; without: in memory")
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        print("bye")


if __name__ == "__main__":
    main()
