from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.exchange import Answer, Exchange
from greenroom.errors import TransportError
from greenroom.testing.hostile import (
    OK,
    Outcome,
    attempted,
    hang,
    receiving,
    send,
    send_and_close,
)

DATA: Final = Path(__file__).resolve().parents[1] / "data"
SHORT_SECONDS: Final = 0.3  # the time limit of attempts that are to run into it


def text_of(outcome: Outcome) -> str:
    assert isinstance(outcome, TransportError), outcome
    assert outcome.sent
    return outcome.reason.partition('": ')[2]


def serving(certificate: str) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(DATA / certificate)
    return tls


def trusting(certificate: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(DATA / certificate))


@pytest.mark.parametrize(
    ("certificate", "tls", "host", "fault"),
    [
        ("self_signed.pem", None, "127.0.0.1", "self"),
        ("expired.pem", trusting("expired.pem"), "127.0.0.1", "certificate has expired"),
        ("self_signed.pem", trusting("self_signed.pem"), "localhost", "Hostname mismatch"),
    ],
    ids=["self-signed", "expired", "another name"],
)
def test_a_certificate_that_proves_nothing_is_no_use_to_retry(
    certificate: str, tls: ssl.SSLContext | None, host: str, fault: str
) -> None:
    async def play() -> None:
        async with (
            receiving(hang, serving(certificate)) as receiver,
            Exchange("t", tls=tls) as one,
        ):
            outcome = await attempted(one, receiver.url("https").replace("127.0.0.1", host))
            assert text_of(outcome).startswith("tls: failed to verify certificate: x509: ")
            assert fault in text_of(outcome)
            assert isinstance(outcome, TransportError)
            assert not outcome.retryable
            assert one.connections == 0

    asyncio.run(play())


def test_a_certificate_that_is_trusted_is_fine() -> None:
    async def play() -> None:
        tls = trusting("self_signed.pem")
        secure = receiving(send(OK), serving("self_signed.pem"))
        async with secure as receiver, Exchange("t", tls=tls) as exchange:
            for _ in range(2):
                assert await attempted(exchange, receiver.url("https")) == Answer(200, "")
            assert receiver.accepted == 1

    asyncio.run(play())


def test_plain_http_on_a_tls_port_and_tls_on_a_plain_one_may_be_retried() -> None:
    async def play() -> None:
        tls = serving("self_signed.pem")
        http = receiving(send_and_close(b"HTTP/1.1 400 What\r\n\r\n"), reads=False)
        async with http as plain, receiving(send(OK), tls) as secure, Exchange("t") as exchange:
            outcomes = [
                await attempted(exchange, plain.url("https")),
                await attempted(exchange, secure.url("http")),
            ]
            assert text_of(outcomes[0]).startswith("tls: ")
            assert all(isinstance(one, TransportError) and one.retryable for one in outcomes)
            assert exchange.connections == 0

    asyncio.run(play())


def test_a_handshake_that_never_ends_is_cut_off() -> None:
    async def play() -> None:
        async with receiving(hang, reads=False) as silent, Exchange("t") as exchange:
            outcome = await attempted(exchange, silent.url("https"), SHORT_SECONDS)
            assert "deadline exceeded" in text_of(outcome)
            assert exchange.connections == 0

    asyncio.run(play())
