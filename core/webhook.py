"""Webhooks as data: which queue, whether at all, the body, and LiveKit's token for it.

Source: livekit/protocol webhook/{notifier,resource_url_notifier}.go at
v1.44.1-0.20260211042324-3688e156dc7e.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Collection
from hashlib import sha256
from typing import Final

import jwt
from google.protobuf.json_format import MessageToDict
from livekit.protocol.webhook import WebhookEvent

from ..errors import UnsendableError

CONTENT_TYPE: Final = "application/webhook+json"
TOKEN_VALID_SECONDS: Final = 300  # protocol webhook/url_notifier.go: SetValidFor(5 * time.Minute)
DEFAULT_KEY: Final = "default"
NO_SECRET: Final = "no singing key or secret was provided"  # sic: the original's text
NO_SECRET_FOR_KEY: Final = "no secret for provided signing key"

# made once: json.dumps would make one for each
_to_json: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


def event_key(event: WebhookEvent) -> str:
    """The key whose events are delivered one after the other.

    The first message that is present decides, with an empty id too. Keys of different kinds share
    one name space, as in the original.
    """
    if event.HasField("egress_info"):
        return event.egress_info.egress_id
    if event.HasField("ingress_info"):
        return event.ingress_info.ingress_id
    if event.HasField("room"):
        return event.room.name
    if event.HasField("participant"):
        return event.participant.identity
    if event.HasField("track"):
        return event.track.sid
    return DEFAULT_KEY


def is_allowed(event_name: str, include: Collection[str], exclude: Collection[str]) -> bool:
    """Whether the filter lets this event through; a non-empty `include` makes `exclude` moot."""
    if include:
        return event_name in include
    return event_name not in exclude


def encode_body(event: WebhookEvent) -> bytes:
    """The request's body: protojson with its defaults, compact, UTF-8."""
    return _to_json(MessageToDict(event)).encode()


def sign(body: bytes, api_key: str, secret: str, now_s: int) -> str:
    """The token that goes with `body`: a JWT (HS256) over its SHA-256, valid for 5 minutes.

    Args:
        body: The exact bytes that are sent.
        api_key: The token's issuer.
        secret: Its UTF-8 bytes are the HMAC key; PyJWT warns of one shorter than 32 bytes.
        now_s: Unix time in whole seconds.

    Raises:
        UnsendableError: PyJWT takes the secret for an asymmetric key (PEM, SSH).
    """
    claims = {
        "exp": now_s + TOKEN_VALID_SECONDS,
        "iss": api_key,
        "nbf": now_s,
        "sha256": b64encode(sha256(body).digest()).decode(),
    }
    try:
        return jwt.encode(claims, secret, algorithm="HS256", sort_headers=True)
    except jwt.InvalidKeyError as error:
        raise UnsendableError(f"the secret of {api_key!r} cannot sign: {error}") from error


def build_headers(token: str) -> tuple[tuple[str, str], ...]:
    """The headers that belong to one request; the HTTP client adds its own and User-Agent."""
    return (("Authorization", token), ("Content-Type", CONTENT_TYPE))  # no "Bearer"
