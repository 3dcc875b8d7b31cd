"""What commands about a data directory share: its option, its database, and how rows are shown."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from ..adapters.database import DATABASE_NAME, UNSTORABLE, open_beside
from ..adapters.store_errors import store_error
from ..core.times import NS_PER_SECOND
from ..errors import ConfigError

SHARD: Final = re.compile(r"shard-([0-9]{1,9})")  # node.settings makes them
ID_MAX: Final = 2**63 - 1  # SQLite's
EXAMPLE_DIR: Final = "--data-dir /var/lib/greenroom"

_OPTION: Final = typer.Option(
    metavar="DIR",
    help="The data_dir that greenroom was started with.",
    exists=True,
    file_okay=False,
    readable=True,
)
DataDir: TypeAlias = Annotated[Path, _OPTION]
MaybeDataDir: TypeAlias = Annotated[Path | None, _OPTION]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else.", show_default=False)
]

_AGO: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@contextmanager
def opened(data_dir: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """The database of a data directory, beside a running process or without one.

    Raises:
        typer.BadParameter: There is none in it.
        StoreError: It cannot be read or written.
    """
    try:
        connection = open_beside(data_dir, write=write)
    except ConfigError as error:
        raise typer.BadParameter(
            f"there is no {DATABASE_NAME} in {data_dir}: no greenroom was started with this "
            "data_dir",
            param_hint="--data-dir",
        ) from error
    try:
        with closing(connection):
            yield connection
    except UNSTORABLE as error:
        raise typer.BadParameter(f"nothing can be like that: {error}") from error
    except sqlite3.Error as error:
        raise store_error(data_dir / DATABASE_NAME, error) from error


def shard_dirs(data_dir: Path) -> dict[str, Path]:
    """The data directories of a node's shards by name, in order; else this one, without a name.

    Raises:
        OSError: It cannot be read.
    """
    if not (data_dir / DATABASE_NAME).is_file():
        found = ((SHARD.fullmatch(path.name), path) for path in data_dir.iterdir())
        shards = sorted((int(match[1]), path) for match, path in found if match)
        named = {path.name: path for _, path in shards if (path / DATABASE_NAME).is_file()}
        if named:
            return named
    return {"": data_dir}


def safe(text: str) -> str:
    """Without what would steer a terminal: the text may come from anybody."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


def when(at_ns: int) -> str:
    """A Unix time in ns as people read it, in UTC; empty for 0."""
    if not at_ns:
        return ""
    at = datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A duration in its two largest units: `3 d 4 h`, `5 min 10 s`."""
    left = max(round(seconds), 0)
    for name, size, next_name, next_size in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if left >= size:
            return f"{left // size} {name} {left % size // next_size} {next_name}"
    return f"{left} s"


def parse_time(text: str) -> int:
    """Unix ns of `90s`, `5m`, `1h`, `2d`, `1w` ago, or of an ISO time (UTC unless it says).

    Raises:
        typer.BadParameter: It is neither.
    """
    if ago := _AGO.fullmatch(text):
        number, unit = ago.groups()
        return time.time_ns() - int(number) * _UNIT_SECONDS[unit] * NS_PER_SECOND
    try:
        at = datetime.fromisoformat(text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * NS_PER_SECOND)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is neither how long ago, such as 90s, 5m, 1h, 2d, 1w, nor an ISO time "
            "such as 2026-01-31T12:00 (UTC)"
        ) from error
