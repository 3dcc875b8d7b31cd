from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.webhook import WebhookEvent
from yarl import URL

from greenroom.adapters.http import CLOSED, HttpPoster
from greenroom.adapters.proxies import Proxies
from greenroom.core.attempt import Attempt
from greenroom.core.webhook import build_headers, encode_body, sign
from greenroom.messages.control import Input
from greenroom.messages.outputs import AttemptEnded
from greenroom.testing.fakes import RecordingReporter

CERTIFICATE: Final = Path(__file__).resolve().parents[1] / "data" / "self_signed.pem"
WAIT_SECONDS: Final = 10.0  # for what should happen at once
BODY: Final = b'{"event":"room_started"}'
NOTIFIER: Final = object()


class QueueDoor:
    """A door whose visitors can be waited for; refuses the first so many."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.log: list[str] = []
        self._entered: queue.SimpleQueue[tuple[object, Input]] = queue.SimpleQueue()

    def enter(self, target: object, body: Input) -> bool:
        self.log.append("enter")
        if self.refusals:
            self.refusals -= 1
            return False
        self._entered.put((target, body))
        return True

    def next(self) -> AttemptEnded:
        target, body = self._entered.get(timeout=WAIT_SECONDS)
        assert target is NOTIFIER
        assert isinstance(body, AttemptEnded)
        return body

    @property
    def is_empty(self) -> bool:
        return self._entered.empty()


class LoopThread:
    """An asyncio loop on a thread, for servers."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Awaitable[Any]) -> Any:
        async def await_it() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(await_it(), self.loop).result(WAIT_SECONDS)

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn

    def close(self) -> None:
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """A real HTTP server that records what it is sent and answers as `handler` says."""

    def __init__(self, thread: LoopThread, tls: ssl.SSLContext | None = None) -> None:
        self.thread = thread
        self.requests: list[tuple[web.Request, bytes]] = []
        self.peers: set[tuple[str, int]] = set()  # one for each connection
        self.handler: Handler = respond(200)
        self._tls = tls
        self.released = asyncio.Event()
        self._arrived = threading.Semaphore(0)

    async def start(self) -> None:
        self._runner = web.AppRunner(web_app(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port: int = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.released.set()
        await self._runner.cleanup()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def release(self) -> None:
        self.thread.loop.call_soon_threadsafe(self.released.set)

    def wait_for_requests(self, count: int) -> None:
        for _ in range(count):
            assert self._arrived.acquire(timeout=WAIT_SECONDS)

    async def hang(self, request: web.Request) -> web.StreamResponse:
        await self.released.wait()
        return web.Response()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request, await request.read()))
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        self._arrived.release()
        return await self.handler(request)


def web_app(handler: Handler) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    return app


def respond(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return handler


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def receiver(thread: LoopThread) -> Iterator[Receiver]:
    receiver = Receiver(thread)
    thread.run(receiver.start())
    yield receiver
    thread.run(receiver.stop())


@pytest.fixture
def door() -> QueueDoor:
    return QueueDoor()


@pytest.fixture
def reporter() -> Iterator[RecordingReporter]:
    reporter = RecordingReporter()
    yield reporter
    assert reporter.failures == []


@pytest.fixture
def poster(door: QueueDoor, reporter: RecordingReporter) -> Iterator[HttpPoster]:
    poster = new_poster(door, reporter)
    yield poster
    poster.close(0.0)
    assert not any(one.name == "greenroom-http" for one in threading.enumerate())


def new_poster(door: QueueDoor, reporter: RecordingReporter, **options: Any) -> HttpPoster:
    return HttpPoster(
        door,
        hold=lambda: door.log.append("hold"),
        release=lambda: door.log.append("release"),
        reporter=reporter,
        **options,
    )


def attempt(url: str, delivery_id: int = 1, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "number": 1,
        "headers": build_headers("a-token"),
        "body": BODY,
        "connect_timeout_seconds": WAIT_SECONDS,
        "total_timeout_seconds": WAIT_SECONDS,
    }
    return Attempt(delivery_id=delivery_id, url=url, **(fields | changes))


def outcome(poster: HttpPoster, door: QueueDoor, url: str, **changes: Any) -> AttemptEnded:
    poster.post(attempt(url, **changes), NOTIFIER)
    return door.next()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ── the request ─────────────────────────────────────────────────────────────────────────────────


def test_the_request_is_the_originals(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    outcome(poster, door, receiver.url("/hook?a=b"))

    ((request, body),) = receiver.requests
    headers = dict(request.headers)
    assert (request.method, request.path_qs, request.version) == ("POST", "/hook?a=b", (1, 1))
    assert body == BODY
    assert headers.pop("User-Agent").startswith("greenroom")
    assert headers == {
        "Host": f"127.0.0.1:{receiver.port}",
        "Authorization": "a-token",
        "Content-Type": "application/webhook+json",
        "Content-Length": str(len(BODY)),
        "Accept-Encoding": "gzip",
    }


def test_livekits_receiver_accepts_what_arrives(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    event = WebhookEvent(event="room_started", id="EV_1", created_at=7)
    event.room.name = "日本語"
    body = encode_body(event)
    token = sign(body, "key", "secret-secret-secret-secret-secret", int(time.time()))

    outcome(poster, door, receiver.url(), body=body, headers=build_headers(token))

    ((request, received),) = receiver.requests
    verifier = TokenVerifier("key", "secret-secret-secret-secret-secret")
    authorization = request.headers["Authorization"]
    assert WebhookReceiver(verifier).receive(received.decode(), authorization) == event


def test_credentials_of_the_url_are_not_sent(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    ended = outcome(poster, door, f"http://user:pw@127.0.0.1:{receiver.port}/hook#fragment")

    ((request, _),) = receiver.requests
    assert ended.status == 200
    assert request.headers["Authorization"] == "a-token"
    assert request.path_qs == "/hook"


def test_nothing_is_remembered_about_a_receiver(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    receiver.handler = respond(200, {"Set-Cookie": "session=1"})

    outcome(poster, door, receiver.url())
    outcome(poster, door, receiver.url())

    assert all("Cookie" not in request.headers for request, _ in receiver.requests)


# ── the answer ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 204, 299, 304, 400, 404, 410, 429, 500, 501, 599, 999])
def test_any_answer_is_an_outcome(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver, status: int
) -> None:
    receiver.handler = respond(status, {"Retry-After": "7"})

    ended = outcome(poster, door, receiver.url(), delivery_id=5, number=3)

    assert ended.duration_ns > 0
    assert replace(ended, duration_ns=0) == AttemptEnded(
        5, 3, status, "7", "", retryable=True, sent=True, duration_ns=0
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver, status: int
) -> None:
    receiver.handler = respond(status, {"Location": "/elsewhere"})

    ended = outcome(poster, door, receiver.url())

    assert ended.status == status
    assert [request.path for request, _ in receiver.requests] == ["/hook"]


def test_a_connection_is_used_again(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    receiver.handler = respond(500, body=b"a page that explains it")

    for _ in range(3):
        outcome(poster, door, receiver.url())

    assert len(receiver.requests) == 3
    assert len(receiver.peers) == 1


def test_a_long_answer_is_not_read(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not receiver.released.is_set():
            await response.write(b"x" * 65_536)
        return response

    receiver.handler = flood

    assert outcome(poster, door, receiver.url()).status == 200


def test_an_answer_counts_though_its_body_never_ends(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        await receiver.released.wait()
        return response

    receiver.handler = trickle

    assert outcome(poster, door, receiver.url()).status == 503


# ── no answer ───────────────────────────────────────────────────────────────────────────────────


def test_a_refused_connection_is_worded_as_in_go(poster: HttpPoster, door: QueueDoor) -> None:
    port = unused_port()

    ended = outcome(poster, door, f"http://user:pw@127.0.0.1:{port}/hook")

    dial = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert ended.error == f'Post "http://user:***@127.0.0.1:{port}/hook": {dial}'
    assert ended.status is None
    assert ended.retryable
    assert ended.sent


def test_a_receiver_that_does_not_answer_times_out(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    receiver.handler = receiver.hang

    ended = outcome(poster, door, receiver.url(), total_timeout_seconds=0.1)

    deadline = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert ended.error == f'Post "{receiver.url()}": {deadline}'
    assert ended.retryable


@pytest.mark.parametrize(
    ("url", "error", "sent"),
    [
        ("", 'Post "": unsupported protocol scheme ""', True),
        ("ftp://127.0.0.1/x", 'Post "ftp://127.0.0.1/x": unsupported protocol scheme "ftp"', True),
        (
            "http://127.0.0.1 bad/",
            'parse "http://127.0.0.1 bad/": invalid character " " in host name',
            False,
        ),
        ("http://h:8:9/", 'Post "http://h:8:9/": invalid URL', False),
    ],
)
def test_an_impossible_url_is_no_use_to_retry(
    poster: HttpPoster, door: QueueDoor, url: str, error: str, *, sent: bool
) -> None:
    ended = outcome(poster, door, url)

    assert (ended.error, ended.retryable, ended.sent) == (error, False, sent)


class RawServer:
    """A TCP server that answers the n-th request of all with `answers[n]`, None: by closing."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.connections = 0
        self.heads: list[str] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            answer: bytes | None = b""
            while answer is not None:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                await reader.readexactly(len(BODY) if head.startswith("POST") else 0)
                answer = self.answers.pop(0)
                writer.write(answer or b"")
        except asyncio.IncompleteReadError:
            pass  # the client has closed the connection
        finally:
            writer.close()


OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def raw_server(thread: LoopThread) -> Iterator[Callable[..., RawServer]]:
    servers = []

    def start(*answers: bytes | None) -> RawServer:
        server = RawServer(list(answers))
        thread.run(server.start())
        servers.append(server)
        return server

    yield start
    for server in servers:
        thread.run(server.stop())


def test_a_connection_that_closes_without_an_answer_is_a_failed_attempt(
    poster: HttpPoster, door: QueueDoor, raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(None, OK)

    ended = outcome(poster, door, server.url)

    assert ended.error == f'Post "{server.url}": EOF'
    assert ended.retryable
    assert server.connections == 1
    assert outcome(poster, door, server.url).status == 200


def test_a_request_lost_on_an_idle_connection_is_repeated_at_once(
    poster: HttpPoster, door: QueueDoor, raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(OK, None, OK)

    first = outcome(poster, door, server.url)
    second = outcome(poster, door, server.url)

    assert (first.status, second.status) == (200, 200)
    assert server.connections == 2


def test_an_answer_that_is_not_http_is_no_answer(
    poster: HttpPoster, door: QueueDoor, raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    ended = outcome(poster, door, server.url)

    assert ended.status is None
    assert "malformed HTTP response" in ended.error
    assert "SSH" not in ended.error


def test_an_untrusted_certificate_is_no_use_to_retry(
    poster: HttpPoster, door: QueueDoor, thread: LoopThread
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    receiver = Receiver(thread, tls)
    thread.run(receiver.start())
    url = receiver.url().replace("http", "https", 1)

    ended = outcome(poster, door, url)

    thread.run(receiver.stop())
    prefix = f'Post "{url}": tls: failed to verify certificate: x509: '
    assert ended.error.startswith(prefix)
    assert not ended.retryable
    assert receiver.requests == []


def test_plain_http_where_tls_is_expected_may_be_retried(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    ended = outcome(poster, door, receiver.url().replace("http", "https", 1))

    assert "tls: " in ended.error
    assert ended.retryable


# ── proxies ─────────────────────────────────────────────────────────────────────────────────────


def test_a_proxy_of_the_environment_is_used(
    door: QueueDoor,
    reporter: RecordingReporter,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{receiver.port}")
    monkeypatch.setenv("no_proxy", "internal.example")
    poster = new_poster(door, reporter)

    ended = outcome(poster, door, "http://hooks.example/hook")

    poster.close(0.0)
    ((request, body),) = receiver.requests
    assert ended.status == 200
    assert request.raw_path == "http://hooks.example/hook"
    assert request.headers["Proxy-Authorization"] == "Basic bWU6cHc="
    assert request.headers["Authorization"] == "a-token"
    assert body == BODY


def test_a_tls_receiver_is_asked_through_a_tunnel(
    door: QueueDoor,
    reporter: RecordingReporter,
    raw_server: Callable[..., RawServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = raw_server(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"me:pw@127.0.0.1:{server.port}")
    poster = new_poster(door, reporter)

    ended = outcome(poster, door, "https://hooks.example/hook")

    poster.close(0.0)
    (head,) = server.heads
    assert head.startswith("CONNECT hooks.example:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6cHc=\r\n" in head
    assert "a-token" not in head
    assert ended.error == 'Post "https://hooks.example/hook": proxy answered CONNECT with 407'
    assert ended.retryable


@pytest.mark.parametrize("host", ["hooks.internal.example", "internal.example"])
def test_no_proxy_names_what_is_asked_directly(
    host: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url())
    monkeypatch.setenv("no_proxy", "other.example,internal.example")
    proxies = Proxies()

    assert proxies.proxy_for(URL(f"http://{host}/hook")) is None
    assert proxies.proxy_for(URL("http://hooks.example/hook")) is not None


def test_this_machine_is_asked_without_a_proxy(
    door: QueueDoor,
    reporter: RecordingReporter,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    poster = new_poster(door, reporter)

    assert outcome(poster, door, receiver.url()).status == 200

    poster.close(0.0)


# ── exactly once, and the end ───────────────────────────────────────────────────────────────────


def test_an_attempt_is_held_until_its_outcome_has_entered(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    outcome(poster, door, receiver.url())

    assert poster.wait_idle(WAIT_SECONDS)
    assert door.log == ["hold", "enter", "release"]


def test_an_outcome_that_the_door_refuses_comes_again(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    door.refusals = 2

    assert outcome(poster, door, receiver.url()).status == 200
    assert poster.wait_idle(WAIT_SECONDS)
    assert door.log == ["hold", "enter", "enter", "enter", "release"]
    assert len(receiver.requests) == 1


def test_a_slow_url_does_not_keep_another_waiting(
    door: QueueDoor, reporter: RecordingReporter, receiver: Receiver
) -> None:
    async def by_path(request: web.Request) -> web.StreamResponse:
        return await (receiver.hang if request.path == "/slow" else respond(200))(request)

    receiver.handler = by_path
    poster = new_poster(door, reporter, concurrent_max=4)
    for number in range(20):
        poster.post(attempt(receiver.url("/slow"), number), NOTIFIER)

    quick = [outcome(poster, door, receiver.url("/quick"), delivery_id=99) for _ in range(3)]

    assert [ended.delivery_id for ended in quick] == [99, 99, 99]
    receiver.release()
    assert poster.close(WAIT_SECONDS)
    assert sorted(door.next().delivery_id for _ in range(20)) == list(range(20))


def test_closing_waits_for_what_is_in_flight(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    receiver.handler = receiver.hang
    poster.post(attempt(receiver.url()), NOTIFIER)
    assert not poster.wait_idle(0.0)

    receiver.release()

    assert poster.close(WAIT_SECONDS)
    assert door.next().status == 200


def test_closing_cuts_off_what_takes_too_long(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    receiver.handler = receiver.hang
    for number in range(5):
        poster.post(attempt(receiver.url(), number), NOTIFIER)
    receiver.wait_for_requests(5)

    in_time = poster.close(0.0)

    ended = [door.next() for _ in range(5)]
    assert not in_time
    assert sorted(one.delivery_id for one in ended) == list(range(5))
    assert {one.error for one in ended} == {f'Post "{receiver.url()}": {CLOSED}'}
    assert all(one.retryable for one in ended)
    assert door.is_empty
    assert sorted(door.log) == ["enter"] * 5 + ["hold"] * 5 + ["release"] * 5


def test_an_attempt_after_closing_fails_at_once(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    poster.close(0.0)
    poster.close(0.0)

    ended = outcome(poster, door, receiver.url())

    assert ended.error.endswith(CLOSED)
    assert receiver.requests == []
    assert door.log == ["hold", "enter", "release"]


def test_closing_does_not_wait_for_a_door_that_is_closed(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    door.refusals = 1_000_000
    poster.post(attempt(receiver.url()), NOTIFIER)

    assert poster.close(WAIT_SECONDS)


def test_a_poster_that_is_not_used_starts_nothing(poster: HttpPoster) -> None:
    assert not any(one.name == "greenroom-http" for one in threading.enumerate())
    assert poster.wait_idle(0.0)
    assert poster.close(0.0)


def test_nothing_of_an_attempt_is_in_the_repr(
    poster: HttpPoster, door: QueueDoor, receiver: Receiver
) -> None:
    receiver.handler = receiver.hang
    poster.post(attempt(receiver.url()), NOTIFIER)
    receiver.wait_for_requests(1)

    assert repr(poster) == "HttpPoster(1 held, closed=False)"
