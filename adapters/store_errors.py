"""What SQLite's errors mean for whoever runs greenroom."""

from __future__ import annotations

import os
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..errors import StoreError


class StoreErrorKind(StrEnum):
    """Why the database failed: label `kind` of `greenroom_store_errors_total`."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"  # the file or its file system
    CORRUPT = "corrupt"  # broken within, or no database at all
    LOCKED = "locked"  # another process held it for too long
    IO = "io"  # the disk, a quota, or no more open files
    GONE = "gone"  # the file was deleted or replaced under the process
    OTHER = "other"


_KINDS: Final = {  # by primary result code; source: sqlite.org/rescode.html
    sqlite3.SQLITE_FULL: StoreErrorKind.DISK_FULL,
    sqlite3.SQLITE_READONLY: StoreErrorKind.READ_ONLY,
    sqlite3.SQLITE_PERM: StoreErrorKind.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: StoreErrorKind.CORRUPT,
    sqlite3.SQLITE_NOTADB: StoreErrorKind.CORRUPT,
    sqlite3.SQLITE_BUSY: StoreErrorKind.LOCKED,
    sqlite3.SQLITE_LOCKED: StoreErrorKind.LOCKED,
    sqlite3.SQLITE_IOERR: StoreErrorKind.IO,
    sqlite3.SQLITE_CANTOPEN: StoreErrorKind.IO,
}


class FileGone(sqlite3.OperationalError):
    """SQLite goes on writing to a deleted file and says nothing, so greenroom looks itself."""


class SameFile:
    """Whether a path still leads to the file that was opened.

    Args:
        path: As it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = os.stat(path)

    def check(self) -> None:
        """Some microseconds.

        Raises:
            FileGone: What is written now would be lost with the process.
        """
        try:
            now = os.stat(self._path)
        except OSError as error:
            raise FileGone(f"the file is gone: {error}") from error
        if not os.path.samestat(now, self._opened):
            raise FileGone("the file was replaced; restart greenroom to use the one that is there")


def kind_of(error: BaseException) -> StoreErrorKind:
    """Which kind it is; what neither SQLite nor `SameFile` raised is `OTHER`."""
    if isinstance(error, FileGone):
        return StoreErrorKind.GONE
    code = getattr(error, "sqlite_errorcode", None)  # sqlite3's own errors have none
    if not isinstance(error, sqlite3.Error) or code is None:
        return StoreErrorKind.OTHER
    return _KINDS.get(code & 0xFF, StoreErrorKind.OTHER)


def is_of_the_file(error: BaseException) -> bool:
    """Whether no job would fare better: the disk is full, the file broken or held by another."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    )


def store_error(path: Path, error: BaseException, doing: str = "") -> StoreError:
    """That error as one of greenroom's; of a broken file it also says what can be done.

    Args:
        path: The database's file.
        error: What was raised.
        doing: What did not happen, for the text.
    """
    kind = kind_of(error)
    text = str(error) if isinstance(error, sqlite3.Error) else repr(error)
    if doing:
        text = f"{doing}: {text}"
    if kind is StoreErrorKind.CORRUPT:
        text += (
            "; the file is damaged, or not greenroom's. "
            f"`greenroom store check --data-dir {path.parent}` says what is wrong; stop, and "
            "`greenroom store repair` keeps all that can still be read, and the damaged files "
            "beside it"
        )
    made = StoreError(path, text, kind)
    made.__cause__ = error
    return made
