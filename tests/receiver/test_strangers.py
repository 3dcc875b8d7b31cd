from __future__ import annotations

from base64 import b64encode
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.signatures import SigningKey
from greenroom.receiver import Receiver, SignatureError
from greenroom.testing.webhook_sender import WebhookSender

SECRET: Final = "a-secret-a-secret-a-secret-0123456789"
TOKEN: Final = "Authorization"
Headers = dict[str, str]
HEADER_VALUES: Final = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}"),
    st.integers(-(10**30), 10**30).map(str),
    st.just("v1,AAAA"),
    # deeper than a parser goes
    st.just(b64encode(b'{"a":' + b"[" * 100_000).decode().rstrip("=") + ".e30.AAAA"),
)
NAMES: Final = [
    TOKEN,
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "greenroom-sequence",
    "greenroom-key",
    "greenroom-endpoint",
    "greenroom-signature",
]


@given(headers=st.dictionaries(st.sampled_from(NAMES), HEADER_VALUES), body=st.binary(max_size=40))
def test_whatever_a_stranger_sends_ends_in_a_signature_error(
    headers: Headers, body: bytes
) -> None:
    receiver = Receiver({"APIkey": SECRET}, now=lambda: 1_700_000_000.0)

    with pytest.raises(SignatureError):
        receiver.receive(headers, body)


@given(data=st.data())
def test_none_of_the_headers_beside_the_token_can_be_changed(data: st.DataObject) -> None:
    sender = WebhookSender([SigningKey("APIkey", SECRET)])
    receiver = Receiver({"APIkey": SECRET}, now=sender.now)
    headers, body = sender.request(3, endpoint="x")
    name = data.draw(st.sampled_from([name for name in NAMES if name != TOKEN]))
    value = data.draw(HEADER_VALUES)

    with pytest.raises(SignatureError):
        receiver.receive(headers | {name: value}, body)
