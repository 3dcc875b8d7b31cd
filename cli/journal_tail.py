"""`greenroom journal tail`: the last inputs, and those that come."""

from __future__ import annotations

import heapq
import json
import os
import select as polling
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Console

from ..adapters.journal_rows import DamagedRow, last_stamp, select
from ..messages.control import Input
from .data_dir import DataDir, opened, shard_dirs
from .journal_text import COLUMNS, WIDTHS, json_line, table_row
from .output import standard_output
from .webhook_text import add_row, new_table

LOOK_SECONDS: Final = 0.2
COUNT: Final = 20
COUNT_MAX: Final = 100_000
WIDE: Final = 120  # characters; a narrower terminal has no room for even columns
UNFOLDED: Final = 200
NUMBERS: Final = ("position",)


@dataclass(frozen=True, slots=True)
class Line:
    """One input, or one damaged row."""

    at_ns: int
    shard: str
    position: int
    found: Input | DamagedRow


class Tail:
    """The journal of one shard, from a position on.

    Args:
        shard: Its name; empty when there is one only.
        connection: Beside the process that writes it.
    """

    def __init__(self, shard: str, connection: sqlite3.Connection) -> None:
        self._shard = shard
        self._connection = connection
        self._version = -1
        self._seen = 0  # the last position that was given

    def last(self, count: int) -> list[Line]:
        """The last `count` inputs."""
        self._version = self._data_version()
        end, _ = last_stamp(self._connection)
        back = count
        lines = self._after(max(end - back, 0), end)
        while len(lines) < count and back < end:  # not every position has an input
            back *= 4
            lines = self._after(max(end - back, 0), end)
        self._seen = end
        return lines[len(lines) - count :] if len(lines) > count else lines

    def new(self) -> list[Line]:
        """What came since the last look."""
        version = self._data_version()
        if version == self._version:
            return []
        self._version = version
        end, _ = last_stamp(self._connection)
        if end < self._seen:  # its rows are deleted, or it began anew
            self._seen = 0
        lines = self._after(self._seen, end)
        self._seen = max(end, self._seen)
        return lines

    def _data_version(self) -> int:
        """Changes with every commit of another connection; reads no page."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _after(self, after: int, end: int) -> list[Line]:
        lines = []
        last_ns = 0
        for row in select(self._connection, after):
            if isinstance(row, DamagedRow):
                if row.first > after:
                    lines.append(Line(last_ns, self._shard, row.first, row))
                continue
            last_ns = row.at_ns
            for position, one in enumerate(row.inputs, row.first):
                if one is not None and after < position <= end:
                    lines.append(Line(row.at_ns, self._shard, position, one))
        return lines


def tail(
    *,
    data_dir: DataDir,
    count: Annotated[
        int,
        typer.Option("--count", "-n", metavar="COUNT", help="So many.", min=0, max=COUNT_MAX),
    ] = COUNT,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Go on with what comes, until Ctrl-C.", show_default=False
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object a line.", show_default=False),
    ] = False,
) -> None:
    """Print the last inputs: what greenroom was told, and the ticks of its flush timer.

    The journal has what came since the last flush: a checkpoint, which is written after each,
    deletes what it covers. Of a node's data directory all shards are shown, merged by time.

    Works beside a running greenroom, and without one. The inputs hold personal data: names,
    metadata, addresses.

    Exit status: 0 all is well; 1 a row was damaged, or nobody reads the output any more; 130
    stopped by hand.
    """
    with ExitStack() as stack:
        tails = [
            Tail(name, stack.enter_context(opened(path)))
            for name, path in shard_dirs(data_dir).items()
        ]
        show = _Printer(as_json=as_json, with_shard=len(tails) > 1)
        lots = _lots(tails, count, follow=follow)
        for lot in lots:
            show(lot)
    if not (show.shown or as_json or follow):
        with standard_output():
            typer.echo("the journal is empty")
    if show.damaged:
        raise typer.Exit(1)


def _lots(tails: Sequence[Tail], count: int, *, follow: bool) -> Iterator[list[Line]]:
    """What there is, then again and again what came; ends when nobody reads any more."""
    first = list(_merged(one.last(count) for one in tails))
    yield first[len(first) - count :] if len(first) > count else first
    wait = _waiter() if follow else None
    while wait is not None and wait():
        yield list(_merged(one.new() for one in tails))


def _merged(lots: Iterable[list[Line]]) -> Iterator[Line]:
    return heapq.merge(*lots, key=lambda line: line.at_ns)


def _waiter() -> Callable[[], bool]:
    """Waits for the next look; says False when the reader of a pipe is gone."""
    with suppress(OSError, ValueError, AttributeError):  # no file, or no poll on this system
        poll = polling.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors are always told
        return lambda: not poll.poll(LOOK_SECONDS * 1000)
    return _sleep


def _sleep() -> bool:
    time.sleep(LOOK_SECONDS)
    return True


class _Printer:
    """Prints lots of lines, the table's head above the first.

    Attributes:
        shown: Whether there was a line.
        damaged: Whether one was damaged.
    """

    def __init__(self, *, as_json: bool, with_shard: bool) -> None:
        self._as_json = as_json
        self._with_shard = with_shard
        # what a pipe takes is searched by lines
        folded = sys.stdout.isatty() or "COLUMNS" in os.environ
        self._console = Console(highlight=False, width=None if folded else UNFOLDED)
        self.shown = False
        self.damaged = False

    def __call__(self, lines: Sequence[Line]) -> None:
        if not lines:
            return
        self.damaged |= any(isinstance(line.found, DamagedRow) for line in lines)
        with standard_output():
            if self._as_json:
                for line in lines:
                    head: dict[str, object] = {"shard": line.shard} if self._with_shard else {}
                    head |= {"position": line.position, "at_ns": line.at_ns}
                    typer.echo(json.dumps(head | json_line(line.found)))
            else:
                self._print(lines)
        self.shown = True

    def _print(self, lines: Sequence[Line]) -> None:
        columns = ("shard", *COLUMNS) if self._with_shard else COLUMNS
        table = new_table(*columns, right=NUMBERS)
        table.show_header = not self.shown
        if self._console.width >= WIDE:
            for column in table.columns:  # so that what follows stands below it
                column.min_width = WIDTHS.get(str(column.header))
        for line in lines:
            cells = (line.position, *table_row(line.at_ns, line.found))
            add_row(table, (line.shard, *cells) if self._with_shard else cells)
        self._console.print(table)
