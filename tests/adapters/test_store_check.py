from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.adapters.database import DATABASE_NAME, open_owned
from greenroom.adapters.journal_rows import insert
from greenroom.adapters.schema import MIGRATIONS
from greenroom.adapters.store_check import check_store, has_store, store_directories
from greenroom.adapters.store_report import FindingKind, Severity, StoreReport
from greenroom.adapters.table_shapes import new_schema
from greenroom.testing.filled_store import (
    INPUTS,
    all_rows,
    change_rows,
    fill_store,
    killed_copy,
    write_journal,
)
from greenroom.testing.stored import OutboxBench, kept_delivery


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    fill_store(directory)
    return directory


@pytest.fixture
def directory(filled: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    copy = tmp_path / "store"
    shutil.copytree(filled, copy)
    return copy


@pytest.fixture
def killed(directory: Path, tmp_path: Path) -> Path:
    """Of a process that was killed: its last five rows of the journal are in the log only."""

    def write(connection: sqlite3.Connection) -> None:
        write_journal(connection, 1_001, 5)

    return killed_copy(directory, tmp_path / "killed", write)


def files(directory: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in directory.iterdir() if one.is_file()}


def checked(directory: Path) -> StoreReport:
    """What is found; every file is as before."""
    before = files(directory)
    report = check_store(directory)
    assert files(directory) == before
    return report


def kinds(report: StoreReport, severity: Severity = Severity.DAMAGE) -> list[FindingKind]:
    assert all(one.text and one.advice for one in report.findings)
    return [one.kind for one in report.findings if one.severity is severity]


def patch(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


# ── a store that is whole ───────────────────────────────────────────────────────────────────


def test_a_whole_store_has_no_finding_and_its_rows_are_counted(directory: Path) -> None:
    rows = all_rows(directory)

    report = checked(directory)

    assert report.findings == []
    assert report.is_intact is True
    assert report.schema == len(MIGRATIONS)
    assert report.tables == {table: len(found) for table, found in rows.items()}
    assert report.checkpoint == 100
    journal = report.journal
    assert journal is not None
    assert (journal.first, journal.last) == (101, 100 + 60 * INPUTS)
    assert (journal.rows, journal.inputs, journal.damaged) == (60, 60 * INPUTS, {})


def test_a_new_store_has_no_finding(directory: Path, tmp_path: Path) -> None:
    open_owned(tmp_path).close()

    report = checked(tmp_path)

    assert report.findings == []
    assert report.journal is not None
    assert (report.journal.rows, report.checkpoint) == (0, None)


def test_what_a_killed_process_committed_to_its_log_is_counted_and_the_log_is_left(
    killed: Path,
) -> None:
    report = checked(killed)

    assert report.findings == []
    assert report.journal is not None
    assert (report.journal.rows, report.journal.last) == (65, 1_000 + 5 * INPUTS)


def test_it_works_beside_a_running_process(tmp_path: Path) -> None:
    bench = OutboxBench(tmp_path)
    bench.open().keep([kept_delivery(1)], "notifier")
    bench.door.kept(1)

    report = check_store(tmp_path)

    assert report.findings == []
    assert report.process == str(os.getpid())
    assert report.tables["deliveries"] == 1
    bench.end()


def test_progress_is_told_by_what_is_looked_at(directory: Path) -> None:
    steps: list[str] = []

    check_store(directory, steps.append)

    assert steps[:2] == ["pages", "integrity"]
    assert "deliveries" in steps


def test_a_node_has_a_store_for_each_shard_in_their_order(tmp_path: Path) -> None:
    for shard in (10, 2, 0):
        (tmp_path / f"shard-{shard}").mkdir()

    assert store_directories(tmp_path) == [tmp_path / f"shard-{one}" for one in (0, 2, 10)]


def test_a_directory_of_one_process_is_its_store(directory: Path, tmp_path: Path) -> None:
    assert store_directories(directory) == [directory]
    assert has_store(directory)
    assert not has_store(tmp_path)


# ── the file ────────────────────────────────────────────────────────────────────────────────


def test_a_missing_file_is_named(killed: Path) -> None:
    (killed / DATABASE_NAME).unlink()

    report = checked(killed)

    assert kinds(report) == [FindingKind.MISSING]
    assert "its write-ahead log is there" in report.findings[0].text


def test_an_empty_file_is_named_and_its_log_is_left_which_sqlite_would_delete(
    killed: Path,
) -> None:
    (killed / DATABASE_NAME).write_bytes(b"")

    assert kinds(checked(killed)) == [FindingKind.EMPTY]


def test_an_empty_file_without_a_log_was_never_written(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).touch()

    assert kinds(checked(tmp_path), Severity.NOTE) == [FindingKind.EMPTY]


@pytest.mark.parametrize("content", [b"x", b"no database at all\n" * 500], ids=["byte", "text"])
def test_a_text_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(content)

    assert kinds(checked(tmp_path)) == [FindingKind.NOT_A_DATABASE]


def test_a_directory_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).mkdir()

    assert kinds(checked(tmp_path), Severity.UNUSABLE) == [FindingKind.NOT_A_FILE]


def test_a_directory_in_the_place_of_the_log_is_named(directory: Path) -> None:
    (directory / f"{DATABASE_NAME}-wal").mkdir()

    assert kinds(checked(directory), Severity.UNUSABLE) == [FindingKind.UNREADABLE]


def test_a_file_that_is_cut_off_anywhere_is_damaged(directory: Path) -> None:
    path = directory / DATABASE_NAME
    whole = path.read_bytes()
    borders = range(4_096, len(whole), 4_096)
    for size in [1, 15, 99, *(at + by for at in borders for by in (-1, 0, 1)), len(whole) - 1]:
        path.write_bytes(whole[:size])

        found = kinds(checked(directory))

        assert found[0] in (FindingKind.TRUNCATED, FindingKind.NOT_A_DATABASE), size
        assert (found[0] is FindingKind.TRUNCATED) == (size >= 16), size


def test_an_overwritten_page_is_damage(directory: Path) -> None:
    path = directory / DATABASE_NAME
    patch(path, 4_096, b"\xff" * 4_096 * 2)

    report = checked(directory)

    assert FindingKind.MALFORMED in kinds(report)
    assert report.is_intact is False


# ── the schema ──────────────────────────────────────────────────────────────────────────────


def test_a_newer_schema_is_for_a_newer_greenroom(directory: Path) -> None:
    change_rows(directory, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    report = checked(directory)

    assert kinds(report, Severity.UNUSABLE) == [FindingKind.NEWER]
    assert kinds(report) == []


def test_an_older_schema_is_no_damage(tmp_path: Path) -> None:
    new_schema(sqlite3.connect(tmp_path / DATABASE_NAME), 3).close()

    report = checked(tmp_path)

    assert kinds(report, Severity.NOTE) == [FindingKind.OLDER]
    assert len(report.findings) == 1
    assert report.schema == 3


@pytest.mark.parametrize("version", [0, 1, len(MIGRATIONS) - 1, 1_000_000])
def test_a_version_that_its_tables_belie_is_damage(directory: Path, version: int) -> None:
    change_rows(directory, f"PRAGMA user_version = {version}")

    assert kinds(checked(directory)) == [FindingKind.SCHEMA]


def test_tables_that_are_not_as_greenroom_makes_them_are_named(directory: Path) -> None:
    change_rows(directory, "DROP TABLE batches", "ALTER TABLE journal RENAME at_ns TO at_nt")

    report = checked(directory)

    assert kinds(report)[0] is FindingKind.SCHEMA
    assert "batches, journal" in report.findings[0].text


def test_tables_of_others_are_left_alone(directory: Path) -> None:
    change_rows(directory, "CREATE TABLE mine (one)")

    assert checked(directory).findings == []


# ── rows ────────────────────────────────────────────────────────────────────────────────────


def test_damaged_rows_of_the_journal_are_named_by_their_positions(directory: Path) -> None:
    change_rows(
        directory,
        "UPDATE journal SET checksum = checksum + 1 WHERE first = 104",
        "UPDATE journal SET body = x'c1' WHERE first = 110",
    )

    report = checked(directory)

    assert kinds(report) == [FindingKind.JOURNAL_ROW] * 2
    assert report.journal is not None
    assert list(report.journal.damaged) == [104, 110]
    assert report.journal.inputs == 58 * INPUTS


def test_rows_of_the_journal_that_overlap_are_named_and_gaps_are_none(directory: Path) -> None:
    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection, connection:
        write_journal(connection, 1_001, 1)  # behind a gap
        write_journal(connection, 1_003, 1)

    report = checked(directory)

    assert kinds(report) == [FindingKind.JOURNAL_OVERLAP]
    assert "position 1003" in report.findings[0].text


def test_an_input_that_is_not_journaled_has_a_position_and_is_not_counted(tmp_path: Path) -> None:
    from greenroom.messages.stats import Flush

    with closing(open_owned(tmp_path)) as connection:
        insert(connection, 1, 5, (Flush(1, 7), Flush(2, 7)))  # type: ignore[arg-type]

    report = checked(tmp_path)

    assert report.journal is not None
    assert (report.journal.last, report.journal.inputs) == (2, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE endpoints SET settings = CAST(x'ff22' AS TEXT)",
        "UPDATE deliveries SET body = 'text' WHERE id = 3",
        "UPDATE deliveries SET attempts = x'01' WHERE id = 3",
    ],
)
def test_values_that_greenroom_never_writes_are_damage_although_sqlite_takes_them(
    directory: Path, statement: str
) -> None:
    change_rows(directory, statement)

    assert FindingKind.ROWS in kinds(checked(directory))


def test_a_directory_that_cannot_be_written_is_looked_at_all_the_same(killed: Path) -> None:
    for one in killed.iterdir():
        one.chmod(0o400)
    killed.chmod(0o500)

    report = checked(killed)

    killed.chmod(0o700)
    assert report.findings == []
    assert report.journal is not None
    assert report.journal.rows == 65
