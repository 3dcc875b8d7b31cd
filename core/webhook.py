"""Webhooks as data: which queue, whether at all, where to, and the signed request.

Source: livekit/protocol webhook/{notifier,resource_url_notifier}.go at
v1.44.1-0.20260211042324-3688e156dc7e.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import jwt
from google.protobuf.json_format import MessageToDict
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..errors import UnsendableError
from .url import hide_password

CONTENT_TYPE: Final = "application/webhook+json"
TOKEN_VALID_SECONDS: Final = 300  # protocol webhook/url_notifier.go: SetValidFor(5 * time.Minute)
DEFAULT_KEY: Final = "default"
NO_SECRET: Final = "no singing key or secret was provided"  # sic: the original's text
NO_SECRET_FOR_KEY: Final = "no secret for provided signing key"
TOO_MANY_EXTRAS: Final = "more than 1 extra webhook url unexpected"


# made once: json.dumps would make one for each
_to_json: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook goes and what signs it."""

    url: str
    api_key: str
    secret: str = field(repr=False)

    def __repr__(self) -> str:
        """Without secret and password, so that it may be logged."""
        return f"Target({hide_password(self.url)!r}, {self.api_key!r})"


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


def resolve_target(
    static: Target,
    *,
    extra_webhooks: Sequence[WebhookConfig] = (),
    secret: str | None = None,
) -> Target:
    """The target of one event, after the options given with it.

    Args:
        static: What applies without options.
        extra_webhooks: One replaces the URL and, when it names a signing key, the API key.
        secret: Replaces the secret unless it is empty.

    Raises:
        UnsendableError: There are several extra webhooks, or no key or secret to sign with.
            The texts are the original's.
    """
    if len(extra_webhooks) > 1:
        raise UnsendableError(TOO_MANY_EXTRAS)
    url, api_key = static.url, static.api_key
    for extra in extra_webhooks:
        url, api_key = extra.url, extra.signing_key or api_key
    target = Target(url, api_key, secret or static.secret)
    if not target.api_key or not target.secret:
        raise UnsendableError(NO_SECRET)
    return target


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
