from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.database import DATABASE_NAME, open_owned
from greenroom.adapters.page_image import LogImage, read_log
from greenroom.adapters.store_check import check_store
from greenroom.adapters.store_repair import repair_store
from greenroom.adapters.store_report import FindingKind, Severity, StoreReport
from greenroom.testing.filled_store import Rows, all_rows, fill_store, killed_copy, write_journal

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
WAL: Final = f"{DATABASE_NAME}-wal"
SHM: Final = f"{DATABASE_NAME}-shm"
HEAD: Final = 32  # bytes of the log's head
FRAME: Final = 24 + 4_096
LAST: Final = 999  # position of the checkpoint that is written last, in a frame of its own


def write(connection: sqlite3.Connection) -> None:
    write_journal(connection, 1_001, 5)
    connection.execute(f"UPDATE checkpoint SET position = {LAST}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    fill_store(directory, 30)
    return directory


@pytest.fixture(scope="module")
def crashed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a process that was killed: the end of the journal and the checkpoint are in the log."""
    directory = tmp_path_factory.mktemp("crashed")
    shutil.copy(filled / DATABASE_NAME, directory)
    return killed_copy(directory, directory / "killed", write)


@pytest.fixture
def killed(crashed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(crashed, tmp_path / "killed"))


@pytest.fixture(scope="module")
def rows(crashed: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What was committed."""
    return all_rows(Path(shutil.copytree(crashed, tmp_path_factory.mktemp("rows") / "copy")))


def log_findings(report: StoreReport) -> list[Severity]:
    return [one.severity for one in report.findings if one.kind is FindingKind.LOG]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def test_the_log_is_read_as_sqlite_reads_it_wherever_it_is_cut_off(
    crashed: Path, tmp_path: Path
) -> None:
    whole = (crashed / WAL).read_bytes()
    copy = tmp_path / DATABASE_NAME
    before: LogImage | None = None
    for size in range(len(whole) - FRAME, len(whole)):
        (tmp_path / WAL).write_bytes(whole[:size])
        found = read_log(copy)
        before = before or found
        assert (found.offsets, found.page_count) == (before.offsets, before.page_count), size
        assert found.torn == (size > len(whole) - FRAME), size
        assert (found.damaged, found.is_header_damaged) == (0, False)
    (tmp_path / WAL).write_bytes(whole)
    assert before is not None
    assert set(read_log(copy).offsets) >= set(before.offsets)
    assert read_log(copy).offsets != before.offsets


def test_after_a_power_cut_a_torn_end_is_no_damage_and_all_before_it_is_there(
    crashed: Path, killed: Path, tmp_path: Path
) -> None:
    whole = (crashed / WAL).read_bytes()
    (killed / SHM).unlink()
    sizes = [len(whole) - FRAME + by for by in (1, 23, 24, 25, 2_000, FRAME - 1)]
    for size in sizes:
        (killed / WAL).write_bytes(whole[:size])

        report = check_store(killed)

        assert log_findings(report) == [Severity.NOTE]
        assert not report.has(Severity.DAMAGE)
        assert report.journal is not None
        assert report.journal.rows == 35
        assert report.checkpoint == 100
        assert repair_store(killed, NOW).backups == ()  # nothing to do


def test_what_is_read_of_the_log_is_what_sqlite_has_for_the_next_process(
    crashed: Path, tmp_path: Path
) -> None:
    whole = (crashed / WAL).read_bytes()
    for number, size in enumerate(range(0, len(whole) + 1, FRAME // 3)):
        one = Path(shutil.copytree(crashed, tmp_path / str(number)))
        (one / SHM).unlink()
        (one / WAL).write_bytes(whole[:size])

        report = check_store(one)

        open_owned(one).close()
        assert report.tables == {name: len(found) for name, found in all_rows(one).items()}


def test_frames_that_were_committed_and_are_gone_are_damage(killed: Path) -> None:
    whole = (killed / WAL).read_bytes()
    (killed / WAL).write_bytes(whole[:-1])

    report = check_store(killed)

    assert log_findings(report) == [Severity.DAMAGE]
    assert "the last 1 pages that were committed are not in it" in report.findings[0].text


@pytest.mark.parametrize("content", [None, b"", b"torn"], ids=["missing", "empty", "torn"])
def test_a_log_that_is_gone_is_damage_and_a_repair_ends_that(
    killed: Path, content: bytes | None
) -> None:
    (killed / WAL).unlink()
    if content is not None:
        (killed / WAL).write_bytes(content)
    assert log_findings(check_store(killed)) == [Severity.DAMAGE]

    repair_store(killed, NOW)

    assert check_store(killed).findings == []
    assert len(all_rows(killed)["journal"]) == 30


def test_a_log_that_was_copied_back_may_go(filled: Path, tmp_path: Path) -> None:
    def write_back(connection: sqlite3.Connection) -> None:
        write(connection)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    shutil.copy(filled / DATABASE_NAME, tmp_path)
    copy = killed_copy(tmp_path, tmp_path / "killed", write_back)
    (copy / WAL).unlink()

    report = check_store(copy)

    assert report.findings == []
    assert report.checkpoint == LAST


@pytest.mark.parametrize("at", [0, 9, 17, 26, HEAD + 2, HEAD + 9, HEAD + 18, HEAD + 2_000])
def test_what_is_behind_damage_in_the_log_is_kept_although_sqlite_passes_it_over(
    killed: Path, rows: Rows, at: int
) -> None:
    flip(killed / WAL, at)

    assert Severity.DAMAGE in log_findings(check_store(killed))
    repair_store(killed, NOW)

    assert check_store(killed).findings == []
    after = all_rows(killed)
    assert after["checkpoint"] == rows["checkpoint"]
    if at < HEAD:
        assert after == rows
    else:
        assert set(after["journal"]) >= {(1_013,)}


def test_pages_of_an_earlier_round_of_the_log_are_no_damage(filled: Path, tmp_path: Path) -> None:
    def write_again(connection: sqlite3.Connection) -> None:
        write(connection)
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.execute("UPDATE checkpoint SET position = 77")

    shutil.copy(filled / DATABASE_NAME, tmp_path)
    copy = killed_copy(tmp_path, tmp_path / "killed", write_again)
    assert (copy / WAL).stat().st_size > HEAD + 2 * FRAME

    report = check_store(copy)

    assert report.findings == []
    assert report.checkpoint == 77


def test_a_database_that_is_gone_gives_what_its_log_has(killed: Path) -> None:
    (killed / DATABASE_NAME).unlink()

    repair_store(killed, NOW)

    assert check_store(killed).findings == []
    with closing(sqlite3.connect(killed / DATABASE_NAME)) as connection:
        found = connection.execute("SELECT max(first) FROM journal").fetchone()
    assert found == (1_013,)


def test_whatever_is_damaged_in_the_log_all_that_sqlite_would_have_is_kept(
    crashed: Path, tmp_path: Path
) -> None:
    whole = (crashed / WAL).read_bytes()
    for seed in range(60):
        chance = random.Random(seed)
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        one = Path(shutil.copytree(crashed, tmp_path / str(seed)))
        (one / WAL).write_bytes(content)
        left = all_rows(Path(shutil.copytree(one, tmp_path / f"{seed}-sqlite")))

        assert check_store(one).has(Severity.DAMAGE), seed
        assert (one / WAL).read_bytes() == content
        repair_store(one, NOW)

        assert check_store(one).findings == [], seed
        after = all_rows(one)
        for table, rows in left.items():
            assert rows.keys() <= after[table].keys(), (seed, table)
