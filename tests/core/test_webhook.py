from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from jwt.warnings import InsecureKeyLengthWarning
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.egress import EgressInfo
from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

from greenroom.core.webhook import (
    build_headers,
    encode_body,
    event_key,
    is_allowed,
    sign,
)
from greenroom.core.webhook_info import build_webhook_info
from greenroom.errors import UnsendableError

VECTORS: Final = Path(__file__).resolve().parents[1] / "data" / "webhook.jsonl.gz"
PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
SECRET: Final = "public-secret-public-secret-0123456789"
NOW_S: Final = 1_700_000_123
VERIFIER: Final = TokenVerifier("APIpubKey1", SECRET)
GO_ZERO_TIME: Final = "0001-01-01T00:00:00Z"


def vectors(kind: str) -> list[Any]:
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        found = [line for line in map(json.loads, lines) if line["kind"] == kind]
    return [pytest.param(line, id=f"{i}-{line.get('name', kind)}") for i, line in enumerate(found)]


def event_of(vector: dict[str, Any]) -> WebhookEvent:
    return ParseDict(vector["event"], WebhookEvent())


def ns_or_none(text: str) -> int | None:
    if text == GO_ZERO_TIME:
        return None
    timestamp = Timestamp()
    timestamp.FromJsonString(text)
    return timestamp.ToNanoseconds()


# ── key and filter ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("vector", vectors("event_key"))
def test_the_first_message_that_is_present_gives_the_key(vector: dict[str, Any]) -> None:
    assert event_key(event_of(vector)) == vector["expect"]


@pytest.mark.parametrize("vector", vectors("filter"))
def test_the_filter_lets_through_what_the_original_does(vector: dict[str, Any]) -> None:
    include, exclude = vector["include"] or (), vector["exclude"] or ()

    assert is_allowed(vector["event"], include, exclude) is vector["expect"]


@pytest.mark.parametrize("vector", vectors("filter_set"))
def test_a_new_filter_replaces_both_lists(vector: dict[str, Any]) -> None:
    then = vector["then"]

    for name, expected in vector["allowed"].items():
        assert is_allowed(name, then.get("include", ()), then.get("exclude", ())) is expected


# ── request ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("vector", vectors("request"))
def test_the_body_is_the_same_object_as_the_originals(vector: dict[str, Any]) -> None:
    body = encode_body(event_of(vector))

    assert json.loads(body) == vector["body"]


def test_the_body_is_compact_utf8_with_camel_case_names_and_64_bit_numbers_as_text() -> None:
    event = WebhookEvent(
        event="room_started", room=Room(name="日本語", num_publishers=2), id="EV_1", created_at=7
    )

    body = encode_body(event)

    expected = '{"event":"room_started","room":{"name":"日本語","numPublishers":2},"id":"EV_1",'
    assert body == (expected + '"createdAt":"7"}').encode()


@pytest.mark.parametrize("vector", vectors("request"))
def test_the_token_has_exactly_the_originals_header_and_claims(vector: dict[str, Any]) -> None:
    body = encode_body(event_of(vector))

    token = sign(body, vector["api_key"], vector["api_secret"], NOW_S)

    header, payload, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = vector["jwt_claims_text"]
    claims = claims.replace("EXP", str(NOW_S + 300)).replace("NBF", str(NOW_S))
    assert header.decode() == vector["jwt_header_text"]
    assert payload.decode() == claims.replace("SHA", digest)
    assert dict(build_headers(token)) == {
        "Authorization": token,
        "Content-Type": "application/webhook+json",
    }


def test_a_token_in_force_is_accepted_by_livekits_own_receiver() -> None:
    event = WebhookEvent(event="room_started", room=Room(name="日本語"), id="EV_1", created_at=7)
    body = encode_body(event)
    now_s = int(time.time())  # the receiver reads the real clock

    token = sign(body, "APIpubKey1", SECRET, now_s)

    assert WebhookReceiver(VERIFIER).receive(body.decode(), token) == event


def test_a_token_is_refused_with_another_body_and_after_its_time() -> None:
    body = b'{"event":"room_started"}'
    now_s = int(time.time())

    token = sign(body, "APIpubKey1", SECRET, now_s)
    late = sign(body, "APIpubKey1", SECRET, now_s - 300 - 61)  # 60 s of leeway

    with pytest.raises(Exception, match="hash mismatch"):
        WebhookReceiver(VERIFIER).receive("{}", token)
    with pytest.raises(jwt.ExpiredSignatureError):
        WebhookReceiver(VERIFIER).receive(body.decode(), late)


@pytest.mark.parametrize("secret", ["s" * 32, "sécret" * 6])
def test_a_secret_signs_as_its_utf_8_bytes(secret: str) -> None:
    token = sign(b"body", "key", secret, NOW_S)

    signed, _, signature = token.rpartition(".")
    digest = hmac.digest(secret.encode(), signed.encode(), "sha256")
    assert base64.urlsafe_b64decode(signature + "==") == digest


def test_a_secret_that_is_short_signs_with_a_warning() -> None:
    with pytest.warns(InsecureKeyLengthWarning):
        sign(b"body", "key", "short", NOW_S)


def test_a_secret_that_looks_like_an_asymmetric_key_is_refused_by_the_name_of_its_key() -> None:
    with pytest.raises(UnsendableError, match="'key'"):
        sign(b"body", "key", PEM, NOW_S)


# ── what became of it ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("vector", vectors("webhook_info"))
def test_the_record_of_a_webhook_is_exactly_the_originals(vector: dict[str, Any]) -> None:
    info = build_webhook_info(
        event_of(vector),
        vector["url"],
        queued_at_ns=ns_or_none(vector["queued_at"]),
        queue_duration_ns=vector["queue_duration_ns"],
        sent_at_ns=ns_or_none(vector["sent_at"]),
        send_duration_ns=vector["send_duration_ns"],
        is_dropped=vector["is_dropped"],
        send_error=vector["send_error"] or "",
    )

    assert MessageToDict(info, preserving_proto_field_name=True) == vector["expect"]


def test_a_status_without_a_name_is_shown_as_its_number() -> None:
    event = WebhookEvent()
    event.egress_info.MergeFrom(EgressInfo.FromString(b"\x18\xe7\x07"))  # status: 999

    assert build_webhook_info(event, "u").service_status == "999"
