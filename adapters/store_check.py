"""Whether the files of a data directory are whole: every finding is named, nothing is changed."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

from .database import BUSY_SECONDS, DATABASE_NAME, holder
from .journal_rows import DamagedRow, select
from .page_image import MAGIC, PageImage
from .salvage import schema_version
from .schema import MIGRATIONS
from .store_errors import StoreErrorKind, kind_of
from .store_report import REPAIR, FindingKind, JournalSummary, Severity, StoreReport
from .table_shapes import definitions, schema, shapes

SQLITE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)  # its texts quote what is damaged
MESSAGES_MAX: Final = 100  # of SQLite's integrity_check

OnStep: TypeAlias = Callable[[str], None]


def store_directories(data_dir: Path) -> list[Path]:
    """Where databases are: the directory itself, or each shard's of a node's."""
    shards = [one for one in data_dir.glob("shard-*") if one.is_dir()]
    shards.sort(key=lambda one: (len(one.name), one.name))
    return shards if shards and not has_store(data_dir) else [data_dir, *shards]


def has_store(directory: Path) -> bool:
    """Whether a database, or what is left of one, is there."""
    return any((directory / f"{DATABASE_NAME}{more}").exists() for more in ("", "-wal"))


def check_store(directory: Path, on_step: OnStep = lambda _: None) -> StoreReport:
    """Look at one directory, beside a running process or without one.

    Args:
        directory: Of one process.
        on_step: Is told what is looked at next.
    """
    report = _check(StoreReport(directory, _holder(directory)), on_step)
    if not report.process and (now := _holder(directory)):  # it began to write meanwhile
        report = _check(StoreReport(directory, now), on_step)
    return report


def check_own_store(directory: Path, on_step: OnStep = lambda _: None) -> StoreReport:
    """The same, for the one that holds the directory and has not opened the database."""
    return _check(StoreReport(directory), on_step)


def _holder(directory: Path) -> str:
    try:
        return holder(directory)
    except OSError:
        return ""


def _check(report: StoreReport, on_step: OnStep) -> StoreReport:
    path = report.directory / DATABASE_NAME
    try:
        if path.exists() and not path.is_file():
            text = f"{path.name} is no file"
            advice = "move it away; greenroom makes a new database at its next start"
            report.add(FindingKind.NOT_A_FILE, text, advice, Severity.UNUSABLE)
            return report
        on_step("pages")
        if report.process:
            _check_beside(report, path, on_step)
        else:
            _check_alone(report, path, on_step)
    except OSError as error:
        text = f"{error.filename or path}: {error.strerror or error}"
        advice = "see to the disk, or to the permission to read, and check again"
        report.add(FindingKind.UNREADABLE, text, advice, Severity.UNUSABLE)
    except SQLITE_ERRORS as error:
        _add_error(report, "it cannot be opened", error)
    return report


def _check_beside(report: StoreReport, path: Path, on_step: OnStep) -> None:
    """A process changes the files meanwhile: only SQLite knows how to look at them."""
    header = b""
    with suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(len(MAGIC))
    if _begins(report, path, header, has_log=True):
        with closing(_connect(path, "mode=ro")) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            _check_version(report, version, version)
            _check_database(report, connection, on_step)


def _check_alone(report: StoreReport, path: Path, on_step: OnStep) -> None:
    with closing(PageImage(path)) as image:
        _check_log(report, image)
        header = image.header if image.file_size else b""
        if not _begins(report, path, header, has_log=bool(image.log.offsets)):
            return
        if image.missing:
            text = f"{path.name} is cut off: {image.missing} of {image.page_count} pages of "
            text += f"{image.page_size} bytes are missing at its end"
            report.add(FindingKind.TRUNCATED, text)
        _check_version(report, *schema_version(image))
        with _opened(report, path, image) as connection:
            _check_database(report, connection, on_step)


def _begins(report: StoreReport, path: Path, header: bytes, *, has_log: bool) -> bool:
    """Whether it begins as a database does; SQLite would delete the log of an empty one."""
    restore = f"put a backup back, or {REPAIR}"
    if not path.exists():
        what = "but its write-ahead log is there" if has_log else "nor has its log any page"
        report.add(FindingKind.MISSING, f"{path.name} is not there, {what}", restore)
    elif not header:
        severity = Severity.DAMAGE if has_log else Severity.NOTE
        advice = restore if has_log else "greenroom makes a new database at its next start"
        report.add(FindingKind.EMPTY, f"{path.name} is empty", advice, severity)
    elif not header.startswith(MAGIC):
        report.add(FindingKind.NOT_A_DATABASE, f"{path.name} does not begin as a database does")
    else:
        return True
    return False


def _check_version(report: StoreReport, said: int, is_of: int) -> None:
    report.schema = said
    if said != is_of:
        report.add(FindingKind.SCHEMA, f"it says schema {said}, and has the tables of {is_of}")
    elif said > len(MIGRATIONS):
        text = f"written by a newer greenroom (schema {said}; this one has {len(MIGRATIONS)})"
        advice = "check it with that greenroom"
        report.add(FindingKind.NEWER, text, advice, Severity.UNUSABLE)
    elif said < len(MIGRATIONS):
        text = f"written by an older greenroom (schema {said}; this one has {len(MIGRATIONS)})"
        advice = "start greenroom with it once, which brings it up to date"
        report.add(FindingKind.OLDER, text, advice, Severity.NOTE)


def _check_log(report: StoreReport, image: PageImage) -> None:
    log, name = image.log, f"{DATABASE_NAME}-wal"
    if log.is_header_damaged:
        report.add(FindingKind.LOG, f"{name}: its head is damaged, so SQLite would pass it over")
    if log.damaged:
        text = f"{name}: {log.damaged} damaged pages, and what is behind them SQLite passes over"
        report.add(FindingKind.LOG, text)
    if log.gone:
        text = f"{name}: the last {log.gone} pages that were committed are not in it"
        report.add(FindingKind.LOG, text, f"put it back if you have it, or {REPAIR}")
    elif log.torn and not log.damaged and not log.is_header_damaged:
        text = f"{name} ends with {log.torn} torn pages, as a crash in the middle of a write does"
        advice = "nothing: what was committed before is there"
        report.add(FindingKind.LOG, text, advice, Severity.NOTE)


@contextmanager
def _opened(report: StoreReport, path: Path, image: PageImage) -> Iterator[sqlite3.Connection]:
    """The database for SQLite, in a way that changes no file.

    Even to read would make files, or delete them: so the file is opened as one that never
    changes, or a copy that has the log's pages in it.
    """
    if not image.log.offsets:
        with closing(_connect(path, "mode=ro&immutable=1")) as connection:
            yield connection
        return
    with tempfile.NamedTemporaryFile(prefix="greenroom-check-") as copy:
        if unread := image.write_to(copy):
            report.add(FindingKind.UNREADABLE, f"{unread} pages cannot be read from the disk")
        with closing(_connect(Path(copy.name), "mode=ro&immutable=1")) as connection:
            yield connection


def _connect(path: Path, options: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = _text
    return connection


def _check_database(report: StoreReport, connection: sqlite3.Connection, on_step: OnStep) -> None:
    on_step("integrity")
    try:
        found = connection.execute(f"PRAGMA integrity_check({MESSAGES_MAX})").fetchall()
        messages = [str(text) for (text,) in found if text != "ok"]
        report.is_intact = not messages
        if messages:
            more = f", and {len(messages) - 1} more" if len(messages) > 1 else ""
            first = " ".join(messages[0].split())
            report.add(FindingKind.MALFORMED, f"integrity_check: {first}{more}")
    except SQLITE_ERRORS as error:
        report.is_intact = None if kind_of(error) is StoreErrorKind.LOCKED else False
        _add_error(report, "integrity_check", error)
    try:
        there = definitions(connection)
    except SQLITE_ERRORS as error:
        if not report.findings:
            _add_error(report, "its schema", error)
        return
    version = report.schema
    if version is None or version > len(MIGRATIONS):
        return
    known = schema(version)
    wrong = sorted(name for name, text in known.items() if there.get(name, "") != text)
    if wrong and all(one.kind is not FindingKind.SCHEMA for one in report.findings):
        names = ", ".join(wrong)
        report.add(FindingKind.SCHEMA, f"not as greenroom makes them: {names}")
    for name in shapes(version):
        if name in there:
            on_step(name)
            report.tables[name] = _count(report, connection, name, version)
    if "journal" in there and "journal" in known:
        on_step("journal")
        _check_journal(report, connection)


def _count(
    report: StoreReport, connection: sqlite3.Connection, name: str, version: int
) -> int | None:
    """Read every row: SQLite does not mind values that greenroom could not use."""
    shape, count, bad = shapes(version)[name], 0, 0
    first = ""
    columns = ", ".join(column.name for column in shape.columns)
    try:
        for row in connection.execute(f"SELECT {columns} FROM {name}"):
            count += 1
            if why := shape.misfit(row):
                bad, first = bad + 1, first or why
    except SQLITE_ERRORS as error:
        _add_error(report, name, error)
        return None
    if bad:
        report.add(FindingKind.ROWS, f"{name}: {bad} of {count} rows are damaged: {first}")
    return count


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw  # which fits no column of text


def _check_journal(report: StoreReport, connection: sqlite3.Connection) -> None:
    journal, end = JournalSummary(), 0
    try:
        for row in select(connection):
            journal.rows += 1
            journal.first = journal.first or row.first
            if row.first <= end:
                text = f"journal: the row at position {row.first} overlaps the one before"
                report.add(FindingKind.JOURNAL_OVERLAP, text)
            if isinstance(row, DamagedRow):
                journal.damaged[row.first] = row.error
                end = max(end, row.first)
                continue
            journal.inputs += sum(one is not None for one in row.inputs)
            end = max(end, row.last)
        journal.last = end
        position = connection.execute("SELECT position FROM checkpoint").fetchone()
        report.checkpoint = None if position is None else position[0]
        report.journal = journal
    except (*SQLITE_ERRORS, OverflowError) as error:
        _add_error(report, "journal", error)
    for first, why in journal.damaged.items():
        text = f"journal: the row at position {first} is damaged: {why}"
        report.add(FindingKind.JOURNAL_ROW, text)


def _add_error(report: StoreReport, doing: str, error: Exception) -> None:
    kind = kind_of(error)
    text = f"{doing}: {error}"
    if kind is StoreErrorKind.LOCKED:
        advice = "check again when whoever writes it is done"
        report.add(FindingKind.BUSY, text, advice, Severity.UNUSABLE)
    elif kind is StoreErrorKind.IO:
        advice = f"see to the disk; then {REPAIR}"
        report.add(FindingKind.UNREADABLE, text, advice)
    else:
        report.add(FindingKind.MALFORMED, text)
