from __future__ import annotations

import random
import sys
import threading
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.times import NS_PER_SECOND
from greenroom.core.url import host_of
from greenroom.core.webhook_metrics import SHIFT, SLICES_MAX, Backlog

SLICE_NS: Final = 1 << SHIFT
START_NS: Final = 1_700_000_000 * NS_PER_SECOND


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5 * SLICE_NS)), max_size=60))
def test_a_backlog_knows_its_size_and_to_a_slice_its_oldest(
    steps: list[tuple[bool, int]],
) -> None:
    backlog, now_ns, held = Backlog(), START_NS, list[int]()
    for is_new, passed_ns in steps:
        now_ns += passed_ns
        if is_new or not held:
            backlog.add(now_ns)
            held.append(now_ns)
        else:
            backlog.remove(held.pop(passed_ns % len(held)))

        oldest_ns = backlog.oldest_ns()
        assert backlog.count == len(held)
        assert (oldest_ns is None) == (not held)
        assert oldest_ns is None or min(held) - SLICE_NS < oldest_ns <= min(held)


def test_a_long_backlog_is_kept_in_bounded_memory() -> None:
    backlog, count = Backlog(), 10 * SLICES_MAX
    times = [START_NS + number * SLICE_NS for number in range(count)]
    for at_ns in times:
        backlog.add(at_ns)
    for at_ns in times[:-1]:
        oldest_ns = backlog.oldest_ns()
        assert oldest_ns is not None
        assert at_ns - 16 * SLICE_NS < oldest_ns <= at_ns
        backlog.remove(at_ns)

    assert backlog.count == 1
    assert len(backlog._slices) <= SLICES_MAX
    backlog.remove(times[-1])
    assert backlog.oldest_ns() is None


def test_those_of_the_start_have_the_age_of_their_oldest_until_the_last_is_delivered() -> None:
    backlog = Backlog()
    backlog.add(START_NS, 3)
    times = [START_NS + seconds * 60 * NS_PER_SECOND for seconds in (0, 1, 2)]
    backlog.add(START_NS + 600 * NS_PER_SECOND)
    random.Random(1).shuffle(times)

    for at_ns in times:
        assert backlog.oldest_ns() == START_NS
        backlog.remove(at_ns)

    assert backlog.oldest_ns() == START_NS + 600 * NS_PER_SECOND


def test_what_is_known_for_sure_corrects_the_count_and_the_age() -> None:
    backlog = Backlog()
    for seconds in (0, 10, 20):
        backlog.add(START_NS + seconds * NS_PER_SECOND)

    backlog.correct(2, START_NS + 10 * NS_PER_SECOND)
    assert (backlog.count, backlog.oldest_ns()) == (2, START_NS + 10 * NS_PER_SECOND)
    backlog.correct(2, None)
    assert (backlog.count, backlog.oldest_ns()) == (2, START_NS + 10 * NS_PER_SECOND)
    backlog.correct(0, None)
    assert (backlog.count, backlog.oldest_ns()) == (0, None)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://user:password@hooks.example:8443/a?token=secret", "hooks.example:8443"),
        ("https://user:12/34@hooks.example", ""),
        ("https://hooks.example:8443/a?to=me@home", "hooks.example:8443"),
        ("nonsense", ""),
        ("http://[::1]:80/x", "[::1]:80"),
        ("https://hooks.example?secret", "hooks.example"),
        ("https://hooks.example#secret", "hooks.example"),
    ],
)
def test_a_host_is_shown_without_anything_secret(url: str, host: str) -> None:
    assert host_of(url) == host


def test_another_thread_may_look_at_any_time() -> None:
    backlog, seen, is_over = Backlog(), list[int | None](), threading.Event()

    def look() -> None:
        while not is_over.is_set():
            seen.append(backlog.oldest_ns())

    looker = threading.Thread(target=look)
    backlog.add(START_NS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        looker.start()
        for number in range(1, 20 * SLICES_MAX):
            backlog.add(START_NS + number * SLICE_NS)
    finally:
        sys.setswitchinterval(interval)
        is_over.set()
        looker.join()

    assert set(seen) == {START_NS}
