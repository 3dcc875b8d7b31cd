"""What receivers may do to an exchange, over real connections; each ends, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from greenroom.adapters.connector import INTERIM_MAX
from greenroom.adapters.exchange import Answer, Exchange
from greenroom.adapters.http import HttpPoster
from greenroom.errors import TransportError
from greenroom.testing.hostile import (
    MEBIBYTE,
    OK,
    Behaviour,
    HostileReceiver,
    Outcome,
    attempted,
    close_its_half,
    hang,
    receiving,
    reset_after,
    send,
    send_and_close,
    send_for_ever,
)
from greenroom.testing.loopback import (
    NOTIFIER,
    WAIT_SECONDS,
    HttpReceiver,
    LoopThread,
    WaitingDoor,
    attempt_to,
)

SHORT_SECONDS: Final = 0.3  # the time limit of attempts that are to run into it
BUFFERS_MAX: Final = 32 * MEBIBYTE  # of the kernel, for one connection
LARGE: Final = 8 * MEBIBYTE  # more than a connection takes that nobody reads


async def meet(
    behaviour: Behaviour, seconds: float = WAIT_SECONDS, body: bytes = b"{}"
) -> tuple[Outcome, int]:
    """The outcome, and how many connections are left; the exchange is as good as new."""
    async with receiving(behaviour) as receiver, receiving(send(OK)) as good, Exchange("t") as one:
        outcome = await attempted(one, receiver.url(), seconds, body)
        left = one.connections
        assert await attempted(one, good.url()) == Answer(200, "")
        return outcome, left


def text_of(outcome: Outcome) -> str:
    assert isinstance(outcome, TransportError), outcome
    assert outcome.sent
    return outcome.reason.partition('": ')[2]


# ── answers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [500, 404, 410, 429, 503])
def test_an_answer_of_failure_leaves_the_connection_usable(status: int) -> None:
    head = f"HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno"

    assert asyncio.run(meet(send(head.encode()))) == (Answer(status, "7"), 1)


def test_a_redirect_leads_nowhere() -> None:
    async def play() -> None:
        async with receiving(send(OK)) as other, Exchange("t") as exchange:
            head = f"HTTP/1.1 301 Moved\r\nLocation: {other.url()}\r\nContent-Length: 0\r\n\r\n"
            async with receiving(send(head.encode())) as receiver:
                assert await attempted(exchange, receiver.url()) == Answer(301, "")
            assert other.accepted == 0

    asyncio.run(play())


@pytest.mark.parametrize(
    ("behaviour", "left"),
    [
        (send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nshort"), 0),
        (send_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nshort"), 0),
        (send(b"HTTP/1.1 200 OK\r\n\r\nuntil when"), 0),
        (send_and_close(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), 0),
        (send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad"), 1),
        (send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), 0),
        (send(OK, OK), 0),
        (reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nsho"), 0),
        (send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * INTERIM_MAX, OK), 1),
    ],
    ids=[
        "less than announced",
        "less than announced, closed",
        "no end",
        "ends by closing",
        "not gzip at all",
        "will close",
        "twice",
        "reset in the body",
        "early hints",
    ],
)
def test_an_answer_counts_whatever_its_body_is_like(behaviour: Behaviour, left: int) -> None:
    outcome, connections = asyncio.run(meet(behaviour))

    assert outcome == Answer(200, "")
    assert connections <= left


def test_broken_chunks_leave_nothing_whether_they_come_with_the_head_or_later() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    outcome, left = asyncio.run(meet(send(head, b"zz\r\nbad")))

    assert outcome == Answer(200, "") or "malformed" in text_of(outcome)
    assert left == 0


@pytest.mark.parametrize("length", [b"", b"Content-Length: 99999999999999\r\n"])
def test_a_body_without_an_end_is_not_taken_in(length: bytes) -> None:
    taken = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            writer.write(b"x" * MEBIBYTE)
            await writer.drain()
            taken += MEBIBYTE

    assert asyncio.run(meet(flood)) == (Answer(200, ""), 0)
    assert taken < BUFFERS_MAX


@pytest.mark.parametrize("behaviour", [send(OK), send_and_close(OK)], ids=["stays", "closes"])
def test_an_answer_before_the_request_was_read_counts(behaviour: Behaviour) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await behaviour(reader, writer)
        await asyncio.Event().wait()

    outcome, left = asyncio.run(meet(early, body=b"x" * LARGE))

    assert outcome == Answer(200, "")
    assert left == 0


def test_an_offer_to_switch_protocols_is_an_answer() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"

    assert asyncio.run(meet(send(switch))) == (Answer(101, ""), 0)


# ── none ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "behaviour",
    [
        hang,
        send(b"HTTP/1.1 200 OK\r\nServer: "),
        send_for_ever(b"HTTP/1.1 200 OK\r\nA: ", b"b", 0.01),
        send(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "half a header", "a byte at a time", "only an interim one"],
)
def test_an_answer_that_never_comes_ends_with_the_time_limit(behaviour: Behaviour) -> None:
    outcome, left = asyncio.run(meet(behaviour, SHORT_SECONDS))

    deadline = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert text_of(outcome) == deadline
    assert left == 0


def test_a_request_that_nobody_reads_ends_with_the_time_limit() -> None:
    outcome, left = asyncio.run(meet(hang, SHORT_SECONDS, body=b"x" * LARGE))

    assert "deadline exceeded" in text_of(outcome)
    assert left == 0


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (close_its_half, "EOF"),
        (send_and_close(), "EOF"),
        (send_and_close(b"HTTP/1.1 20"), "EOF"),
        (reset_after(b""), "read tcp 127.0.0.1:PORT: read: connection reset by peer"),
    ],
    ids=["half closed", "closed", "closed within the head", "reset"],
)
def test_a_connection_that_ends_too_early_is_named(behaviour: Behaviour, text: str) -> None:
    async def play() -> None:
        async with receiving(behaviour) as receiver, Exchange("t") as exchange:
            outcome = await attempted(exchange, receiver.url())
            assert text_of(outcome) == text.replace("PORT", str(receiver.port))
            assert isinstance(outcome, TransportError)
            assert outcome.retryable
            assert exchange.connections == 0
            assert receiver.accepted == 1

    asyncio.run(play())


@pytest.mark.parametrize(
    "behaviour",
    [
        send_for_ever(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        send_for_ever(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 1000),
        send_for_ever(b"HTTP/1.1 200 ", b"b" * 1000),
        send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        send(bytes(range(256)) * 8),
        send(b"HTTP/1.1 abc OK\r\n\r\n"),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        send(b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"),
    ],
    ids=[
        "headers without end",
        "one header without end",
        "a reason without end",
        "ssh",
        "bytes",
        "no status",
        "negative length",
        "two lengths",
        "blank in a name",
    ],
)
def test_what_is_not_http_is_no_answer(behaviour: Behaviour) -> None:
    outcome, left = asyncio.run(meet(behaviour))

    malformed = "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    assert text_of(outcome) == malformed
    assert left == 0


def test_a_flood_of_interim_answers_is_given_up() -> None:
    flood = send_for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    outcome, left = asyncio.run(meet(flood))

    assert text_of(outcome) == "net/http: more than 5 1xx informational responses"
    assert left == 0


# ── over time ───────────────────────────────────────────────────────────────────────────────────


def test_a_receiver_that_restarts_is_found_again() -> None:
    async def play() -> None:
        receiver = HostileReceiver(send(OK))
        await receiver.start()
        url = receiver.url()
        async with Exchange("t") as exchange:
            assert await attempted(exchange, url) == Answer(200, "")
            receiver.behaviour = hang
            running = [asyncio.create_task(attempted(exchange, url)) for _ in range(5)]
            while receiver.accepted < len(running):
                await asyncio.sleep(0)
            await receiver.stop()
            cut_off = [await one for one in running]
            refused = await attempted(exchange, url)
            receiver.behaviour = send(OK)
            await receiver.start(receiver.port)
            again = await attempted(exchange, url)
            await receiver.stop()

        assert all(isinstance(one, TransportError) and one.retryable for one in cut_off)
        assert "connection refused" in text_of(refused)
        assert again == Answer(200, "")

    asyncio.run(play())


def test_many_hostile_attempts_leave_no_connection() -> None:
    async def play() -> None:
        behaviours = (hang, close_its_half, send(b"SSH\r\n\r\n"), reset_after(b""))
        async with Exchange("t") as exchange:
            for behaviour in behaviours:
                async with receiving(behaviour) as receiver:
                    tried = [attempted(exchange, receiver.url(), SHORT_SECONDS) for _ in range(50)]
                    await asyncio.gather(*tried)
                assert exchange.connections == 0

    asyncio.run(play())


def test_hostile_receivers_hold_nobody_else_up(
    door: WaitingDoor,
    new_poster: Callable[..., HttpPoster],
    thread: LoopThread,
    receiver: HttpReceiver,
) -> None:
    behaviours = (
        hang,
        send_for_ever(b"HTTP/1.1 200 OK\r\nA: ", b"b", 0.01),
        send_for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        send_for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * MEBIBYTE),
    )
    hostile = [HostileReceiver(behaviour) for behaviour in behaviours]
    poster = new_poster(concurrent_max=32)
    for one in hostile:
        thread.run(one.start())
        for _ in range(20):
            poster.post(attempt_to(one.url(), delivery_id=1), NOTIFIER)

    poster.post(attempt_to(receiver.url(), delivery_id=2), NOTIFIER)

    receiver.wait_for_requests(1)
    while (ended := door.next()).delivery_id == 1:
        pass
    assert ended.status == 200
    assert not poster.close(0.0)
    for one in hostile:
        thread.run(one.stop())
