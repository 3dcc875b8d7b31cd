from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

import greenroom
from greenroom.core.webhook import encode_body, sign
from greenroom.replay.receiver import Received, Receiver

KEY = "key"
SECRET = "a secret of 32 characters or more"
NOW_S = 1_000_000
EVENT = WebhookEvent(event="room_started", id="EV_1", room=Room(name="a"))
BODY = encode_body(EVENT)


@pytest.fixture
def requests() -> list[Received]:
    return []


@pytest.fixture
def receiver(requests: list[Received]) -> Iterator[Receiver]:
    clock = greenroom.VirtualClock(NOW_S * 10**9)
    receiver = Receiver({KEY: SECRET}, clock, on_received=requests.append)
    yield receiver
    receiver.close()


def post(receiver: Receiver, body: bytes, token: str | None, path: str = "") -> tuple[int, str]:
    url = urlsplit(receiver.url)
    connection = HTTPConnection(url.netloc, timeout=10)
    headers = {} if token is None else {"Authorization": token}
    connection.request("POST", path or url.path, body, headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_a_webhook_that_is_signed_as_it_should_be_is_accepted(
    receiver: Receiver, requests: list[Received]
) -> None:
    assert post(receiver, BODY, sign(BODY, KEY, SECRET, NOW_S)) == (200, "")

    (received,) = requests
    assert received == Received(1, NOW_S * 10**9, "/webhook", EVENT, "", BODY)


@pytest.mark.parametrize(
    ("body", "token", "problem"),
    [
        (BODY, None, "no authorization header"),
        (BODY, "abc", "authorization: no token"),
        (BODY, sign(BODY, KEY, SECRET + "x", NOW_S), f"the token is not signed by '{KEY}'"),
        (BODY, sign(BODY, "other", SECRET, NOW_S), "unknown API key 'other'"),
        (BODY + b" ", sign(BODY, KEY, SECRET, NOW_S), "the token was made for another body"),
        (BODY, sign(BODY, KEY, SECRET, NOW_S - 361), "the token ended 61 s ago"),
        (BODY, sign(BODY, KEY, SECRET, NOW_S + 61), "the token begins 61 s in the future"),
        (b"{", sign(b"{", KEY, SECRET, NOW_S), "not a webhook event"),
        (b"\xff", sign(b"\xff", KEY, SECRET, NOW_S), "not a webhook event"),
    ],
)
def test_anything_else_is_refused_and_says_why(
    receiver: Receiver,
    requests: list[Received],
    body: bytes,
    token: str | None,
    problem: str,
) -> None:
    status, text = post(receiver, body, token)

    assert status == 401
    assert text.startswith(problem)
    assert requests[0].problem == text


def test_the_token_is_judged_at_the_time_of_the_given_clock(
    receiver: Receiver, requests: list[Received]
) -> None:
    assert post(receiver, BODY, sign(BODY, KEY, SECRET, NOW_S - 359))[0] == 200
    assert post(receiver, BODY, sign(BODY, KEY, SECRET, NOW_S + 59))[0] == 200


def test_requests_are_numbered_whatever_their_path(
    receiver: Receiver, requests: list[Received]
) -> None:
    post(receiver, BODY, None, "/a")
    post(receiver, BODY, None, "/b/c")

    assert [(one.number, one.path) for one in requests] == [(1, "/a"), (2, "/b/c")]


def test_the_answer_may_be_decided_by_the_owner() -> None:
    clock = greenroom.VirtualClock(NOW_S * 10**9)
    receiver = Receiver(
        {KEY: SECRET}, clock, on_received=lambda _: None, answer=lambda one: 500 + one.number
    )

    assert [post(receiver, BODY, None)[0] for _ in range(2)] == [501, 502]
    receiver.close()


def test_closing_twice_is_closing_once_and_nobody_answers_any_more(receiver: Receiver) -> None:
    receiver.close()
    receiver.close()

    with pytest.raises(ConnectionRefusedError):
        post(receiver, BODY, None)
