from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from greenroom.adapters.exchange import Answer, Exchange
from greenroom.adapters.guarded_resolver import GuardedResolver, RefusedAddressError
from greenroom.adapters.http import HttpPoster
from greenroom.core.addresses import refused_class
from greenroom.errors import TransportError
from greenroom.testing.loopback import HttpReceiver, WaitingDoor, attempt_to


class Names(AbstractResolver):
    """A look-up's answers, in turn; the last one from then on."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


def only_the_first_loopback_is_public(address: str) -> str | None:
    """For attempts that can be seen to arrive: nothing public can be listened at in a test."""
    return None if address == "127.0.0.1" else refused_class(address)


# ── the resolver ────────────────────────────────────────────────────────────────────────────────


def test_only_public_addresses_are_handed_on_in_their_order() -> None:
    names = Names(("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111", "1.1.1.1"))

    found = asyncio.run(GuardedResolver(names).resolve("hooks.example", 443))

    assert [one["host"] for one in found] == ["8.8.8.8", "2606:4700::1111", "1.1.1.1"]
    assert {(one["hostname"], one["port"]) for one in found} == {("hooks.example", 443)}


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        (("169.254.169.254", "10.0.0.1"), "cloud metadata"),
        (("fe80::1%1",), "link-local"),
        (("::ffff:8.8.8.8",), "IPv4-mapped"),
    ],
)
def test_a_name_without_a_public_address_is_refused(addresses: tuple[str, ...], kind: str) -> None:
    with pytest.raises(RefusedAddressError) as caught:
        asyncio.run(GuardedResolver(Names(addresses)).resolve("hooks.example"))

    assert caught.value.kind == kind


# ── attempts ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "１２７.０.０.１",  # noqa: RUF001  # full-width on purpose
        "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1",
        "127\u30020\u30020\u30021",
        "localhost",
        "LOCALHOST.",
        "any.localhost",
        "someone@127.0.0.1",
    ],
)
def test_this_machine_is_refused_in_every_spelling(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver, host: str
) -> None:
    url = f"http://{host}:{receiver.port}/hook"

    ended = door.outcome(poster, attempt_to(url, allow_private=False))

    assert ended.error.endswith(": loopback address refused; allow_private permits it")
    assert ended.error.startswith(f'Post "{url}": dial tcp ')
    assert (ended.status, ended.retryable) == (None, False)
    assert receiver.received == []


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "IPv4-mapped"),
        ("[64:ff9b::127.0.0.1]", "NAT64"),
        ("[fe80::1%25lo]", "link-local"),
        ("169.254.169.254", "cloud metadata"),
        ("[fd00:ec2::254]", "cloud metadata"),
        ("10.0.0.1", "private"),
        ("0", "unspecified"),
    ],
)
def test_an_address_that_is_not_public_is_refused_by_its_class(
    poster: HttpPoster, door: WaitingDoor, host: str, kind: str
) -> None:
    ended = door.outcome(poster, attempt_to(f"https://{host}/hook", allow_private=False))

    assert ended.error.endswith(f": {kind} address refused; allow_private permits it")
    assert not ended.retryable


def test_a_name_for_this_machine_is_refused_but_may_be_tried_again(
    door: WaitingDoor, new_poster: Callable[..., HttpPoster], receiver: HttpReceiver
) -> None:
    poster = new_poster(resolver=Names(("127.0.0.1",)))
    url = f"http://hooks.example:{receiver.port}/hook"

    guarded = door.outcome(poster, attempt_to(url, allow_private=False))
    allowed = door.outcome(poster, attempt_to(url, allow_private=True))
    again = door.outcome(poster, attempt_to(url, allow_private=False))

    refused = "dial tcp: lookup hooks.example: loopback address refused; allow_private permits it"
    assert guarded.error == f'Post "{url}": {refused}'
    assert guarded.retryable
    assert allowed.status == 200
    assert again.error == guarded.error  # the connection that is open by now is not its own
    assert len(receiver.received) == 1


def test_the_connection_goes_to_the_vetted_address_whatever_the_name_means_later(
    receiver: HttpReceiver,
) -> None:
    names = Names(("127.0.0.2", "127.0.0.1", "10.0.0.1"), ("127.0.0.2",))
    attempt = attempt_to(f"http://hooks.example:{receiver.port}/hook", allow_private=False)

    async def play() -> list[Answer]:
        async with Exchange("t", names, only_the_first_loopback_is_public) as exchange:
            return [await exchange.answer(attempt) for _ in range(3)]

    assert asyncio.run(play()) == [Answer(200, "")] * 3
    assert names.asked == ["hooks.example"]
    assert {came.request.host for came in receiver.received} == {f"hooks.example:{receiver.port}"}


def test_a_name_that_turns_private_is_refused_at_the_next_connection(
    receiver: HttpReceiver,
) -> None:
    names = Names(("127.0.0.1",), ("127.0.0.2",))

    async def play() -> None:
        async with Exchange("t", names, only_the_first_loopback_is_public) as exchange:
            for host, port in (("a.example", receiver.port), ("b.example", receiver.port)):
                attempt = attempt_to(f"http://{host}:{port}/", allow_private=False)
                await exchange.answer(attempt)

    with pytest.raises(TransportError, match=r"lookup b\.example: loopback address refused"):
        asyncio.run(play())
    assert len(receiver.received) == 1


# ── behind a proxy ──────────────────────────────────────────────────────────────────────────────


def test_a_proxy_may_be_private_and_looks_the_names_up_itself(
    door: WaitingDoor,
    new_poster: Callable[..., HttpPoster],
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url())
    poster = new_poster()

    named = door.outcome(poster, attempt_to("http://inner.example/hook", allow_private=False))
    literal = door.outcome(poster, attempt_to("http://0xa.1/hook", allow_private=False))

    assert named.status == 200
    assert "private address refused" in literal.error
    (came,) = receiver.received
    assert URL(came.request.raw_path).host == "inner.example"
