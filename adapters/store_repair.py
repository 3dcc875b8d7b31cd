"""A new database in the place of a damaged one, with all that can still be read.

The damaged files are copied to `greenroom.db.damaged-…` first, and stay there. The new database
is complete, and checked, before it takes its place in one step.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from ..errors import StoreError
from .database import DATABASE_NAME, PRIVATE_FILE, DirectoryLock
from .page_image import PageImage
from .salvage import Salvaged, fill, schema_version
from .schema import MIGRATIONS
from .store_check import OnStep, check_own_store
from .store_errors import store_error
from .store_report import FindingKind, Severity, StoreReport

NEW_NAME: Final = f"{DATABASE_NAME}.repairing"
DAMAGED: Final = f"{DATABASE_NAME}.damaged-"
SUFFIXES: Final = ("", "-wal", "-shm")  # of the files of one database


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was done.

    Args:
        before: What was found; without damage nothing was done.
        salvaged: What was kept and what was lost.
        backups: The files that have the damaged database now.
        is_dry_run: Nothing was written.
    """

    before: StoreReport
    salvaged: Salvaged = field(default_factory=Salvaged)
    backups: tuple[Path, ...] = ()
    is_dry_run: bool = False


def repair_store(
    directory: Path, at: datetime, *, dry_run: bool = False, on_step: OnStep = lambda _: None
) -> RepairReport:
    """Repair one directory, if it is damaged.

    Args:
        directory: Of one process, which has ended.
        at: Names the backup (UTC).
        dry_run: Say only what would be kept and lost.
        on_step: Is told what is done next.

    Raises:
        ConfigError: A process holds it.
        StoreError: A newer greenroom wrote it, or the new database cannot be written; nothing
            was changed then.
    """
    lock = DirectoryLock(directory)
    path, new = directory / DATABASE_NAME, directory / NEW_NAME
    try:
        _undo(directory)
        before = check_own_store(directory, on_step)
        if not before.has(Severity.DAMAGE):
            return RepairReport(before, is_dry_run=dry_run)
        if any(one.kind is FindingKind.NEWER for one in before.findings):
            raise StoreError(path, "written by a newer greenroom: repair it with that one")
        on_step("rows")
        if dry_run:
            with closing(PageImage(path)) as image, closing(_connect("")) as scratch:
                return RepairReport(before, _filled(scratch, image), is_dry_run=True)
        try:
            salvaged = _write(path, new)
            on_step("backup")
            backups = _back_up(path, f"{DAMAGED}{at:%Y%m%dT%H%M%SZ}")
            _put_in_place(path, new)
        finally:
            new.unlink(missing_ok=True)
        return RepairReport(before, salvaged, backups)
    except (sqlite3.Error, OSError) as error:
        raise store_error(path, error, "not repaired") from error
    finally:
        lock.release()


def _filled(connection: sqlite3.Connection, image: PageImage) -> Salvaged:
    _, version = schema_version(image)
    return fill(connection, image, version or len(MIGRATIONS))


def _write(path: Path, new: Path) -> Salvaged:
    """Write the new database, and see that it is whole."""
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))  # SQLite would use 0o644
    with closing(PageImage(path)) as image, closing(_connect(str(new))) as connection:
        salvaged = _filled(connection, image)
        found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise StoreError(path, f"not repaired: the new database is damaged, too: {found[0]}")
    _sync(new)
    return salvaged


def _connect(name: str) -> sqlite3.Connection:
    return sqlite3.connect(name, isolation_level=None)


def _back_up(path: Path, name: str) -> tuple[Path, ...]:
    """Copy what is there; a name that is taken gets a number."""
    number = 1
    while any((path.parent / f"{name}{one}").exists() for one in SUFFIXES):
        number += 1
        name = f"{name.partition('.again-')[0]}.again-{number}"
    copies = []
    try:
        for suffix in SUFFIXES:
            source, copy = _with(path, suffix), path.parent / f"{name}{suffix}"
            if source.exists():
                copies.append(copy)
                copy.touch(PRIVATE_FILE)
                shutil.copyfile(source, copy)
                _sync(copy)
    except BaseException:
        for copy in copies:
            copy.unlink(missing_ok=True)
        raise
    return tuple(copies)


def _put_in_place(path: Path, new: Path) -> None:
    """Between the steps the damaged file is there without its log, never the new one with it."""
    for suffix in ("-wal", "-shm"):
        _with(path, suffix).unlink(missing_ok=True)
    _sync(path.parent)
    new.replace(path)
    _sync(path.parent)


def _undo(directory: Path) -> None:
    """Give a database its log back that a repair, which was killed, took away."""
    path = directory / DATABASE_NAME
    (directory / NEW_NAME).unlink(missing_ok=True)
    (directory / f"{NEW_NAME}-journal").unlink(missing_ok=True)
    log = _with(path, "-wal")
    if log.exists():
        return
    for kept in sorted(directory.glob(f"{DAMAGED}*-wal"), reverse=True):
        copy = kept.with_name(kept.name.removesuffix("-wal"))
        same = copy.exists() == path.exists()
        with suppress(OSError):
            same = same and (not path.exists() or filecmp.cmp(copy, path, shallow=False))
        if same:
            part = directory / NEW_NAME  # a log that is there is there whole
            shutil.copyfile(kept, part)
            _sync(part)
            part.replace(log)
            return


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
