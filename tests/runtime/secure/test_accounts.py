"""What is refused is counted, said once a minute, and a nonce is forgotten when it may be."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.runtime.secure.nonces import NonceCache
from greenroom.runtime.secure.refusals import LOG_EVERY_SECONDS, Reason, Refusals


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_refusals_are_counted_by_reason() -> None:
    refusals = Refusals()

    for reason in (Reason.STALE, Reason.REPLAYED, Reason.STALE):
        refusals.count(reason)

    assert refusals.counts() == {"stale": 2, "replayed": 1}


def test_a_line_is_logged_at_once_and_then_at_most_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    refusals = Refusals(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            refusals.count(Reason.STALE)
            refusals.report()
        clock.now += LOG_EVERY_SECONDS
        refusals.report()
        clock.now += LOG_EVERY_SECONDS
        refusals.report()

    assert [record.getMessage() for record in caplog.records] == [
        "refused frames: stale 1",
        "refused frames: stale 9",
    ]


@given(st.lists(st.floats(0, 200, allow_nan=False), max_size=30))
def test_a_nonce_is_remembered_for_a_period_whatever_else_comes(waits: list[float]) -> None:
    clock = Clock()
    cache = NonceCache(120, clock)
    added: dict[bytes, float] = {}

    for number, wait in enumerate(waits):
        clock.now += wait
        nonce = number.to_bytes(16)
        assert cache.add(nonce)
        added[nonce] = clock.now
        for earlier, at in added.items():
            if clock.now - at < 120:
                assert not cache.add(earlier)


def test_a_nonce_is_forgotten_after_two_periods() -> None:
    clock = Clock()
    cache = NonceCache(120, clock)
    for number in range(1_000):
        clock.now += 1
        cache.add(number.to_bytes(16))

    assert len(cache) <= 240
