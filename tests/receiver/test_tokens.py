from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any, Final

import jwt
import pytest

from greenroom.receiver import MalformedHeaderError, Receiver, SignatureError, UnknownKeyError

SECRET: Final = "a-secret-a-secret-a-secret-0123456789"
TOKEN: Final = "Authorization"
Headers = dict[str, str]
BODY: Final = b'{"id":"EV_1"}'
CLAIMS: Final[dict[str, Any]] = {
    "iss": "APIkey",
    "nbf": 1_700_000_000,
    "exp": 1_700_000_300,
    "sha256": b64encode(sha256(BODY).digest()).decode(),
}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, None),
        ({"nbf": None}, None),
        ({"exp": None}, MalformedHeaderError),
        ({"exp": 1e400}, MalformedHeaderError),
        ({"sha256": None}, MalformedHeaderError),
        ({"sha256": ["x"]}, MalformedHeaderError),
        ({"sha256": "\ud800"}, MalformedHeaderError),
        ({"iss": None}, UnknownKeyError),
        ({"iss": ["APIkey"]}, SignatureError),
    ],
    ids=str,
)
def test_a_token_needs_the_claims_of_livekits(
    changes: dict[str, Any], error: type[SignatureError] | None
) -> None:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    token = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, algorithm="HS256")
    receiver = Receiver({"APIkey": SECRET}, now=lambda: 1_700_000_000.0)

    if error is None:
        assert receiver.receive({TOKEN: token}, BODY).id == "EV_1"
    else:
        with pytest.raises(error):
            receiver.receive({TOKEN: token}, BODY)


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_a_token_of_another_algorithm_is_refused(algorithm: str) -> None:
    token = jwt.encode(CLAIMS, "" if algorithm == "none" else SECRET * 2, algorithm=algorithm)
    receiver = Receiver({"APIkey": SECRET}, now=lambda: 1_700_000_000.0)

    with pytest.raises(MalformedHeaderError):
        receiver.receive({TOKEN: token}, BODY)
