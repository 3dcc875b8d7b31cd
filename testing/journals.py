"""Data directories with a journal, as a process that was killed leaves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from ..adapters.database import make_directory, open_owned, transaction
from ..adapters.journal_rows import insert
from ..core.times import NS_PER_SECOND
from ..messages.control import Input
from ..messages.stats import FlushTick

Row: TypeAlias = tuple[int, Sequence[Input]]  # when they came (Unix ns), and what


def write_journal(directory: Path, rows: Iterable[Row], first: int = 1) -> None:
    """Add rows to the journal of a directory, which is made if it is not there.

    Args:
        directory: The data directory.
        rows: In their order.
        first: The position of the first input.
    """
    make_directory(directory)
    with closing(open_owned(directory)) as connection, transaction(connection):
        for at_ns, inputs in rows:
            insert(connection, first, at_ns, inputs)
            first += len(inputs)


def with_ticks(rows: Iterable[Row], start_ns: int, interval_seconds: int = 30) -> Iterator[Row]:
    """The rows, and among them the ticks of a timer that began at `start_ns` (Unix ns)."""
    number = 1
    for at_ns, inputs in rows:
        while at_ns >= (tick_ns := start_ns + number * interval_seconds * NS_PER_SECOND):
            yield tick_ns, (FlushTick(number),)
            number += 1
        yield at_ns, inputs
