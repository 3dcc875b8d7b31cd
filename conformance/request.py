"""Webhook vectors of kind `request`: exactly what arrives at a receiver."""

from __future__ import annotations

import json
from typing import Final

from livekit.protocol.webhook import WebhookEvent

from ..core.times import NS_PER_SECOND
from ..core.webhook import TOKEN_VALID_SECONDS
from .compare import parsed
from .findings import Findings, compared
from .harness import Harness
from .receiver import Receiver, Request
from .tokens import Token, digest, token_of
from .vectors import Vector

LIBRARY_HEADERS: Final = frozenset({"accept-encoding", "user-agent"})  # the HTTP client's own


def check_request(vector: Vector, receiver: Receiver) -> Findings:
    """Method, path, headers, token and body; not what is the HTTP client's own."""
    event = parsed(WebhookEvent, vector.read("event", dict), f"{vector.where} event")
    api_key, secret = vector.read("api_key", str), vector.read("api_secret", str)
    keys = {api_key: secret}
    path = vector.read("path", str)
    with Harness(receiver, paths=[path], api_key=api_key, keys=keys) as harness:
        harness.notify(event)
        harness.settle()
        requests = harness.requests
    if len(requests) != 1:
        return compared({"requests": 1}, {"requests": len(requests)})
    request = requests[0]
    token = token_of(request)
    now_s = request.arrived_ns // NS_PER_SECOND
    values = {"NOW+300": now_s + TOKEN_VALID_SECONDS, "NOW": now_s}
    sha256 = digest(request.body)
    claims = {
        name: sha256 if value == "BASE64(SHA256(BODY))" else values.get(str(value), value)
        for name, value in vector.read("jwt_claims", dict).items()
    }
    headers = vector.read_list("headers", str)
    expected: dict[str, object] = {
        "method": vector.read("method", str),
        "path": path,
        "headers": {name: text for name, text in map(_split, headers) if name},
        "jwt_header": vector.read("jwt_header", dict),
        "jwt_header_text": vector.read("jwt_header_text", str),
        "jwt_claims": claims,
        "jwt_claims_text": _claims_text(vector.read("jwt_claims_text", str), now_s, sha256),
        "signed_with": vector.read("signed_with", str),
        "body": vector.read("body", dict),
    }
    return compared(expected, _seen(request, token, secret, expected["headers"]))


def _seen(request: Request, token: Token, secret: str, headers: object) -> dict[str, object]:
    names = headers if isinstance(headers, dict) else {}
    described = {
        "authorization": "<the token, no Bearer>",
        "content-length": "<length of the body>",
    }
    seen = {name: request.header(name) for name in names}
    if seen.get("content-length") == str(len(request.body)):
        seen["content-length"] = described["content-length"]
    if " " not in seen.get("authorization", " "):
        seen["authorization"] = described["authorization"]
    return {
        "method": request.method,
        "path": request.path,
        "headers": seen,
        "jwt_header": json.loads(token.header_text),
        "jwt_header_text": token.header_text,
        "jwt_claims": token.claims,
        "jwt_claims_text": token.claims_text,
        "signed_with": "api_secret" if token.signer([secret]) else "something else",
        "body": json.loads(request.body),
    }


def _split(header: str) -> tuple[str, str]:
    """Name in small letters and text; no name if it is the HTTP client's own."""
    name, _, text = header.partition(": ")
    return ("" if name.lower() in LIBRARY_HEADERS else name.lower()), text


def _claims_text(template: str, now_s: int, sha256: str) -> str:
    values = {"EXP": str(now_s + TOKEN_VALID_SECONDS), "NBF": str(now_s), '"SHA"': f'"{sha256}"'}
    for name, value in values.items():
        template = template.replace(f":{name}", f":{value}")
    return template
