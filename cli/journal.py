"""`greenroom journal export`: what came, as a recording to replay."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from ..adapters.database import DATABASE_NAME, PRIVATE_FILE
from ..adapters.journal_copy import END_NS, copy_journal
from ..core.times import NS_PER_MS, NS_PER_SECOND
from ..replay.checks import check_outputs
from ..replay.journal import JournalExport, ShardJournal
from .data_dir import EXAMPLE_DIR, ID_MAX, DataDir, opened, parse_time, safe, shard_dirs, when
from .journal_tail import tail
from .output import standard_output

PROBLEMS_SHOWN: Final = 20

journal: Final = typer.Typer(
    help="Look at what greenroom was told, and take it away to replay.",
    epilog=f"Example: greenroom journal tail {EXAMPLE_DIR} --follow",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@journal.command(
    epilog=f"Example: greenroom journal export {EXAMPLE_DIR} --room lobby -o calls.jsonl.gz"
)
def export(
    *,
    data_dir: DataDir,
    after: Annotated[
        int,
        typer.Option(metavar="POSITION", help="Only what came after it.", min=0, max=ID_MAX - 1),
    ] = 0,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Came then or later: 1h for an hour ago, or ISO."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Came before that.")] = None,
    room: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only calls of this room, and flush_stats."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write there, gzipped if it ends in .gz.",
            show_default="standard output",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Write the journal as a recording: `greenroom replay` makes the same calls of it again.

    The journal has what came since the last flush: a checkpoint, which is written after each,
    deletes what it covers. Rooms and participants that were there before are not in it, so a
    replay counts their statistics as unknown_participant. A node's data directory has a journal
    for each shard; they are merged by time.

    Ticks of the flush timer are not written, since a replay flushes every 30 seconds by itself:
    "at" is chosen so that its flushes have what the recorded ones had. What else is not written
    is counted on standard error.

    Works beside a running greenroom, and without one. The calls hold personal data: names,
    metadata, addresses.

    Exit status: 0 all was written; 1 a damaged row or a call that has no form in JSON was left
    out, or FILE could not be written; 2 an option is wrong.
    """
    stores = shard_dirs(data_dir)
    if after and len(stores) > 1:
        one = data_dir / next(iter(stores))
        raise typer.BadParameter(
            f"each shard has positions of its own; give --data-dir {one}", param_hint="--after"
        )
    for path in stores.values():
        check_outputs(path / DATABASE_NAME, {"--output": output})
    since_ns = 0 if since is None else parse_time(since)
    until_ns = END_NS if until is None else parse_time(until)
    with ExitStack() as stack:
        shards, rows = [], 0
        for name, path in stores.items():
            connection = stack.enter_context(opened(path))
            rows += copy_journal(connection, after=after, since_ns=since_ns, until_ns=until_ns)
            shards.append(ShardJournal(name, connection, after))
        problems = _Problems()
        on_row = stack.enter_context(_progress(rows, shown=output is not None))
        found = JournalExport(shards, room=room, on_problem=problems, on_row=on_row)
        with _opened_output(output) as write:
            for line in found.lines():
                write(line)
    _explain(found, rows, output)
    if problems.count:
        raise typer.Exit(1)


class _Problems:
    """Names the first ones on standard error, and counts them all."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, problem: str) -> None:
        self.count += 1
        if self.count <= PROBLEMS_SHOWN:
            typer.echo(f"greenroom: {safe(problem)}", err=True)


@contextmanager
def _progress(rows: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Told of each row. Not shown among lines on the same terminal."""
    errors = Console(stderr=True)
    shown = errors.is_terminal and (shown or not sys.stdout.isatty())
    with Progress(console=errors, transient=True, disable=not shown) as progress:
        task = progress.add_task("journal", total=rows)
        yield lambda: progress.advance(task)


@contextmanager
def _opened_output(path: Path | None) -> Iterator[Callable[[str], object]]:
    if path is None:
        with standard_output():
            yield sys.stdout.write
            sys.stdout.flush()
        return
    with open(path, "wb", opener=_private) as file:
        if path.suffix != ".gz":
            yield lambda line: file.write(line.encode())
            return
        with gzip.GzipFile("", "wb", fileobj=file) as zipped:
            yield lambda line: zipped.write(line.encode())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)


def _explain(found: JournalExport, rows: int, output: Path | None) -> None:
    """On standard error: what was written, what was not, and how to play it."""
    exported, start_ns = found.exported, found.plan.start_ns
    calls = exported.calls.total()
    lines = [f"exported {calls} calls" if rows else "the journal has nothing like that"]
    if calls:
        span = (exported.last_ns - start_ns) / NS_PER_SECOND
        lines[0] += f' of {span:.1f} s; "at" 0 is {when(start_ns)} UTC'
    if exported.left_out:
        kinds = (f"{count} {name}" for name, count in exported.left_out.most_common())
        lines.append(f"left out, as a recording has no such calls: {', '.join(kinds)}")
    if exported.problems > PROBLEMS_SHOWN:
        lines.append(f"and {exported.problems - PROBLEMS_SHOWN} more could not be exported")
    if exported.moved:
        moved_ms = exported.moved_ns / NS_PER_MS
        lines.append(
            f"{exported.moved} calls are up to {moved_ms:.3g} ms earlier than they came, to be "
            "ahead of the flush that had them"
        )
    if found.plan.different:
        lines.append(
            f"{found.plan.different} flushes are not where a replay has them, so statistics may "
            "be summed up in other portions"
        )
    if calls:
        file = "FILE" if output is None else output
        lines.append(
            f"play it: greenroom replay {file} "
            f"--start-unix {start_ns // NS_PER_SECOND}.{start_ns % NS_PER_SECOND:09}"
        )
    for line in lines:
        typer.echo(f"greenroom: {safe(line)}", err=True)


journal.command(epilog=f"Example: greenroom journal tail {EXAMPLE_DIR} -n 50 --follow")(tail)
