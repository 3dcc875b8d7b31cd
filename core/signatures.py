"""The headers of one attempt: LiveKit's token, Standard Webhooks' signatures, and the sequence.

Source: Standard Webhooks 1.0.0, "Signature scheme" and "Webhook headers".
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from ..errors import UnsendableError
from .webhook import build_headers, sign

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
SEQUENCE_HEADER: Final = "greenroom-sequence"
KEY_HEADER: Final = "greenroom-key"
ENDPOINT_HEADER: Final = "greenroom-endpoint"
SEQUENCE_SIGNATURE_HEADER: Final = "greenroom-signature"

SECRET_PREFIX: Final = "whsec_"
VERSION: Final = "v1,"  # HMAC-SHA256, base64


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair that signs webhooks.

    Args:
        api_key: Names the pair; the token's issuer.
        secret: LiveKit's token is signed with its UTF-8 bytes, whatever they are. The other
            signatures are made with those bytes too, or, after `whsec_`, with what they decode to.

    Raises:
        UnsendableError: The secret is empty, or no base64 follows its `whsec_`.
    """

    api_key: str
    secret: str = field(repr=False)
    hmac_key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hmac_key", decode_secret(self.api_key, self.secret))


def decode_secret(api_key: str, secret: str) -> bytes:
    """The HMAC key of Standard Webhooks' signatures; `api_key` is for the error.

    Raises:
        UnsendableError: The secret is empty, or no base64 follows its `whsec_`.
    """
    if secret.startswith(SECRET_PREFIX):
        encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
        try:
            key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (Base64Error, ValueError) as error:
            text = f"the secret of {api_key!r} begins with {SECRET_PREFIX} but is not base64"
            raise UnsendableError(text) from error
    else:
        key = secret.encode()
    if not key:
        raise UnsendableError(f"the secret of {api_key!r} is empty")
    return key


def escape(text: str) -> str:
    """`text` as a header's value: percent-encoded UTF-8, also where a URL's path would not be."""
    return quote(text, safe="")


def sign_content(content: bytes, hmac_key: bytes) -> str:
    """One signature: its version and the base64 of the HMAC-SHA256."""
    # hmac.digest() would let go of the interpreter, and have to wait for it again
    digest = hmac.new(hmac_key, content, "sha256").digest()
    return VERSION + b2a_base64(digest, newline=False).decode()


def webhook_content(event_id: str, timestamp: str, body: bytes) -> bytes:
    """What `webhook-signature` signs."""
    return f"{event_id}.{timestamp}.".encode() + body


def sequence_content(
    event_id: str, timestamp: str, sequence: str, endpoint: str, key: str
) -> bytes:
    """What `greenroom-signature` signs; all as it stands in the headers.

    It cannot pass for a webhook: no body is JSON after a blank, and no id holds one.
    """
    return f"greenroom {event_id} {timestamp} {sequence} {endpoint} {key}".encode()


def build_signed_headers(
    body: bytes,
    event_id: str,
    sequence: int,
    key: str,
    signing_keys: Sequence[SigningKey],
    now_s: int,
    *,
    endpoint: str = "",
) -> tuple[tuple[str, str], ...]:
    """All headers of one attempt that greenroom decides.

    Args:
        body: The exact bytes that are sent.
        event_id: The event's `EV_` id, the same on every attempt.
        sequence: 1, 2, 3 … without a gap for each endpoint and key.
        key: What is counted, any text (`event_key` of the event).
        signing_keys: The primary one first: it signs LiveKit's token, and all of them the rest, so
            that a receiver may know the old ones or the new ones while they are exchanged.
        now_s: Unix time of the attempt in whole seconds.
        endpoint: Names the endpoint when several share a URL; empty: without such a header.

    Returns:
        Names and values, all ASCII. 19 us for a body of 700 bytes, of which the token takes
        12; each further key adds 4.

    Raises:
        UnsendableError: There is no key, or the primary one's secret cannot sign a token.
    """
    if not signing_keys:
        raise UnsendableError("no key to sign with")
    primary = signing_keys[0]
    timestamp = str(now_s)
    number, place, counted = str(sequence), escape(endpoint), escape(key)
    content = webhook_content(event_id, timestamp, body)
    position = sequence_content(event_id, timestamp, number, place, counted)
    return (
        *build_headers(sign(body, primary.api_key, primary.secret, now_s)),
        (ID_HEADER, event_id),
        (TIMESTAMP_HEADER, timestamp),
        (SIGNATURE_HEADER, " ".join(sign_content(content, one.hmac_key) for one in signing_keys)),
        (SEQUENCE_HEADER, number),
        (KEY_HEADER, counted),
        *(((ENDPOINT_HEADER, place),) if endpoint else ()),
        (
            SEQUENCE_SIGNATURE_HEADER,
            " ".join(sign_content(position, one.hmac_key) for one in signing_keys),
        ),
    )
