"""What a store says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What a store did so far.

    Args:
        waiting: Jobs that wait now.
        written: Jobs that are committed.
        groups: Commits they took.
        lost: Jobs that were not written: no room, after the end, or the disk's fault.
        failed: Whether the last write failed.
        last_error: What the last failure said, also when it is over; empty: there was none.
    """

    waiting: int
    written: int
    groups: int
    lost: int
    failed: bool = False
    last_error: str = ""
