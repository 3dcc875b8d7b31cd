"""Time: real, and moved by hand."""

from __future__ import annotations

import time

import pytest

from greenroom.core.ports import Clock
from greenroom.runtime.clock import SystemClock, VirtualClock


def test_the_system_clock_tells_the_machines_time() -> None:
    clock: Clock = SystemClock()

    before, now, after = time.time_ns(), clock.now_ns(), time.time_ns()

    assert before <= now <= after
    assert clock.monotonic_ns() <= time.monotonic_ns()


def test_a_virtual_clock_stands_still_until_it_is_set() -> None:
    clock = VirtualClock(start_ns=7)
    as_port: Clock = clock

    assert (as_port.now_ns(), as_port.monotonic_ns()) == (7, 7)

    clock.set_ns(9)

    assert (as_port.now_ns(), as_port.monotonic_ns()) == (9, 9)


def test_a_virtual_clock_never_goes_back() -> None:
    clock = VirtualClock(start_ns=7)

    with pytest.raises(ValueError, match="only goes forward"):
        clock.set_ns(6)

    assert clock.now_ns() == 7
