from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.times import timestamp, to_ns


@given(st.integers(-(2**62), 2**62))
def test_a_timestamp_keeps_every_nanosecond(at_ns: int) -> None:
    stamp = timestamp(at_ns)

    assert stamp.seconds * 1_000_000_000 + stamp.nanos == at_ns
    assert 0 <= stamp.nanos < 1_000_000_000


def test_a_time_before_1970_has_its_nanoseconds_counted_forward() -> None:
    stamp = timestamp(-1)

    assert (stamp.seconds, stamp.nanos) == (-1, 999_999_999)


@pytest.mark.parametrize(
    ("seconds", "ns"),
    [(0, 0), (180.0, 180_000_000_000), (0.1, 100_000_000), (1e-9, 1), (4e-10, 0)],
)
def test_seconds_are_rounded_to_whole_nanoseconds(seconds: float, ns: int) -> None:
    assert to_ns(seconds) == ns
