"""Gate: whether an endpoint may be sent another webhook now.

It holds back what the endpoint could not take: too many at once, too many a second, or anything
while its circuit breaker is open.

    breaker    passes      failed attempt                   answered attempt
    ─────────  ──────────  ───────────────────────────────  ─────────────────────────
    CLOSED     all         `breaker_failures` in a row:     count from 0 again
                           OPEN for the shortest wait
    OPEN       none        (of those still in flight) —     CLOSED
    HALF_OPEN  the probe   OPEN, for twice as long          CLOSED

OPEN becomes HALF_OPEN when its wait is over. Any answer that is not worth another attempt counts
as answered: a receiver that refuses one event with 400 is up.

Source: M. Nygard, Release It!, 2nd edition, section 5.2 (circuit breaker); the token bucket of
ITU-T I.371.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..config import DeliveryPolicy
from .times import NS_PER_SECOND, to_ns

DOUBLINGS_MAX: Final = 30
ROUNDING: Final = 1e-6  # a wake-up on time finds its token


class Breaker(Enum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Gate:
    """Of one endpoint; not thread-safe, as an actor's state need not be.

    Args:
        policy: Its `breaker_*` and `max_in_flight`.
        rate_per_second: Attempts a second, on average; None: as many as there are.
    """

    def __init__(self, policy: DeliveryPolicy, rate_per_second: float | None = None) -> None:
        self.breaker = Breaker.CLOSED
        self.in_flight = 0
        self._policy = policy
        self._rate = rate_per_second
        self._failures = 0  # in a row
        self._openings = 0  # since it was closed last
        self._opens_until_ns = 0
        self._tokens = self._burst
        self._tokens_at_ns = 0

    def __repr__(self) -> str:
        return f"Gate({self.breaker.value}, {self.in_flight} in flight)"

    def change(self, policy: DeliveryPolicy, rate_per_second: float | None) -> None:
        """Go on by other rules."""
        self._policy, self._rate = policy, rate_per_second
        self._tokens = min(self._tokens, self._burst) if rate_per_second else self._burst

    def try_pass(self, now_ns: int) -> bool:
        """Whether one more attempt may start now (Unix ns); if so, it is counted as started."""
        if self.in_flight >= self._policy.max_in_flight:
            return False
        if self.breaker is not Breaker.CLOSED and not self._is_probe_due(now_ns):
            return False
        if self._rate is not None and not self._take_token(self._rate, now_ns):
            return False
        if self.breaker is Breaker.OPEN:
            self.breaker = Breaker.HALF_OPEN
        self.in_flight += 1
        return True

    def answered(self) -> bool:
        """An attempt ended, and the endpoint is up.

        Returns:
            Whether that has closed the breaker.
        """
        self.in_flight -= 1
        self._failures = self._openings = 0
        was_closed, self.breaker = self.breaker is Breaker.CLOSED, Breaker.CLOSED
        return not was_closed

    def failed(self, now_ns: int, fraction: float) -> None:
        """An attempt ended, and is worth another one.

        Args:
            now_ns: Unix ns.
            fraction: In [0, 1), how much of the policy's jitter the breaker's wait is given.
        """
        self.in_flight -= 1
        self._failures += 1
        limit = self._policy.breaker_failures
        if limit is None or self.breaker is Breaker.OPEN:
            return
        if self.breaker is Breaker.HALF_OPEN or self._failures >= limit:
            shortest, longest = (
                self._policy.breaker_wait_min_seconds,
                self._policy.breaker_wait_max_seconds,
            )
            seconds = min(shortest * 2 ** min(self._openings, DOUBLINGS_MAX), longest)
            self.breaker = Breaker.OPEN
            self._opens_until_ns = now_ns + to_ns(seconds * (1 + self._policy.jitter * fraction))
            self._openings += 1

    def seconds_until_due(self, now_ns: int) -> float | None:
        """When to try again what could not pass; None: when an attempt has ended."""
        if self.in_flight >= self._policy.max_in_flight or self.breaker is Breaker.HALF_OPEN:
            return None
        until_ns = self._opens_until_ns if self.breaker is Breaker.OPEN else now_ns
        seconds = max(until_ns - now_ns, 0) / NS_PER_SECOND
        if self._rate is not None:
            self._refill(self._rate, now_ns)
            seconds = max(seconds, (1 - self._tokens) / self._rate)
        return seconds

    @property
    def _burst(self) -> float:
        return 1.0 if self._rate is None else max(self._rate, 1.0)

    def _is_probe_due(self, now_ns: int) -> bool:
        """One attempt only finds out whether the endpoint is up again."""
        return self.breaker is Breaker.OPEN and now_ns >= self._opens_until_ns

    def _take_token(self, rate: float, now_ns: int) -> bool:
        self._refill(rate, now_ns)
        if self._tokens < 1 - ROUNDING:
            return False
        self._tokens -= 1
        return True

    def _refill(self, rate: float, now_ns: int) -> None:
        passed_ns = max(now_ns - self._tokens_at_ns, 0)
        self._tokens = min(self._tokens + rate * passed_ns / NS_PER_SECOND, self._burst)
        self._tokens_at_ns = max(now_ns, self._tokens_at_ns)
