from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.config import DEFAULT_POLICY, LIVEKIT_POLICY, DeliveryPolicy
from greenroom.core.retry import (
    Verdict,
    classify,
    parse_retry_after,
    send_error,
    unexpected_status,
    wait_seconds,
)

VECTORS: Final = Path(__file__).resolve().parents[1] / "data" / "webhook.jsonl.gz"
NOW_S: Final = 1_700_000_000.0
DAY_SECONDS: Final = 86_400


def vectors(kind: str) -> list[Any]:
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        found = [line for line in map(json.loads, lines) if line["kind"] == kind]
    return [pytest.param(line, id=f"{kind}-{i}") for i, line in enumerate(found)]


def policy_of(vector: dict[str, Any]) -> DeliveryPolicy:
    return replace(
        LIVEKIT_POLICY,
        wait_min_seconds=vector["retry_wait_min_ms"] / 1000,
        wait_max_seconds=vector["retry_wait_max_ms"] / 1000,
    )


# ── verdicts ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, LIVEKIT_POLICY], ids=["default", "livekit"])
def test_only_2xx_is_a_success(policy: DeliveryPolicy) -> None:
    delivered = [
        status for status in range(100, 1000) if classify(policy, status) is Verdict.DELIVERED
    ]

    assert delivered == list(range(200, 300))


@pytest.mark.parametrize("vector", vectors("status"))
def test_what_the_original_retries_is_retried_and_nothing_else(vector: dict[str, Any]) -> None:
    is_retried_there = vector["requests"] > 1

    verdict = classify(LIVEKIT_POLICY, vector["status"])

    assert (verdict is Verdict.RETRY) is is_retried_there


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_failure_that_no_retry_mends(status: int) -> None:
    assert classify(DEFAULT_POLICY, status) is Verdict.GIVE_UP


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_by_default_transient_answers_are_retried(status: int) -> None:
    assert classify(DEFAULT_POLICY, status) is Verdict.RETRY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 451])
def test_a_client_error_is_given_up(status: int) -> None:
    assert classify(DEFAULT_POLICY, status) is Verdict.GIVE_UP


def test_without_an_answer_the_error_decides() -> None:
    assert classify(DEFAULT_POLICY, None, retryable=True) is Verdict.RETRY
    assert classify(DEFAULT_POLICY, None, retryable=False) is Verdict.GIVE_UP


# ── waits ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("vector", vectors("retry_waits"))
def test_waits_double_up_to_the_maximum(vector: dict[str, Any]) -> None:
    policy = policy_of(vector)

    waits = [
        wait_seconds(policy, attempt, now_s=NOW_S, status=500)
        for attempt in range(1, vector["max_retries"] + 1)
    ]

    assert waits == pytest.approx([ms / 1000 for ms in vector["waits_ms"]])


@pytest.mark.parametrize("vector", vectors("default_waits"))
def test_the_livekit_policy_waits_as_the_original(vector: dict[str, Any]) -> None:
    expected = vector["waits_s_by_attempt"]

    waits = [wait_seconds(LIVEKIT_POLICY, n, now_s=NOW_S) for n in range(1, len(expected) + 1)]

    assert waits == expected
    assert LIVEKIT_POLICY.max_attempts == vector["used"] + 1


@pytest.mark.parametrize("vector", vectors("retry_after"))
def test_retry_after_counts_as_in_the_original(vector: dict[str, Any]) -> None:
    wait = wait_seconds(
        policy_of(vector),
        1,
        now_s=NOW_S,
        status=vector["status"],
        retry_after=vector["retry_after"],
    )

    assert wait == pytest.approx(vector["wait_ms"] / 1000)


@pytest.mark.parametrize("vector", vectors("defaults"))
def test_the_livekit_policy_has_the_originals_figures(vector: dict[str, Any]) -> None:
    assert LIVEKIT_POLICY.wait_min_seconds == vector["retry_wait_min_s"]
    assert LIVEKIT_POLICY.wait_max_seconds == vector["retry_wait_max_s"]
    assert LIVEKIT_POLICY.max_attempts == vector["max_retries"] + 1
    assert LIVEKIT_POLICY.max_age_seconds == vector["max_age_s"]
    assert LIVEKIT_POLICY.max_depth == vector["max_depth"]
    assert LIVEKIT_POLICY.idle_seconds == vector["queue_idle_timeout_s"]


def test_the_default_policy_goes_on_for_three_days() -> None:
    waits = [
        wait_seconds(DEFAULT_POLICY, attempt, now_s=NOW_S)
        for attempt in range(1, DEFAULT_POLICY.max_attempts)
    ]

    assert sum(waits) / DAY_SECONDS > 3
    assert waits[:4] == [5, 10, 20, 40]


def test_a_long_retry_after_is_capped_where_the_original_waits_for_ever() -> None:
    wait = wait_seconds(DEFAULT_POLICY, 1, now_s=NOW_S, status=503, retry_after="86400")

    assert wait == DEFAULT_POLICY.retry_after_max_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Tue, 14 Nov 2023 22:13:21 GMT", 1.0),
        ("Tue, 14 Nov 2023 22:13:21 -0000", 1.0),
        ("Tue, 14 Nov 2023 22:13:19 GMT", 0.0),
        ("Tue, 14 Nov 2023 23:13:30 +0100", 10.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("1_0", None),
        ("٣", None),
        ("soon", None),
        ("9" * 5000, None),
        ("Tue, 14 Nov 99999 22:13:21 GMT", None),
        ("Tue, 31 Feb 2023 22:13:21 GMT", None),
    ],
)
def test_retry_after_is_whole_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW_S) == seconds


@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9 ,:+-]{0,40}"))
def test_whatever_a_receiver_says_never_raises_and_never_makes_the_wait_negative(
    text: str,
) -> None:
    seconds = parse_retry_after(text, NOW_S)

    assert seconds is None or seconds >= 0


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_lengthens_a_wait_by_its_fraction_at_most(attempt: int, fraction: float) -> None:
    plain = wait_seconds(DEFAULT_POLICY, attempt, now_s=NOW_S)

    jittered = wait_seconds(DEFAULT_POLICY, attempt, now_s=NOW_S, fraction=fraction)

    assert plain <= jittered <= plain * (1 + DEFAULT_POLICY.jitter)
    assert plain <= DEFAULT_POLICY.wait_max_seconds


# ── texts ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("vector", [*vectors("status"), *vectors("status_sequence")])
def test_an_exhausted_delivery_says_how_often_it_was_tried(vector: dict[str, Any]) -> None:
    if not vector["success"]:
        url = "http://127.0.0.1:PORT/hook"

        assert send_error(url, vector["requests"]) == vector["send_error"]


@pytest.mark.parametrize("vector", vectors("processed"))
def test_the_error_of_a_failure_is_the_originals(vector: dict[str, Any]) -> None:
    expected = vector["expect"].get("send_error", "")
    if not expected:
        return
    is_sent = expected.startswith("POST ")
    attempts = 1 if vector["requests"] == 0 else vector["requests"]
    if "refused" in expected:
        attempts = vector["max_retries"] + 1  # no request came through, but each was an attempt
    reason = expected.partition("attempt(s): ")[2] if is_sent else expected

    text = send_error(vector["url"], attempts, reason, sent=is_sent)

    assert text == expected


def test_an_answer_that_ends_a_delivery_is_named() -> None:
    text = send_error("http://h/x", 1, unexpected_status(404))

    assert text == "POST http://h/x giving up after 1 attempt(s): unexpected HTTP status 404"
