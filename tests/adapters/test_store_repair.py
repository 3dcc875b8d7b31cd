from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.database import DATABASE_NAME, LOCK_NAME
from greenroom.adapters.store_check import check_store
from greenroom.adapters.store_repair import RepairReport, repair_store
from greenroom.adapters.store_report import FindingKind, Severity
from greenroom.adapters.store_trouble import SPARE_NAME
from greenroom.testing.filled_store import (
    Rows,
    all_rows,
    change_rows,
    fill_store,
    overwrite_page,
    readable,
    root_page,
    write_journal,
)
from greenroom.testing.stored import OutboxBench, kept_delivery

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
BACKUP: Final = f"{DATABASE_NAME}.damaged-20260131T120000Z"
PAGE: Final = 4_096


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    fill_store(directory)
    return directory


@pytest.fixture(scope="module")
def rows(filled: Path) -> Rows:
    return all_rows(filled)


@pytest.fixture
def directory(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "store"))


def files(directory: Path) -> dict[str, bytes]:
    found = {one.name: one.read_bytes() for one in directory.iterdir()}
    for name in (LOCK_NAME, SPARE_NAME):
        found.pop(name, None)
    return found


def keeps_what_was_readable(directory: Path, rows: Rows) -> RepairReport:
    """Repair it: a store without a finding, with every row that SQLite could still find."""
    before = readable(directory / DATABASE_NAME, rows)
    report = repair_store(directory, NOW)
    assert check_store(directory).findings == []
    after = all_rows(directory)
    for table, found in before.items():
        assert found.items() <= after[table].items(), table
    return report


# ── damage of any kind ──────────────────────────────────────────────────────────────────────


def flip_anywhere(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def flip_where_a_page_begins(content: bytearray, chance: random.Random) -> None:
    page = chance.randrange(len(content) // PAGE) * PAGE
    for _ in range(chance.randint(1, 3)):
        content[page + chance.randrange(120)] ^= 1 << chance.randrange(8)


def lose_a_page(content: bytearray, chance: random.Random) -> None:
    page = chance.randrange(len(content) // PAGE) * PAGE
    content[page : page + PAGE] = bytes(PAGE) if chance.random() < 0.5 else chance.randbytes(PAGE)


@pytest.mark.parametrize("damage", [flip_anywhere, flip_where_a_page_begins, lose_a_page])
def test_every_row_that_can_be_read_is_kept_whatever_is_damaged(
    filled: Path, rows: Rows, tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
) -> None:
    whole = (filled / DATABASE_NAME).read_bytes()
    for seed in range(80):
        directory = tmp_path / str(seed)
        directory.mkdir()
        content = bytearray(whole)
        damage(content, random.Random(seed))
        (directory / DATABASE_NAME).write_bytes(content)

        report = check_store(directory)

        assert files(directory) == {DATABASE_NAME: content}, seed
        if report.has(Severity.UNUSABLE):  # the number of the version, and it may be right
            assert FindingKind.NEWER in [one.kind for one in report.findings], seed
            continue
        keeps_what_was_readable(directory, rows)
        shutil.rmtree(directory)


def test_a_file_that_is_cut_off_anywhere_keeps_what_is_left(
    filled: Path, rows: Rows, tmp_path: Path
) -> None:
    whole = (filled / DATABASE_NAME).read_bytes()
    borders = range(PAGE, len(whole), 3 * PAGE)
    for size in [1, 99, *(at + by for at in borders for by in (-1, 0, 1)), len(whole) - 1]:
        directory = tmp_path / str(size)
        directory.mkdir()
        (directory / DATABASE_NAME).write_bytes(whole[:size])

        repair_store(directory, NOW)

        assert check_store(directory).findings == [], size
        after = all_rows(directory)
        assert all(after[table].items() <= rows[table].items() for table in ("journal", "outputs"))
        if size >= len(whole) - PAGE:  # one page is gone
            kept, had = (sum(map(len, one.values())) for one in (after, rows))
            assert kept > had * 0.8


def test_a_page_takes_no_more_than_its_own_rows_along_even_from_the_top_of_a_tree(
    directory: Path, rows: Rows
) -> None:
    for table in ("deliveries", "journal", "outputs", "batches"):
        overwrite_page(directory, root_page(directory, table))

    report = repair_store(directory, NOW)

    after = all_rows(directory)
    for table in ("deliveries", "journal", "outputs"):
        assert after[table] == rows[table]
    assert 0 < len(rows["batches"]) - len(after["batches"]) < 5  # it has rows above its leaves
    assert {one.table for one in report.salvaged.lost} >= {"batches"}
    assert check_store(directory).findings == []


def test_without_the_first_page_which_has_the_schema_the_long_tables_are_kept(
    directory: Path, rows: Rows
) -> None:
    overwrite_page(directory, 1)
    assert [one.kind for one in check_store(directory).findings] == [FindingKind.NOT_A_DATABASE]

    repair_store(directory, NOW)

    after = all_rows(directory)
    for table in ("deliveries", "journal", "outputs", "dead_letters", "checkpoint"):
        assert after[table] == rows[table], table


@pytest.mark.parametrize("content", [b"", b"no database at all\n" * 500], ids=["empty", "text"])
def test_of_what_is_no_database_nothing_is_kept_but_the_file_itself(
    directory: Path, content: bytes
) -> None:
    (directory / DATABASE_NAME).write_bytes(content)
    (directory / f"{DATABASE_NAME}-wal").write_bytes(bytes(32))  # so that it is no new store

    report = repair_store(directory, NOW)

    assert report.salvaged.kept.total() == 0
    assert (directory / BACKUP).read_bytes() == content
    assert check_store(directory).findings == []


def test_damaged_and_overlapping_rows_of_the_journal_are_left_out_and_named(
    directory: Path, rows: Rows
) -> None:
    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE journal SET checksum = 0 WHERE first = 104")
        write_journal(connection, 1_001, 1)
        write_journal(connection, 1_002, 1)

    report = repair_store(directory, NOW)

    lost = [one.what for one in report.salvaged.lost if one.table == "journal"]
    assert lost == [
        "position 104: its checksum is another",
        "position 1002: it overlaps the row before",
    ]
    after = all_rows(directory)["journal"]
    assert after.keys() == (rows["journal"].keys() | {(1_001,)}) - {(104,)}
    assert report.salvaged.kept["journal"] == len(after)


def test_ids_of_rows_that_were_deleted_are_not_given_again(directory: Path) -> None:
    overwrite_page(directory, root_page(directory, "batches"))

    repair_store(directory, NOW)

    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection, connection:
        added = "INSERT INTO outputs (key, kind, body) VALUES ('new', 'stats', x'') RETURNING id"
        assert connection.execute(added).fetchone() == (61,)


def test_sequences_that_are_lost_follow_from_the_deliveries(directory: Path, rows: Rows) -> None:
    change_rows(directory, "UPDATE sequences SET last = 1 WHERE key = 'room-2'")
    change_rows(directory, "DELETE FROM sequences WHERE key IN ('room-3', 'room-4')")
    overwrite_page(directory, root_page(directory, "outputs"))

    report = repair_store(directory, NOW)

    assert report.salvaged.counted_anew == 3
    after = all_rows(directory)["sequences"]
    assert {key: row[2] for key, row in after.items()} == {
        key: row[2] for key, row in rows["sequences"].items()
    }


def test_greenroom_goes_on_with_a_repaired_store(directory: Path) -> None:
    overwrite_page(directory, root_page(directory, "deliveries_in_order"))
    repair_store(directory, NOW)

    bench = OutboxBench(directory)
    bench.open().keep([kept_delivery(500, "room-1")], "notifier")

    assert bench.door.kept(1) == [(500, 10)]  # of 1, 8, 15 … 57
    bench.end()


def test_rows_that_were_deleted_do_not_come_back(directory: Path, rows: Rows) -> None:
    change_rows(directory, "DELETE FROM journal WHERE first < 230", "DELETE FROM outputs")
    left = all_rows(directory)["journal"]
    for table in ("journal", "outputs"):
        overwrite_page(directory, root_page(directory, table))

    repair_store(directory, NOW)

    after = all_rows(directory)
    assert len(left) < len(rows["journal"])
    assert after["journal"].items() <= left.items()
    assert after["outputs"] == {}
