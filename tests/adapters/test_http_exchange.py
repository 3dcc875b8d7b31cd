from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.webhook import WebhookEvent

from greenroom.adapters.http import HttpPoster
from greenroom.core.webhook import encode_body, sign
from greenroom.messages.outputs import AttemptEnded
from greenroom.testing.loopback import (
    BODY,
    HttpReceiver,
    LoopThread,
    RawServer,
    WaitingDoor,
    attempt_to,
    respond,
    unused_port,
)

CERTIFICATE: Final = Path(__file__).resolve().parents[1] / "data" / "self_signed.pem"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


# ── the request ─────────────────────────────────────────────────────────────────────────────────


def test_the_request_is_the_originals(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    door.outcome(poster, attempt_to(receiver.url("/hook?a=b")))

    (came,) = receiver.received
    request, headers = came.request, dict(came.request.headers)
    assert (request.method, request.path_qs, request.version) == ("POST", "/hook?a=b", (1, 1))
    assert came.body == BODY
    assert headers.pop("User-Agent").startswith("greenroom")
    assert headers == {
        "Host": f"127.0.0.1:{receiver.port}",
        "Authorization": "a-token",
        "Content-Type": "application/webhook+json",
        "Content-Length": str(len(BODY)),
        "Accept-Encoding": "gzip",
    }


def test_livekits_receiver_accepts_what_arrives(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    event = WebhookEvent(event="room_started", id="EV_1", created_at=7)
    event.room.name = "日本語"
    body = encode_body(event)
    token = sign(body, "key", "secret-secret-secret-secret-secret", int(time.time()))

    door.outcome(poster, attempt_to(receiver.url(), body=body, token=token))

    (came,) = receiver.received
    verifier = TokenVerifier("key", "secret-secret-secret-secret-secret")
    authorization = came.request.headers["Authorization"]
    assert WebhookReceiver(verifier).receive(came.body.decode(), authorization) == event


def test_credentials_of_the_url_are_not_sent(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    url = receiver.url("/hook#fragment", credentials="user:pw@")

    ended = door.outcome(poster, attempt_to(url))

    (came,) = receiver.received
    assert ended.status == 200
    assert came.request.headers["Authorization"] == "a-token"
    assert came.request.path_qs == "/hook"


def test_nothing_is_remembered_about_a_receiver(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = respond(200, {"Set-Cookie": "session=1"})

    door.outcome(poster, attempt_to(receiver.url()))
    door.outcome(poster, attempt_to(receiver.url()))

    assert all("Cookie" not in came.request.headers for came in receiver.received)


# ── the answer ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 204, 299, 304, 400, 404, 410, 429, 500, 501, 599, 999])
def test_any_answer_is_an_outcome(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver, status: int
) -> None:
    receiver.handler = respond(status, {"Retry-After": "7"})

    ended = door.outcome(poster, attempt_to(receiver.url(), delivery_id=5, number=3))

    assert ended == AttemptEnded(5, 3, status, "7", "", retryable=True, sent=True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver, status: int
) -> None:
    receiver.handler = respond(status, {"Location": "/elsewhere"})

    ended = door.outcome(poster, attempt_to(receiver.url()))

    assert ended.status == status
    assert [came.request.path for came in receiver.received] == ["/hook"]


def test_a_connection_is_used_again(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = respond(500, body=b"a page that explains it")

    for _ in range(3):
        door.outcome(poster, attempt_to(receiver.url()))

    assert len(receiver.received) == 3
    assert len(receiver.peers) == 1


def test_a_long_answer_is_not_read(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not receiver.released.is_set():
            await response.write(b"x" * 65_536)
        return response

    receiver.handler = flood

    assert door.outcome(poster, attempt_to(receiver.url())).status == 200


def test_an_answer_counts_though_its_body_never_ends(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        await receiver.released.wait()
        return response

    receiver.handler = trickle

    assert door.outcome(poster, attempt_to(receiver.url())).status == 503


# ── no answer ───────────────────────────────────────────────────────────────────────────────────


def test_a_refused_connection_is_worded_as_in_go(poster: HttpPoster, door: WaitingDoor) -> None:
    port = unused_port()

    ended = door.outcome(poster, attempt_to(f"http://user:pw@127.0.0.1:{port}/hook"))

    dial = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert ended.error == f'Post "http://user:***@127.0.0.1:{port}/hook": {dial}'
    assert ended.status is None
    assert ended.retryable
    assert ended.sent


def test_a_receiver_that_does_not_answer_times_out(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = receiver.hang

    ended = door.outcome(poster, attempt_to(receiver.url(), total_timeout_seconds=0.1))

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
    poster: HttpPoster, door: WaitingDoor, url: str, error: str, *, sent: bool
) -> None:
    ended = door.outcome(poster, attempt_to(url))

    assert (ended.error, ended.retryable, ended.sent) == (error, False, sent)


def test_a_connection_that_closes_without_an_answer_is_a_failed_attempt(
    poster: HttpPoster, door: WaitingDoor, raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(None, OK)

    ended = door.outcome(poster, attempt_to(server.url))

    assert ended.error == f'Post "{server.url}": EOF'
    assert ended.retryable
    assert server.connections == 1
    assert door.outcome(poster, attempt_to(server.url)).status == 200


def test_a_request_lost_on_an_idle_connection_is_repeated_at_once(
    poster: HttpPoster, door: WaitingDoor, raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(OK, None, OK)

    first = door.outcome(poster, attempt_to(server.url))
    second = door.outcome(poster, attempt_to(server.url))

    assert (first.status, second.status) == (200, 200)
    assert server.connections == 2


def test_an_answer_that_is_not_http_is_no_answer(
    poster: HttpPoster, door: WaitingDoor, raw_server: Callable[..., RawServer]
) -> None:
    server = raw_server(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    ended = door.outcome(poster, attempt_to(server.url))

    assert ended.status is None
    assert "malformed HTTP response" in ended.error
    assert "SSH" not in ended.error


def test_an_untrusted_certificate_is_no_use_to_retry(
    poster: HttpPoster, door: WaitingDoor, thread: LoopThread
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    receiver = HttpReceiver(thread, tls)
    url = receiver.url()

    ended = door.outcome(poster, attempt_to(url))

    receiver.close()
    prefix = f'Post "{url}": tls: failed to verify certificate: x509: '
    assert ended.error.startswith(prefix)
    assert not ended.retryable
    assert receiver.received == []


def test_plain_http_where_tls_is_expected_may_be_retried(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    ended = door.outcome(poster, attempt_to(receiver.url(scheme="https")))

    assert "tls: " in ended.error
    assert ended.retryable
