from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent
from standardwebhooks import Webhook, WebhookVerificationError

from greenroom.core.signatures import SigningKey, build_signed_headers, sign_content
from greenroom.core.signatures import webhook_content as content_of
from greenroom.core.webhook import CONTENT_TYPE, encode_body, sign
from greenroom.errors import UnsendableError

PLAIN: Final = SigningKey("APIplain", "sécret-sécret-sécret-sécret-0123456789")
# the secret of Standard Webhooks' own tests
CODED: Final = SigningKey("APIcoded", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
NOW_S: Final = 1_700_000_123
EVENT: Final = WebhookEvent(event="room_started", room=Room(name="日本語"), id="EV_1")
BODY: Final = encode_body(EVENT)


def headers_of(*keys: SigningKey, now_s: int = NOW_S, endpoint: str = "") -> dict[str, str]:
    pairs = build_signed_headers(BODY, "EV_1", 7, "日本語", keys, now_s, endpoint=endpoint)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_an_attempt_has_these_headers() -> None:
    headers = headers_of(PLAIN, endpoint="hook/1")

    assert headers == {
        "Authorization": sign(BODY, PLAIN.api_key, PLAIN.secret, NOW_S),
        "Content-Type": CONTENT_TYPE,
        "webhook-id": "EV_1",
        "webhook-timestamp": str(NOW_S),
        "webhook-signature": sign_content(content_of("EV_1", str(NOW_S), BODY), PLAIN.hmac_key),
        "greenroom-sequence": "7",
        "greenroom-key": "%E6%97%A5%E6%9C%AC%E8%AA%9E",
        "greenroom-endpoint": "hook%2F1",
        "greenroom-signature": sign_content(
            f"greenroom EV_1 {NOW_S} 7 hook%2F1 %E6%97%A5%E6%9C%AC%E8%AA%9E".encode(),
            PLAIN.hmac_key,
        ),
    }


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        (  # libraries/javascript/src/webhook.test.ts, "sign function works"
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ],
)
def test_signatures_are_those_of_standard_webhooks_own_vectors(
    secret: str, message_id: str, timestamp: str, body: bytes, signature: str
) -> None:
    key = SigningKey("APIkey", secret)

    assert sign_content(content_of(message_id, timestamp, body), key.hmac_key) == signature


@pytest.mark.parametrize("key", [PLAIN, CODED], ids=["plain", "coded"])
def test_standard_webhooks_own_library_signs_alike_and_accepts(key: SigningKey) -> None:
    now_s = int(time.time())  # it reads the real clock
    judge = Webhook(CODED.secret if key is CODED else key.secret.encode())

    headers = headers_of(key, now_s=now_s)

    at = datetime.fromtimestamp(now_s, UTC)
    assert judge.sign("EV_1", at, BODY.decode()) == headers["webhook-signature"]
    assert judge.verify(BODY, headers)["id"] == "EV_1"
    with pytest.raises(WebhookVerificationError):
        judge.verify(BODY + b" ", headers)


def test_while_keys_are_exchanged_whoever_knows_one_of_them_accepts() -> None:
    headers = headers_of(CODED, PLAIN, now_s=int(time.time()))

    Webhook(CODED.secret).verify(BODY, headers)
    Webhook(PLAIN.secret.encode()).verify(BODY, headers)
    verifier = TokenVerifier(CODED.api_key, CODED.secret)
    assert WebhookReceiver(verifier).receive(BODY.decode(), headers["Authorization"]) == EVENT


@given(key=st.text(st.characters(codec="utf-8")), endpoint=st.text(st.characters(codec="utf-8")))
def test_whatever_the_key_headers_are_one_line_of_printable_ascii(key: str, endpoint: str) -> None:
    headers = build_signed_headers(BODY, "EV_1", 1, key, [PLAIN], NOW_S, endpoint=endpoint)

    for _, value in headers:
        assert value.isascii()
        assert value == "" or value.isprintable()


@pytest.mark.parametrize(
    ("secret", "hmac_key"),
    [
        ("whsec_AAEC", b"\0\1\2"),
        ("whsec_AAECAw==", b"\0\1\2\3"),
        ("whsec_AAECAw", b"\0\1\2\3"),
        ("AAEC", b"AAEC"),
        ("é", b"\xc3\xa9"),
    ],
)
def test_a_secret_is_its_bytes_or_what_it_encodes(secret: str, hmac_key: bytes) -> None:
    assert SigningKey("APIkey", secret).hmac_key == hmac_key


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_A", "whsec_a b=", "whsec_é"])
def test_a_secret_that_cannot_sign_is_refused_by_the_name_of_its_key(secret: str) -> None:
    with pytest.raises(UnsendableError, match="'APIkey'") as refused:
        SigningKey("APIkey", secret)

    assert secret.removeprefix("whsec_") in ("", "A") or secret not in str(refused.value)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(UnsendableError):
        headers_of()
