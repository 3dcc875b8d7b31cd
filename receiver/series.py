"""What has arrived of one series of sequence numbers, and what one more number says about it.

A series belongs to one endpoint and key; its numbers are 1, 2, 3 … without a gap. A sender that
has not used a key for long begins again at 1.

    in turn       last + 1
    ahead         beyond: what lies between is missing, which is reported now and never again
    late          one of the missing ones: a replay, or what another process was slower with
    from 1 again  a number that was passed, of an event newer than all before: a new series
    of no effect  a repetition, or a straggler of the series before this one
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

MISSING_RANGES_MAX: Final = 100  # of a series; then the oldest is no longer waited for


@dataclass(frozen=True, slots=True)
class Series:
    """What is known of a series.

    Args:
        last: The highest number that arrived.
        began_at: An event created before (Unix seconds) belongs to an earlier series; 0: there
            is none that is known.
        newest_at: Creation of the newest event.
        missing: Numbers below `last` that did not arrive, ascending.
    """

    last: int
    began_at: int
    newest_at: int
    missing: tuple[range, ...] = ()

    def is_missing(self, sequence: int) -> bool:
        """Whether this number is waited for."""
        return any(sequence in numbers for numbers in self.missing)


@dataclass(frozen=True, slots=True)
class Step:
    """What one number did.

    Args:
        series: As it is now.
        gap: The numbers that are missing since this one.
        fills_gap: It was one of the missing ones.
        starts_series: Nothing of its series was known before.
    """

    series: Series
    gap: range | None = None
    fills_gap: bool = False
    starts_series: bool = False


def advance(
    series: Series | None, sequence: int, created_at: int, *, is_duplicate: bool = False
) -> Step:
    """Take one number into account.

    Args:
        series: What is known so far; None: nothing.
        sequence: From 1.
        created_at: Its event's creation (Unix seconds). Within a series it does not decrease.
        is_duplicate: The event was here before, so it begins nothing.
    """
    if series is None:
        return _start(sequence, 0, created_at)
    if created_at < series.began_at:
        return Step(series)
    newest_at = max(series.newest_at, created_at)
    if sequence == series.last + 1:
        return Step(replace(series, last=sequence, newest_at=newest_at))
    if sequence > series.last:
        gap = range(series.last + 1, sequence)
        missing = (*series.missing, gap)[-MISSING_RANGES_MAX:]
        return Step(Series(sequence, series.began_at, newest_at, missing), gap)
    is_missing = series.is_missing(sequence)
    # a first one within the second of the newest one: a sender that was restarted
    is_first = sequence == 1 and created_at == series.newest_at and not is_missing
    if not is_duplicate and (created_at > series.newest_at or is_first):
        # when its first number is not known, the earliest time it may have begun at
        began_at = created_at if sequence == 1 else series.newest_at + 1
        return _start(sequence, began_at, created_at)
    if is_missing:
        return Step(replace(series, missing=_without(series.missing, sequence)), fills_gap=True)
    return Step(series)


def withdraw(series: Series, sequence: int, created_at: int) -> Series:
    """The series as if `sequence` had not arrived, so that it may come again.

    A gap before it is not told a second time.

    Args:
        series: As it is now, maybe some numbers later.
        sequence: A number that was taken into account.
        created_at: Its event's creation (Unix seconds).
    """
    if created_at < series.began_at or sequence > series.last or series.is_missing(sequence):
        return series
    if sequence == series.last:
        return replace(series, last=sequence - 1)
    missing = sorted([*series.missing, range(sequence, sequence + 1)], key=lambda one: one.start)
    return replace(series, missing=tuple(missing[-MISSING_RANGES_MAX:]))


def _start(sequence: int, began_at: int, created_at: int) -> Step:
    gap = range(1, sequence) if sequence > 1 else None
    missing = (gap,) if gap else ()
    return Step(Series(sequence, began_at, created_at, missing), gap, starts_series=True)


def _without(missing: tuple[range, ...], sequence: int) -> tuple[range, ...]:
    left: list[range] = []
    for numbers in missing:
        if sequence in numbers:
            parts = (range(numbers.start, sequence), range(sequence + 1, numbers.stop))
            left.extend(part for part in parts if part)
        else:
            left.append(numbers)
    return tuple(left[-MISSING_RANGES_MAX:])
