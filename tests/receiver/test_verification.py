from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from greenroom.core.signatures import SigningKey
from greenroom.receiver import (
    BodyChangedError,
    MalformedHeaderError,
    MissingHeaderError,
    Receiver,
    Scheme,
    SignatureError,
    StaleError,
    UnknownKeyError,
    WrongSignatureError,
)
from greenroom.testing.webhook_sender import WebhookSender

SECRET: Final = "a-secret-a-secret-a-secret-0123456789"
STRANGER: Final = SigningKey("APIstranger", "of-somebody-else-of-somebody-else-01234")
TOKEN: Final = "Authorization"
Headers = dict[str, str]


@pytest.fixture
def receiver(sender: WebhookSender, old_key: SigningKey) -> Receiver:
    return Receiver({old_key.api_key: old_key.secret}, now=sender.now)


def without(headers: Headers, *names: str) -> Headers:
    return {name: value for name, value in headers.items() if name not in names}


def standard_alone(headers: Headers) -> Headers:
    return without(headers, TOKEN)


def token_alone(headers: Headers) -> Headers:
    return {TOKEN: headers[TOKEN]}


# ── what is accepted ────────────────────────────────────────────────────────────────────────────

FORMS: Final[dict[str, Callable[[Headers], Any]]] = {
    "lower case": lambda headers: {name.lower(): value for name, value in headers.items()},
    "title case": lambda headers: {name.title(): value for name, value in headers.items()},
    "pairs": lambda headers: list(headers.items()),
    "pairs of bytes, as in ASGI": lambda headers: [
        (name.lower().encode(), value.encode()) for name, value in headers.items()
    ],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_headers_are_found_in_any_case_and_form(
    receiver: Receiver, sender: WebhookSender, form: Callable[[Headers], Any]
) -> None:
    headers, body = sender.request(1)

    assert receiver.receive(form(headers), body).sequence == 1


@pytest.mark.parametrize("knows", [["old"], ["new"], ["old", "new"]], ids=str)
@pytest.mark.parametrize("primary", ["old", "new"])
def test_while_keys_are_exchanged_a_receiver_may_know_either(
    sender: WebhookSender, old_key: SigningKey, new_key: SigningKey, knows: list[str], primary: str
) -> None:
    keys = {"old": old_key, "new": new_key}
    sender.keys = [keys.pop(primary), *keys.values()]
    known = {"old": old_key, "new": new_key}
    receiver = Receiver(
        {known[name].api_key: known[name].secret for name in knows}, now=sender.now
    )

    received = receiver.receive(*sender.request(1))

    assert received.sequence == 1
    assert (Scheme.LIVEKIT in received.schemes) == (primary in knows)
    assert received.api_key in {known[name].api_key for name in knows}


def test_signatures_of_other_versions_are_passed_over(
    receiver: Receiver, sender: WebhookSender
) -> None:
    headers, body = sender.request()
    headers["webhook-signature"] = "v1a,AAAA  v2,x " + headers["webhook-signature"]

    assert receiver.receive(headers, body).schemes & Scheme.STANDARD


# ── what is refused ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["webhook-id", "webhook-timestamp", "webhook-signature", "greenroom-signature"]
)
@pytest.mark.parametrize("change", ["absent", "empty"])
def test_a_signature_that_is_there_must_be_complete(
    receiver: Receiver, sender: WebhookSender, name: str, change: str
) -> None:
    headers, body = sender.request()
    changed = without(headers, name) | ({name: ""} if change == "empty" else {})

    with pytest.raises(MissingHeaderError) as refused:
        receiver.receive(changed, body)

    assert (refused.value.name, refused.value.status) == (name, 401)


def test_without_any_signature_nothing_is_received(receiver: Receiver) -> None:
    with pytest.raises(MissingHeaderError, match="no authorization header"):
        receiver.receive({"Content-Type": "application/webhook+json"}, b"{}")


@pytest.mark.parametrize(
    ("require", "left", "missing"),
    [
        (Scheme.LIVEKIT, standard_alone, "authorization"),
        (Scheme.STANDARD, token_alone, "webhook-id"),
        (Scheme.LIVEKIT | Scheme.STANDARD, standard_alone, "authorization"),
        (Scheme.LIVEKIT | Scheme.STANDARD, token_alone, "webhook-id"),
        (Scheme.LIVEKIT, token_alone, None),
        (Scheme.STANDARD, standard_alone, None),
        (None, token_alone, None),
        (None, standard_alone, None),
    ],
)
def test_what_is_required_must_be_there(
    sender: WebhookSender,
    old_key: SigningKey,
    require: Scheme | None,
    left: Callable[[Headers], Headers],
    missing: str | None,
) -> None:
    receiver = Receiver({old_key.api_key: old_key.secret}, require=require, now=sender.now)
    headers, body = sender.request()

    if missing is None:
        assert receiver.receive(left(headers), body).id
    else:
        with pytest.raises(MissingHeaderError) as refused:
            receiver.receive(left(headers), body)
        assert refused.value.name == missing


def test_a_required_token_must_be_by_a_known_key(
    sender: WebhookSender, old_key: SigningKey, new_key: SigningKey
) -> None:
    receiver = Receiver({old_key.api_key: old_key.secret}, require=Scheme.LIVEKIT, now=sender.now)
    sender.keys = [new_key, old_key]

    with pytest.raises(UnknownKeyError, match="APInew"):
        receiver.receive(*sender.request())


@pytest.mark.parametrize(
    ("left", "error"), [(token_alone, UnknownKeyError), (standard_alone, WrongSignatureError)]
)
def test_a_stranger_is_refused(
    receiver: Receiver,
    sender: WebhookSender,
    left: Callable[[Headers], Headers],
    error: type[SignatureError],
) -> None:
    sender.keys = [STRANGER]
    headers, body = sender.request()

    with pytest.raises(error):
        receiver.receive(left(headers), body)


def test_somebody_who_knows_the_key_but_not_its_secret_is_refused(
    receiver: Receiver, sender: WebhookSender
) -> None:
    sender.keys = [SigningKey("APIold", STRANGER.secret)]
    headers, body = sender.request()

    with pytest.raises(WrongSignatureError, match="APIold"):
        receiver.receive(token_alone(headers), body)
    with pytest.raises(WrongSignatureError):
        receiver.receive(headers, body)


@pytest.mark.parametrize(
    ("left", "error"), [(token_alone, BodyChangedError), (standard_alone, WrongSignatureError)]
)
def test_a_body_that_was_parsed_and_written_again_is_refused(
    receiver: Receiver,
    sender: WebhookSender,
    left: Callable[[Headers], Headers],
    error: type[SignatureError],
) -> None:
    headers, body = sender.request()

    with pytest.raises(error, match="body"):
        receiver.receive(left(headers), body.replace(b":", b": "))


@pytest.mark.parametrize(
    "name", ["greenroom-sequence", "greenroom-key", "greenroom-endpoint", "webhook-id"]
)
def test_what_is_counted_cannot_be_changed_on_the_way(
    receiver: Receiver, sender: WebhookSender, name: str
) -> None:
    headers, body = sender.request(5, endpoint="x")

    with pytest.raises(WrongSignatureError):
        receiver.receive(headers | {name: "7"}, body)


def test_the_signature_of_a_sequence_does_not_pass_for_that_of_a_body(
    receiver: Receiver, sender: WebhookSender
) -> None:
    headers, _ = sender.request(5)
    forged = standard_alone(headers) | {"webhook-signature": headers["greenroom-signature"]}

    with pytest.raises(WrongSignatureError):
        receiver.receive(forged, b"5.garden")


@pytest.mark.parametrize(
    ("left", "from_s", "to_s"), [(standard_alone, -300, 300), (token_alone, -60, 360)]
)
def test_a_request_is_received_only_within_its_time(
    receiver: Receiver,
    sender: WebhookSender,
    left: Callable[[Headers], Headers],
    from_s: int,
    to_s: int,
) -> None:
    headers, body = sender.request()
    signed_at = sender.now_s

    for off in (from_s, to_s):
        sender.now_s = signed_at + off
        assert receiver.receive(left(headers), body).id
    for off, words in ((from_s - 1, "in the future"), (to_s + 1, "ago")):
        sender.now_s = signed_at + off
        with pytest.raises(StaleError, match=words):
            receiver.receive(left(headers), body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (TOKEN, ""),
        (TOKEN, "Basic dXNlcjpwYXNz"),
        (TOKEN, "a.b.c"),
        ("webhook-timestamp", "1.5"),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "1" * 19),
        ("webhook-id", "sécret"),
        ("webhook-id", "\udc80"),
    ],
)
def test_headers_of_another_form_are_refused_by_their_name(
    receiver: Receiver, sender: WebhookSender, name: str, value: str
) -> None:
    headers, body = sender.request()

    with pytest.raises(MalformedHeaderError, match=name.lower()):
        receiver.receive(headers | {name: value}, body)


@pytest.mark.parametrize("sequence", ["0", "-1", "x", "1" * 19])
def test_a_sequence_is_a_number_from_1(
    receiver: Receiver, sender: WebhookSender, sequence: str
) -> None:
    headers, body = sender.request(sequence)  # type: ignore[arg-type]

    with pytest.raises(MalformedHeaderError, match="greenroom-sequence"):
        receiver.receive(headers, body)


def test_a_header_that_is_there_twice_is_refused(
    receiver: Receiver, sender: WebhookSender
) -> None:
    headers, body = sender.request()

    with pytest.raises(MalformedHeaderError, match="webhook-id: is there twice"):
        receiver.receive([*headers.items(), ("Webhook-Id", "EV_other")], body)
