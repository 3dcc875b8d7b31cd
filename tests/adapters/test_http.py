from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from greenroom.adapters.http import CLOSED, HttpPoster
from greenroom.testing.loopback import (
    NOTIFIER,
    WAIT_SECONDS,
    HttpReceiver,
    WaitingDoor,
    attempt_to,
    respond,
)


def test_an_attempt_is_held_until_its_outcome_has_entered(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    door.outcome(poster, attempt_to(receiver.url()))

    assert poster.wait_idle(WAIT_SECONDS)
    assert door.log == ["hold", "enter", "release"]


def test_an_outcome_that_the_door_refuses_comes_again(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    door.refusals = 2

    assert door.outcome(poster, attempt_to(receiver.url())).status == 200
    assert poster.wait_idle(WAIT_SECONDS)
    assert door.log == ["hold", "enter", "enter", "enter", "release"]
    assert len(receiver.received) == 1


def test_a_slow_url_does_not_keep_another_waiting(
    door: WaitingDoor, new_poster: Callable[..., HttpPoster], receiver: HttpReceiver
) -> None:
    async def by_path(request: web.Request) -> web.StreamResponse:
        return await (receiver.hang if request.path == "/slow" else respond(200))(request)

    receiver.handler = by_path
    poster = new_poster(concurrent_max=4)
    for number in range(20):
        poster.post(attempt_to(receiver.url("/slow"), number), NOTIFIER)

    quick = [
        door.outcome(poster, attempt_to(receiver.url("/quick"), delivery_id=99)) for _ in range(3)
    ]

    assert [ended.delivery_id for ended in quick] == [99, 99, 99]
    receiver.release()
    assert poster.close(WAIT_SECONDS)
    assert sorted(door.next().delivery_id for _ in range(20)) == list(range(20))


def test_names_whose_look_up_hangs_do_not_keep_another_waiting(
    poster: HttpPoster,
    door: WaitingDoor,
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up, answered = socket.getaddrinfo, threading.Event()

    def by_name(host: str, *options: Any, **more: Any) -> Any:
        if host.startswith("slow"):
            answered.wait(WAIT_SECONDS)
        return look_up("127.0.0.1", *options, **more)

    monkeypatch.setattr(socket, "getaddrinfo", by_name)
    for number in range(40):
        url = f"http://slow{number}.example:{receiver.port}/"
        poster.post(attempt_to(url, number), NOTIFIER)

    quick = attempt_to(f"http://quick.example:{receiver.port}/", delivery_id=99)

    assert door.outcome(poster, quick).delivery_id == 99
    answered.set()
    assert poster.close(WAIT_SECONDS)


def test_outcomes_that_come_together_all_enter_though_the_door_refuses_some(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = receiver.hang
    for number in range(20):
        poster.post(attempt_to(receiver.url(), number), NOTIFIER)
    receiver.wait_for_requests(20)
    door.refusals = 3

    receiver.release()

    assert poster.wait_idle(WAIT_SECONDS)
    assert sorted(door.next().delivery_id for _ in range(20)) == list(range(20))
    assert door.is_empty
    assert door.log.count("release") == 20


def test_closing_waits_for_what_is_in_flight(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = receiver.hang
    poster.post(attempt_to(receiver.url()), NOTIFIER)
    assert not poster.wait_idle(0.0)

    receiver.release()

    assert poster.close(WAIT_SECONDS)
    assert door.next().status == 200


def test_closing_cuts_off_what_takes_too_long(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = receiver.hang
    for number in range(5):
        poster.post(attempt_to(receiver.url(), number), NOTIFIER)
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
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    poster.close(0.0)
    poster.close(0.0)

    ended = door.outcome(poster, attempt_to(receiver.url()))

    assert ended.error.endswith(CLOSED)
    assert receiver.received == []
    assert door.log == ["hold", "enter", "release"]


def test_closing_does_not_wait_for_a_door_that_is_closed(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    door.refusals = 1_000_000
    poster.post(attempt_to(receiver.url()), NOTIFIER)

    assert poster.close(WAIT_SECONDS)


def test_a_poster_that_is_not_used_starts_nothing(poster: HttpPoster) -> None:
    assert not any(one.name == "greenroom-http" for one in threading.enumerate())
    assert poster.wait_idle(0.0)
    assert poster.close(0.0)


def test_nothing_of_an_attempt_is_in_the_repr(
    poster: HttpPoster, door: WaitingDoor, receiver: HttpReceiver
) -> None:
    receiver.handler = receiver.hang
    poster.post(attempt_to(receiver.url()), NOTIFIER)
    receiver.wait_for_requests(1)

    assert repr(poster) == "HttpPoster(1 held, closed=False)"
