"""What an attempt's outcome means, and how long to wait before the next.

Expected outcomes are values here; the policy is data (`config.DeliveryPolicy`).
Source: go-retryablehttp 0.7.7 DefaultBackoff, DefaultRetryPolicy; departures are named.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from ..config import DeliveryPolicy, hide_password
from ..messages.outputs import AttemptEnded
from .delivery import EXHAUSTED, REJECTED, UNSENDABLE

DOUBLINGS_MAX: Final = 60  # keeps 2**n a float however many attempts a policy allows
DIGITS_MAX: Final = 18  # Go's ParseInt refuses what does not fit 64 bits


class Verdict(Enum):
    """What to do after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GIVE_UP = "give up"


def classify(policy: DeliveryPolicy, status: int | None, *, retryable: bool = True) -> Verdict:
    """Judge one attempt.

    Args:
        policy: Which answers are worth another attempt.
        status: The answer's status; None: there was none.
        retryable: `TransportError.retryable`, when there was no answer.

    Returns:
        DELIVERED for 2xx only: the original takes any answer that it does not retry for a
        success, 404 and a followed redirect too.
    """
    if status is None:
        return Verdict.RETRY if retryable else Verdict.GIVE_UP
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status in policy.retry_client_errors:
        return Verdict.RETRY
    if status >= 500 and status not in policy.no_retry_server_errors:
        return Verdict.RETRY
    return Verdict.GIVE_UP


def wait_seconds(
    policy: DeliveryPolicy,
    attempt: int,
    *,
    now_s: float,
    status: int | None = None,
    retry_after: str = "",
    fraction: float = 0.0,
) -> float:
    """How long to wait after a failed attempt.

    Args:
        policy: Its `wait_min_seconds` doubles with each attempt up to `wait_max_seconds`.
        attempt: Number of the attempt that failed, from 1.
        now_s: Unix time, for a Retry-After that is a date.
        status: The answer's status, if there was one.
        retry_after: The answer's Retry-After, honoured on `retry_after_statuses`.
        fraction: In [0, 1): how much of the policy's jitter is added.
    """
    wait: float | None = None
    if status in policy.retry_after_statuses:
        wait = parse_retry_after(retry_after, now_s)
    if wait is None:
        doubled = policy.wait_min_seconds * 2 ** min(attempt - 1, DOUBLINGS_MAX)
        wait = min(doubled, policy.wait_max_seconds)
    else:
        wait = min(wait, policy.retry_after_max_seconds)
    return wait * (1 + policy.jitter * fraction)


def parse_retry_after(text: str, now_s: float) -> float | None:
    """Seconds to wait, from whole seconds or an HTTP date (a past one: 0); None: malformed."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= DIGITS_MAX else None
    try:
        due = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if due.tzinfo is None:  # RFC 5322's -0000: a time in UTC
        due = due.replace(tzinfo=UTC)
    return max(due.timestamp() - now_s, 0.0)


def send_error(url: str, attempts: int, last_error: str = "", *, sent: bool = True) -> str:
    """The text for `WebhookInfo.send_error`, in go-retryablehttp's words.

    Args:
        url: The endpoint; its password is shown as xxxxx.
        attempts: How many were made.
        last_error: Why the last one failed; empty when it was answered.
        sent: False when not even one could be made: then the reason stands alone.
    """
    if not sent:
        return last_error
    giving_up = f"POST {hide_password(url)} giving up after {attempts} attempt(s)"
    return f"{giving_up}: {last_error}" if last_error else giving_up


def unexpected_status(status: int) -> str:
    """The error of an answer that ends a delivery at once; go-retryablehttp has no such error."""
    return f"unexpected HTTP status {status}"


def failure_text(url: str, ended: AttemptEnded, verdict: Verdict) -> str:
    """Why a delivery failed, after its last attempt.

    A retried status alone leaves no reason, as in the original; one that ends it is named.
    """
    reason = ended.error
    if ended.status is not None:
        reason = unexpected_status(ended.status) if verdict is Verdict.GIVE_UP else ""
    return send_error(url, ended.attempt, reason, sent=ended.sent)


def cause_of(verdict: Verdict, status: int | None) -> str:
    """Why a delivery failed, as a word: of a small set, for a metric's label."""
    if verdict is Verdict.RETRY:
        return EXHAUSTED
    return UNSENDABLE if status is None else REJECTED
