"""Who sent a request: its headers against the keys that the receiver knows. No state, no clock."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from hashlib import sha256
from hmac import compare_digest
from typing import Final, TypeAlias
from urllib.parse import unquote

import jwt
from jwt.types import Options

from ..core.signatures import (
    ENDPOINT_HEADER,
    ID_HEADER,
    KEY_HEADER,
    SEQUENCE_HEADER,
    SEQUENCE_SIGNATURE_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SigningKey,
    sequence_content,
    sign_content,
    webhook_content,
)
from ..errors import (
    BodyChangedError,
    MalformedHeaderError,
    MissingHeaderError,
    StaleError,
    UnknownKeyError,
    WrongSignatureError,
)

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

TOKEN_HEADER: Final = "authorization"
TOKEN_LEEWAY_SECONDS: Final = 60  # livekit-api access_token.py: DEFAULT_LEEWAY
DIGITS_MAX: Final = 18  # what fits 64 bits, and int() reads at once

_STANDARD_HEADERS: Final = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
_READ_HEADERS: Final = frozenset(
    {
        TOKEN_HEADER,
        *_STANDARD_HEADERS,
        SEQUENCE_HEADER,
        KEY_HEADER,
        ENDPOINT_HEADER,
        SEQUENCE_SIGNATURE_HEADER,
    }
)
# the times are checked against the caller's clock
_TIMES_UNCHECKED: Final[Options] = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


class Scheme(Flag):
    """How a request is signed."""

    LIVEKIT = auto()
    """LiveKit's token in `Authorization`."""

    STANDARD = auto()
    """Standard Webhooks' three headers, and greenroom's beside them."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What the headers prove.

    Args:
        schemes: The signatures that were there and right.
        api_key: Of the key that signed.
        id: Of the webhook; None with a token alone, which has none.
        sequence: None where the sender does not count, or its number is not signed.
        key: What is counted.
        endpoint: Empty where the sender names none.
    """

    schemes: Scheme
    api_key: str
    id: str | None = None
    sequence: int | None = None
    key: str = ""
    endpoint: str = ""


def verify(
    headers: Headers,
    body: bytes,
    keys: Sequence[SigningKey],
    *,
    now_s: float,
    tolerance_seconds: float,
    require: Scheme | None = None,
) -> Sender:
    """Make sure that a holder of one of `keys` sent this body just now.

    Whatever signature is there must be right. The one exception is a token by an unknown key
    beside signatures that are right: while keys are exchanged, its key may be the one to come.

    Args:
        headers: Of the request, in any case; as pairs also bytes (ASGI).
        body: The exact bytes that arrived.
        keys: Of all who may sign.
        now_s: Unix time.
        tolerance_seconds: How far `webhook-timestamp` may be off.
        require: What must be there; None: one of the two.

    Raises:
        SignatureError: In one of its kinds.
    """
    found = _pick(headers)
    wanted = require or Scheme(0)
    has_standard = any(name in found for name in _STANDARD_HEADERS)
    if TOKEN_HEADER not in found and (Scheme.LIVEKIT in wanted or not has_standard):
        raise MissingHeaderError(TOKEN_HEADER)
    schemes, api_key = Scheme(0), ""
    if TOKEN_HEADER in found:
        try:
            api_key = _verify_token(found[TOKEN_HEADER], body, keys, now_s)
            schemes |= Scheme.LIVEKIT
        except UnknownKeyError:
            if Scheme.LIVEKIT in wanted or not has_standard:
                raise
    if not has_standard and Scheme.STANDARD not in wanted:
        return Sender(schemes, api_key)
    signer = _verify_standard(found, body, keys, now_s, tolerance_seconds)
    sequence, key, endpoint = _verify_sequence(found, keys)
    schemes |= Scheme.STANDARD
    return Sender(schemes, api_key or signer, found[ID_HEADER], sequence, key, endpoint)


def _pick(headers: Headers) -> dict[str, str]:
    """The headers that matter, by their names in lower case."""
    found: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lower = (name.decode("latin-1") if isinstance(name, bytes) else name).lower()
        if lower not in _READ_HEADERS:
            continue
        if lower in found:
            raise MalformedHeaderError(lower, "is there twice")
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if not text.isascii():
            raise MalformedHeaderError(lower, "is not ASCII")
        found[lower] = text
    return found


def _verify_token(token: str, body: bytes, keys: Sequence[SigningKey], now_s: float) -> str:
    """The API key that made the token. As livekit-api's WebhookReceiver, at the caller's time."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        secret = next((one.secret for one in keys if one.api_key == issuer), None)
        if secret is None:
            raise UnknownKeyError(str(issuer))
        claims = jwt.decode(token, secret, algorithms=["HS256"], options=_TIMES_UNCHECKED)
    except jwt.InvalidSignatureError as error:
        raise WrongSignatureError(f"the token is not signed by {issuer!r}") from error
    except jwt.PyJWTError as error:
        raise MalformedHeaderError(TOKEN_HEADER, f"no token ({error})") from error
    hashed = claims.get("sha256")
    if not isinstance(hashed, str) or not hashed.isascii():
        raise MalformedHeaderError(TOKEN_HEADER, "a token without sha256: not for a webhook")
    try:
        valid_from, valid_to = int(claims.get("nbf", 0)), int(claims["exp"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MalformedHeaderError(TOKEN_HEADER, "a token without its times") from error
    if not compare_digest(hashed.encode(), b64encode(sha256(body).digest())):
        raise BodyChangedError("the token was made for another body")
    if now_s > valid_to + TOKEN_LEEWAY_SECONDS:
        raise StaleError("the token ended", now_s - valid_to, TOKEN_LEEWAY_SECONDS)
    if now_s < valid_from - TOKEN_LEEWAY_SECONDS:
        raise StaleError("the token begins", now_s - valid_from, TOKEN_LEEWAY_SECONDS)
    return str(issuer)


def _verify_standard(
    found: dict[str, str],
    body: bytes,
    keys: Sequence[SigningKey],
    now_s: float,
    tolerance_seconds: float,
) -> str:
    """The API key that signed `webhook-signature`."""
    webhook_id, timestamp, signatures = (_required(found, name) for name in _STANDARD_HEADERS)
    signed_at = _whole_number(TIMESTAMP_HEADER, timestamp)
    signer = _signer(webhook_content(webhook_id, timestamp, body), signatures, keys)
    if signer is None:
        raise WrongSignatureError(
            f"{SIGNATURE_HEADER} is by no known secret, or the body is not what was signed"
        )
    if abs(now_s - signed_at) > tolerance_seconds:
        raise StaleError("signed", now_s - signed_at, tolerance_seconds)
    return signer


def _verify_sequence(
    found: dict[str, str], keys: Sequence[SigningKey]
) -> tuple[int | None, str, str]:
    """Sequence, key and endpoint; (None, "", "") where the sender does not count."""
    if SEQUENCE_HEADER not in found:
        return None, "", ""
    # some proxies leave out headers that are empty, and a key may be
    key, endpoint = found.get(KEY_HEADER, ""), found.get(ENDPOINT_HEADER, "")
    content = sequence_content(
        found[ID_HEADER], found[TIMESTAMP_HEADER], found[SEQUENCE_HEADER], endpoint, key
    )
    if _signer(content, _required(found, SEQUENCE_SIGNATURE_HEADER), keys) is None:
        raise WrongSignatureError(f"{SEQUENCE_SIGNATURE_HEADER} does not sign this sequence")
    sequence = _whole_number(SEQUENCE_HEADER, found[SEQUENCE_HEADER])
    if sequence < 1:
        raise MalformedHeaderError(SEQUENCE_HEADER, "is not 1 or more")
    return sequence, unquote(key), unquote(endpoint)


def _signer(content: bytes, signatures: str, keys: Sequence[SigningKey]) -> str | None:
    """The API key of the first key that made one of the signatures."""
    given = [one.encode() for one in signatures.split(" ")]
    for key in keys:
        expected = sign_content(content, key.hmac_key).encode()
        if any(compare_digest(expected, one) for one in given):
            return key.api_key
    return None


def _required(found: dict[str, str], name: str) -> str:
    if not found.get(name):
        raise MissingHeaderError(name)
    return found[name]


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        raise MalformedHeaderError(name, "is not a whole number")
    return int(text)
