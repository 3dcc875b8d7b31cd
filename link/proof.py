"""How both sides prove that they know the secret, without sending it."""

from __future__ import annotations

import hmac
from typing import Final, Literal

from ..runtime.secure.secret import Secret

Side = Literal["client", "server"]

PURPOSE: Final = b"greenroom link 1"  # the key is for this protocol alone


def digest(
    secret: Secret, side: Side, server_nonce: bytes, client_nonce: bytes, client_id: bytes
) -> bytes:
    """HMAC-SHA256 over which side it is of, both nonces and the client's id; 32 bytes."""
    message = side.encode() + b"\0" + server_nonce + client_nonce + client_id
    return hmac.digest(secret.derive(PURPOSE), message, "sha256")


def is_proven(expected: bytes, given: bytes) -> bool:
    """Whether both are the same, in a time that does not depend on where they differ."""
    return hmac.compare_digest(expected, given)
