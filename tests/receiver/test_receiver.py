from __future__ import annotations

import subprocess
import sys

import pytest
from livekit.protocol.webhook import WebhookEvent

from greenroom.core.signatures import SigningKey
from greenroom.errors import ConfigError
from greenroom.receiver import (
    BodyTooLargeError,
    MemoryStore,
    NotAnEventError,
    Receiver,
    Scheme,
)
from greenroom.testing.webhook_sender import WebhookSender

DAY_SECONDS = 24 * 3600.0


# ── what is received ────────────────────────────────────────────────────────────────────────────


def test_a_webhook_is_received_with_all_that_its_headers_say(
    receiver: Receiver, sender: WebhookSender
) -> None:
    event = sender.event("日本 / %41\r\n")

    received = receiver.receive(*sender.request(1, event=event, endpoint="hook.1 a"))

    assert received.event == event
    assert received.id == event.id
    assert received.api_key == "APIold"
    assert received.schemes == Scheme.LIVEKIT | Scheme.STANDARD
    assert (received.endpoint, received.key, received.sequence) == ("hook.1 a", event.room.name, 1)
    assert (received.is_duplicate, received.gap, received.fills_gap) == (False, None, False)


def test_headers_that_a_proxy_left_out_because_they_were_empty_are_not_missed(
    receiver: Receiver, sender: WebhookSender
) -> None:
    headers, body = sender.request(1, event=sender.event(""))
    del headers["greenroom-key"]

    assert receiver.receive(headers, body).key == ""


def test_fields_that_a_newer_sender_has_are_ignored(
    receiver: Receiver, sender: WebhookSender
) -> None:
    body = b'{"event":"room_started","id":"EV_x","newer":{"a":1}}'

    received = receiver.receive(*sender.sign(body, "EV_x"))

    assert received.event == WebhookEvent(event="room_started", id="EV_x")


@pytest.mark.parametrize("body", [b"[]", b'""', b"{", b'{"createdAt":"x"}', b"\xff", b""])
def test_a_signed_body_that_is_no_event_is_refused_and_not_remembered(
    receiver: Receiver, sender: WebhookSender, body: bytes
) -> None:
    with pytest.raises(NotAnEventError) as refused:
        receiver.receive(*sender.sign(body, "EV_x"))

    assert refused.value.status == 400
    assert not receiver.receive(*sender.sign(b'{"id":"EV_x"}', "EV_x")).is_duplicate


def test_a_body_beyond_the_limit_is_refused_unread(
    sender: WebhookSender, old_key: SigningKey
) -> None:
    headers, body = sender.request()
    keys = {old_key.api_key: old_key.secret}

    receiver = Receiver(keys, body_bytes_max=len(body), now=sender.now)
    with pytest.raises(BodyTooLargeError) as refused:
        receiver.receive({}, body + b" ")

    assert refused.value.status == 413
    assert receiver.receive(headers, body).id


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"APIkey": ""},
        {"APIkey": "whsec_"},
        {"APIkey": "whsec_not base64!"},
        {"APIkey": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
    ],
    ids=str,
)
def test_keys_that_can_verify_nothing_are_refused_at_the_start(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="keys"):
        Receiver(keys)


def test_neither_a_receiver_nor_a_key_shows_a_secret(
    receiver: Receiver, old_key: SigningKey
) -> None:
    assert old_key.secret not in repr(receiver) + repr(old_key)
    assert "APIold" in repr(receiver)


# ── each event once ─────────────────────────────────────────────────────────────────────────────


def test_a_second_attempt_of_the_same_event_is_a_duplicate(
    receiver: Receiver, sender: WebhookSender
) -> None:
    event = sender.event()

    first = receiver.receive(*sender.request(1, event=event))
    sender.now_s += 3600
    second = receiver.receive(*sender.request(1, event=event))

    assert (first.is_duplicate, second.is_duplicate) == (False, True)
    assert second.gap is None


def test_an_event_without_an_id_is_never_a_duplicate(
    receiver: Receiver, sender: WebhookSender
) -> None:
    headers, body = sender.sign(b"{}", "")
    token_alone = {"Authorization": headers["Authorization"]}

    assert not receiver.receive(token_alone, body).is_duplicate
    assert not receiver.receive(token_alone, body).is_duplicate


def test_with_a_token_alone_the_events_own_id_tells_repetitions(
    receiver: Receiver, sender: WebhookSender
) -> None:
    headers, body = sender.request()
    token_alone = {"Authorization": headers["Authorization"]}

    first = receiver.receive(token_alone, body)

    assert (first.schemes, first.sequence, first.key) == (Scheme.LIVEKIT, None, "")
    assert receiver.receive(token_alone, body).is_duplicate
    assert receiver.receive(headers, body).is_duplicate


def test_an_event_that_could_not_be_handled_is_new_at_the_next_attempt(
    receiver: Receiver, sender: WebhookSender
) -> None:
    receiver.receive(*sender.request(1))
    event = sender.event()

    with (
        pytest.raises(ZeroDivisionError),
        receiver.receiving(*sender.request(4, event=event)) as received,
    ):
        raise ZeroDivisionError

    with receiver.receiving(*sender.request(4, event=event)) as again:
        pass
    third = receiver.receive(*sender.request(4, event=event))
    after = receiver.receive(*sender.request(5))
    assert received.gap == range(2, 4)
    assert (again.is_duplicate, again.gap, again.fills_gap) == (False, None, False)
    assert third.is_duplicate
    assert (after.is_duplicate, after.gap) == (False, None)


def test_to_forget_a_duplicate_does_not_make_its_event_new(
    receiver: Receiver, sender: WebhookSender
) -> None:
    event = sender.event()
    receiver.receive(*sender.request(1, event=event))

    receiver.forget(receiver.receive(*sender.request(1, event=event)))

    assert receiver.receive(*sender.request(1, event=event)).is_duplicate


def test_ids_are_forgotten_after_their_time_and_beyond_their_number(
    sender: WebhookSender,
) -> None:
    events = [sender.event() for _ in range(3)]
    by_number = sender.new_receiver(MemoryStore(ids_max=2))
    by_age = sender.new_receiver(MemoryStore(max_age_seconds=DAY_SECONDS))
    for event in events:
        for receiver in (by_number, by_age):
            receiver.receive(*sender.request(1, event=event))

    assert by_number.receive(*sender.request(1, event=events[2])).is_duplicate
    assert not by_number.receive(*sender.request(1, event=events[0])).is_duplicate
    sender.now_s += DAY_SECONDS - 1
    assert by_age.receive(*sender.request(1, event=events[0])).is_duplicate
    sender.now_s += 1
    assert not by_age.receive(*sender.request(1, event=events[0])).is_duplicate


# ── on its own ───────────────────────────────────────────────────────────────────────────────────


def test_a_program_that_receives_loads_none_of_the_actors() -> None:
    code = (
        "import sys, greenroom.receiver;"
        "print({'aiohttp', 'asyncio', 'msgpack', 'thespian', 'greenroom.system'} & {*sys.modules})"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "set()"
