"""`greenroom dead-letters list|show|replay`."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..adapters.database import transaction
from ..adapters.dead_letters import KeptLetter, LetterState
from ..adapters.stored_dead_letters import find, mark, select
from ..core.dead_letters import input_of
from ..errors import DecodeError, NotReplayableError
from ..messages.codec import decode
from .data_dir import ID_MAX, AsJson, DataDir, opened, safe, when
from .message_text import plain
from .output import standard_output

EXAMPLE: Final = "Example: greenroom dead-letters"
ID_HELP: Final = "As `list` shows it."

dead_letters: Final = typer.Typer(
    help="Look at the inputs that an actor could not digest, and replay them.",
    epilog=f"{EXAMPLE} list --data-dir /var/lib/greenroom",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@dead_letters.command("list", epilog=f"{EXAMPLE} list --data-dir /var/lib/greenroom --state new")
def list_letters(
    *,
    data_dir: DataDir,
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of it, such as StatsWorker.")
    ] = None,
    message: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Only those of it, such as TrackStats.")
    ] = None,
    state: Annotated[
        LetterState | None, typer.Option(help="Only those in it; replay: waits to be replayed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first.

    Works beside a running greenroom, and without one.
    """
    with opened(data_dir) as connection:
        letters = select(connection, actor=actor, message=message, state=state)
    with standard_output():
        if as_json:
            typer.echo(json.dumps([_summary(kept) for kept in letters]))
        elif letters:
            Console(highlight=False).print(_table(letters))
        else:
            chosen = any(value is not None for value in (actor, message, state))
            typer.echo("no dead letter is like that" if chosen else "no dead letters")


@dead_letters.command(epilog=f"{EXAMPLE} show 3 --data-dir /var/lib/greenroom")
def show(
    letter_id: Annotated[int, typer.Argument(metavar="ID", help=ID_HELP)],
    *,
    data_dir: DataDir,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: the error, the traceback and the message itself.

    The message may hold personal data: names, metadata, addresses.
    """
    with opened(data_dir) as connection:
        kept = _found(connection, letter_id)
    content, problem = _content(kept)
    with standard_output():
        if as_json:
            more = {"traceback": kept.letter.traceback, "content": content, "problem": problem}
            typer.echo(json.dumps(_summary(kept) | more))
        else:
            typer.echo(_page(kept, content, problem))


@dead_letters.command(epilog=f"{EXAMPLE} replay 3 --data-dir /var/lib/greenroom")
def replay(
    letter_id: Annotated[int | None, typer.Argument(metavar="ID", help=ID_HELP)] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Replay all that are new.", show_default=False)
    ] = False,
    data_dir: DataDir,
) -> None:
    """Give dead letters to their actors once more.

    They are marked here, and taken by the running greenroom within a second, or by the next one
    that starts with this data_dir. They come as new inputs, at that time and behind all others;
    one that fails again becomes another dead letter. A sample whose participant is gone by then is
    dropped, and counted as unknown_participant.

    Calls, samples, analytics and webhooks can be replayed. What only steers the actors, such as a
    flush, is refused with the reason.
    """
    if every == (letter_id is not None):
        raise typer.BadParameter("give an ID, or --all", param_hint="ID")
    with opened(data_dir, write=True) as connection, transaction(connection):
        letters = (
            select(connection, state=LetterState.NEW)
            if letter_id is None
            else [_found(connection, letter_id)]
        )
        refusals = {kept.id: _refusal(kept) for kept in letters}
        marked = [kept_id for kept_id, refusal in refusals.items() if not refusal]
        mark(connection, marked, LetterState.REPLAY)
    if letter_id is not None and not marked:
        raise typer.BadParameter(f"{letter_id}: {refusals[letter_id]}", param_hint="ID")
    with standard_output():
        typer.echo(_marked(len(marked)))
        for refusal, count in Counter(filter(None, refusals.values())).items():
            typer.echo(f"left {count}: {refusal}")


def _found(connection: sqlite3.Connection, letter_id: int) -> KeptLetter:
    kept = find(connection, letter_id) if 0 < letter_id <= ID_MAX else None
    if kept is None:
        ids = [kept.id for kept in select(connection)]
        there = f"they are {ids[0]} to {ids[-1]}" if ids else "there are none at all"
        raise typer.BadParameter(f"no dead letter {letter_id}; {there}", param_hint="ID")
    return kept


def _refusal(kept: KeptLetter) -> str:
    """Why it cannot be replayed; empty: it can."""
    try:
        input_of(kept.letter)
    except NotReplayableError as error:
        return safe(str(error))
    return ""


def _marked(count: int) -> str:
    if not count:
        return "nothing to replay"
    them, takes = ("it", "letter") if count == 1 else ("them", "letters")
    return (
        f"marked {count} dead {takes} for replay: the running greenroom takes {them} within a "
        "second, or the next one that starts with this data_dir"
    )


def _content(kept: KeptLetter) -> tuple[object, str]:
    """The decoded message, or why there is none."""
    if not kept.letter.body:
        return None, "kept without the message: it has no wire form"
    try:
        return plain(decode(kept.letter.body)), ""
    except DecodeError as error:
        return None, f"cannot be decoded: {error}"


def _summary(kept: KeptLetter) -> dict[str, object]:
    letter = kept.letter
    return {
        "id": kept.id,
        "state": kept.state.value,
        "actor": letter.actor,
        "key": letter.key,
        "message": letter.message,
        "position": letter.position,
        "at_ns": letter.at_ns,
        "error": letter.error,
        "body_bytes": len(letter.body),
    }


def _table(letters: tuple[KeptLetter, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    for name in ("state", "when (UTC)", "actor", "of", "message"):
        table.add_column(name, no_wrap=name in ("state", "when (UTC)"), overflow="fold")
    table.add_column("error", no_wrap=True, overflow="ellipsis")
    for kept in letters:
        letter = kept.letter
        cells = (letter.actor, letter.key, letter.message, " ".join(letter.error.split()))
        texts = (Text(safe(cell)) for cell in cells)
        table.add_row(str(kept.id), kept.state.value, when(letter.at_ns), *texts)
    return table


def _page(kept: KeptLetter, content: object, problem: str) -> str:
    letter = kept.letter
    whose = f"{letter.actor} {letter.key}".rstrip()
    door = f"input {letter.position}" if letter.position else "not an input of its own"
    at = f", {when(letter.at_ns)} UTC" if letter.at_ns else ""
    text = problem or json.dumps(content, indent=2, ensure_ascii=False)
    return safe(
        f"dead letter {kept.id}, {kept.state.value}\n"
        f"{whose} could not digest a {letter.message} ({door}{at})\n\n"
        f"{letter.error}\n\n{letter.traceback.rstrip()}\n\n{letter.message}: {text}"
    )
