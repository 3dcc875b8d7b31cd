"""Webhook vectors about answers: what is retried and when, what is success, redirects."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final

from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

from ..config import LIVEKIT_POLICY, DeliveryPolicy
from ..core.times import NS_PER_MS, NS_PER_SECOND
from .differences import NON_2XX, REDIRECTS, RETRY_AFTER, TOKEN
from .findings import Findings, compared
from .harness import Harness
from .receiver import ANSWER_NS, Receiver, Request, Status, in_turn
from .tokens import token_of
from .vectors import Vector, typed

HOOK: Final = "/hook"


def an_event(identifier: str = "EV_1", room: str = "room") -> WebhookEvent:
    """Any event, where a vector does not say which."""
    return WebhookEvent(
        event="room_started", room=Room(name=room), id=identifier, created_at=1_700_000_123
    )


def with_port(text: str, port: int) -> str:
    """A URL, or an error that has one, with the placeholder filled in."""
    return text.replace(":PORT", f":{port}")


def policy_of(vector: Vector) -> DeliveryPolicy:
    """The `livekit` preset, with what the vector sets otherwise."""
    changes = {}
    for name in ("min", "max"):
        if f"retry_wait_{name}_ms" in vector.content:
            waited = vector.read(f"retry_wait_{name}_ms", float)
            changes[f"wait_{name}_seconds"] = waited / 1000
    policy = replace(LIVEKIT_POLICY, **changes)  # type: ignore[arg-type]  # floats, both
    if "max_retries" in vector.content:
        policy = replace(policy, max_attempts=vector.read("max_retries", int) + 1)
    return policy


def check_status(vector: Vector, receiver: Receiver) -> Findings:
    """One status for ever."""
    return _check_statuses(vector, receiver, [vector.read("status", int)])


def check_status_sequence(vector: Vector, receiver: Receiver) -> Findings:
    """One status after the other, the last one for ever."""
    return _check_statuses(vector, receiver, vector.read_list("statuses", int))


def _check_statuses(vector: Vector, receiver: Receiver, statuses: list[int]) -> Findings:
    script = in_turn(*(Status(status) for status in statuses))
    count, success = vector.read("requests", int), vector.read("success", bool)
    with Harness(receiver, script, paths=[HOOK], policy=policy_of(vector)) as harness:
        harness.notify(an_event())
        harness.settle()
        url, requests = harness.url(HOOK), harness.requests
        got = {"requests": len(requests), **outcome(harness)}
    recorded = {
        "requests": count,
        "success": success,
        "send_error": with_port(vector.read("send_error", str), receiver.port),
    }
    slugs = []
    final = statuses[min(count, len(statuses)) - 1]
    if success and not 200 <= final < 300:
        slugs.append(NON_2XX)
        recorded |= {"success": False, "send_error": failure_text(url, count, final)}
    if "same_body_and_token" in vector.content:
        recorded["same_body"] = vector.read("same_body_and_token", bool)
        recorded["signed_at"] = [request.arrived_ns // NS_PER_SECOND for request in requests]
        got["same_body"] = len({request.body for request in requests}) == 1
        got["signed_at"] = [token_of(request).not_before for request in requests]
        if count > 1:
            slugs.append(TOKEN)
    return compared(recorded, got, *slugs)


def check_redirect(vector: Vector, receiver: Receiver) -> Findings:
    """The original follows a redirect, mostly by a GET; greenroom does not."""
    status = vector.read("status", int)
    recorded = vector.read_list("requests", dict)
    paths = [
        typed(request.get("path"), str, f"{vector.where} requests[{index}].path")
        for index, request in enumerate(recorded)
    ]
    location = paths[1] if len(paths) > 1 else "/elsewhere"
    script = in_turn(Status(status, (("Location", location),)), Status())
    with Harness(receiver, script, paths=paths[:1]) as harness:
        harness.notify(an_event())
        harness.settle()
        url = harness.url(paths[0])
        got = {"requests": [_sent(request) for request in harness.requests], **outcome(harness)}
    failed = {"success": False, "send_error": failure_text(url, 1, status)}
    return compared({"requests": recorded[:1], **failed}, got, REDIRECTS)


def check_redirect_loop(vector: Vector, receiver: Receiver) -> Findings:
    """The original goes round until it is tired; greenroom does not follow at all."""
    status, path = vector.read("status", int), "/loop"
    vector.read("requests", int)
    with Harness(
        receiver, in_turn(Status(status, (("Location", path),))), paths=[path]
    ) as harness:
        harness.notify(an_event())
        harness.settle()
        url = harness.url(path)
        got = {"requests": len(harness.requests), **outcome(harness)}
    failed = {"success": vector.read("success", bool), "send_error": failure_text(url, 1, status)}
    return compared({"requests": 1, **failed}, got, REDIRECTS)


def check_retry_waits(vector: Vector, receiver: Receiver) -> Findings:
    """How long after each answer the next request comes."""
    with Harness(
        receiver, in_turn(Status(500)), paths=[HOOK], policy=policy_of(vector)
    ) as harness:
        harness.notify(an_event())
        harness.settle()
        requests = harness.requests
    return compared(
        {
            "requests": vector.read("requests", int),
            "waits_ms": vector.read_list("waits_ms", float),
        },
        {"requests": len(requests), "waits_ms": _waits_ms(requests)},
    )


def check_retry_after(vector: Vector, receiver: Receiver) -> Findings:
    """A receiver's wish for the wait, which greenroom fulfils up to a limit."""
    wish = vector.read("retry_after", str)
    policy = policy_of(vector)
    headers = (("Retry-After", wish),) if wish else ()
    script = in_turn(Status(vector.read("status", int), headers), Status())
    with Harness(receiver, script, paths=[HOOK], policy=policy) as harness:
        harness.notify(an_event())
        harness.settle()
        requests = harness.requests
    wait_ms, cap_ms = vector.read("wait_ms", float), policy.retry_after_max_seconds * 1000
    slugs = [RETRY_AFTER] if wait_ms > cap_ms else []
    expected = {"requests": 2, "waits_ms": [min(wait_ms, cap_ms)]}
    got = {"requests": len(requests), "waits_ms": _waits_ms(requests)}
    return compared(expected, got, *slugs)


def outcome(harness: Harness) -> dict[str, object]:
    """How the one webhook ended, by its record."""
    infos = harness.kept.infos
    if len(infos) != 1:
        return {"records": len(infos)}
    success = not infos[0].send_error and not infos[0].is_dropped
    return {"success": success, "send_error": infos[0].send_error}


def failure_text(url: str, attempts: int, status: int) -> str:
    """How greenroom words a status that ends a delivery."""
    gave_up = f"POST {url} giving up after {attempts} attempt(s)"
    return f"{gave_up}: unexpected HTTP status {status}"


def _waits_ms(requests: list[Request]) -> list[float]:
    """From each answer to the next request."""
    return [
        (later.arrived_ns - earlier.arrived_ns - ANSWER_NS) / NS_PER_MS
        for earlier, later in pairwise(requests)
    ]


def _sent(request: Request) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.path,
        "body_bytes_sent": bool(request.body),
        "authorization_sent": bool(request.header("Authorization")),
        "content_type": request.header("Content-Type"),
    }
