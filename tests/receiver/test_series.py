from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenroom.receiver.series import MISSING_RANGES_MAX, Series, advance, withdraw


def test_a_series_with_very_many_gaps_no_longer_waits_for_the_oldest() -> None:
    series = advance(None, 1, 0).series

    for sequence in range(3, 3 + 4 * MISSING_RANGES_MAX, 2):
        series = advance(series, sequence, 0).series

    assert len(series.missing) == MISSING_RANGES_MAX
    assert series.missing[-1] == range(series.last - 1, series.last)


def test_a_number_that_is_taken_back_is_missing_again_unless_it_is_the_last() -> None:
    series = Series(last=9, began_at=0, newest_at=5, missing=(range(2, 4), range(7, 8)))

    assert withdraw(series, 9, 5) == Series(8, 0, 5, series.missing)
    assert withdraw(series, 5, 5).missing == (range(2, 4), range(5, 6), range(7, 8))
    assert withdraw(series, 3, 5) == series  # it was missing
    assert withdraw(series, 10, 5) == series  # it was not there


def test_of_an_earlier_series_nothing_is_taken_back() -> None:
    series = Series(last=9, began_at=3, newest_at=5)

    assert withdraw(series, 9, 2) == series


def test_a_sender_that_starts_again_within_the_second_is_recognised_by_its_first_number() -> None:
    series = advance(advance(None, 1, 7).series, 2, 7).series

    step = advance(series, 1, 7)

    assert step.starts_series
    assert not advance(series, 1, 7, is_duplicate=True).starts_series
    assert not advance(step.series, 2, 7).gap


@given(numbers=st.lists(st.integers(1, 300), max_size=300))
def test_numbers_in_any_order_leave_missing_what_was_not_there(numbers: list[int]) -> None:
    series: Series | None = None
    told: list[int] = []

    for number in numbers:
        step = advance(series, number, 0, is_duplicate=True)
        series = step.series
        told.extend(step.gap or ())

    if series is not None and len(series.missing) < MISSING_RANGES_MAX:
        assert [n for numbers in series.missing for n in numbers] == [
            n for n in range(1, max(numbers)) if n not in numbers
        ]
        assert len(told) == len(set(told))
