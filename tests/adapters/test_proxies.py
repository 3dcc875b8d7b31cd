from __future__ import annotations

from collections.abc import Callable

import pytest
from yarl import URL

from greenroom.adapters.http import HttpPoster
from greenroom.adapters.proxies import Proxies
from greenroom.testing.loopback import (
    BODY,
    HttpReceiver,
    RawServer,
    WaitingDoor,
    attempt_to,
    unused_port,
)


def test_a_proxy_of_the_environment_is_used(
    door: WaitingDoor,
    new_poster: Callable[..., HttpPoster],
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{receiver.port}")
    monkeypatch.setenv("no_proxy", "internal.example")

    ended = door.outcome(new_poster(), attempt_to("http://hooks.example/hook"))

    (came,) = receiver.received
    assert ended.status == 200
    request = came.request
    assert request.raw_path == "http://hooks.example/hook"
    assert request.headers["Proxy-Authorization"] == "Basic bWU6cHc="
    assert request.headers["Authorization"] == "a-token"
    assert came.body == BODY


def test_a_tls_receiver_is_asked_through_a_tunnel(
    door: WaitingDoor,
    new_poster: Callable[..., HttpPoster],
    raw_server: Callable[..., RawServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = raw_server(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"me:pw@127.0.0.1:{server.port}")

    ended = door.outcome(new_poster(), attempt_to("https://hooks.example/hook"))

    (head,) = server.heads
    assert head.startswith("CONNECT hooks.example:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6cHc=\r\n" in head
    assert "a-token" not in head
    assert ended.error == 'Post "https://hooks.example/hook": proxy answered CONNECT with 407'
    assert ended.retryable


@pytest.mark.parametrize("host", ["hooks.internal.example", "internal.example"])
def test_no_proxy_names_what_is_asked_directly(
    host: str, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url())
    monkeypatch.setenv("no_proxy", "other.example,internal.example")
    proxies = Proxies()

    assert proxies.proxy_for(URL(f"http://{host}/hook")) is None
    assert proxies.proxy_for(URL("http://hooks.example/hook")) is not None


def test_this_machine_is_asked_without_a_proxy(
    door: WaitingDoor,
    new_poster: Callable[..., HttpPoster],
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")

    assert door.outcome(new_poster(), attempt_to(receiver.url())).status == 200
