"""What is in a request's token, and who signed it."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from .receiver import Request
from .vectors import Json


@dataclass(frozen=True, slots=True)
class Token:
    """A JWT, taken apart; nothing is checked yet."""

    header_text: str
    claims_text: str
    claims: Json
    signed: bytes
    signature: bytes

    @property
    def api_key(self) -> object:
        """Its issuer."""
        return self.claims.get("iss")

    @property
    def not_before(self) -> object:
        """Unix seconds."""
        return self.claims.get("nbf")

    def signer(self, secrets: Iterable[str]) -> str | None:
        """The secret that it was signed with, if it is one of these."""
        for secret in secrets:
            expected = hmac.digest(secret.encode(), self.signed, "sha256")
            if hmac.compare_digest(expected, self.signature):
                return secret
        return None


def token_of(request: Request) -> Token:
    """The token of a webhook request.

    Raises:
        ValueError: There is none, or it is none.
    """
    text = request.header("Authorization")
    try:
        header, claims, signature = text.split(".")
        claims_text = _decoded(claims).decode()
        return Token(
            header_text=_decoded(header).decode(),
            claims_text=claims_text,
            claims=json.loads(claims_text),
            signed=f"{header}.{claims}".encode(),
            signature=_decoded(signature),
        )
    except ValueError as error:
        raise ValueError(f"Authorization is no token: {text!r} ({error})") from None


def digest(body: bytes) -> str:
    """The claim `sha256` of a body."""
    return b64encode(sha256(body).digest()).decode()


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
