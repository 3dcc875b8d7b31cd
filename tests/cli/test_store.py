from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from greenroom.adapters.database import DATABASE_NAME, DirectoryLock
from greenroom.adapters.schema import MIGRATIONS
from greenroom.cli.app import run
from greenroom.testing.filled_store import (
    INPUTS,
    change_rows,
    fill_store,
    overwrite_page,
    root_page,
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    fill_store(directory, 30)
    return directory


@pytest.fixture
def data_dir(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "store"))


def store(command: str, data_dir: Path, *arguments: str) -> int:
    return run(["store", command, "--data-dir", str(data_dir), *arguments])


def words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("name", ["check", "repair"])
def test_every_command_has_help_with_an_example(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(["store", name, "--help"]) == 0

    assert f"Example: greenroom store {name} --data-dir" in words(capsys.readouterr().out)


# ── check ───────────────────────────────────────────────────────────────────────────────────


def test_a_whole_store_is_told_at_a_glance(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store("check", data_dir) == 0

    assert capsys.readouterr().out == (
        f"data directory  {data_dir}\n"
        "held by         no process\n"
        f"schema          {len(MIGRATIONS)}\n"
        "integrity       ok\n"
        "rows            dead_letters 9, endpoints 2, sequences 7, deliveries 30, "
        "removed_endpoints 1, journal 30, checkpoint 1, checkpoint_workers 29, batches 30, "
        "outputs 29\n"
        f"journal         positions 101 to {100 + 30 * INPUTS}, 30 rows, {30 * INPUTS} inputs, "
        "0 damaged rows\n"
        "checkpoint      position 100\n\n"
        "no damage found\n"
    )


def test_damage_is_status_1_and_says_what_to_do(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_rows(data_dir, "UPDATE journal SET checksum = 0 WHERE first = 104")

    assert store("check", data_dir) == 1

    said = capsys.readouterr().out
    assert "damaged rows    at positions 104\n" in said
    assert "damage: journal_row: journal: the row at position 104 is damaged: its checksum" in said
    assert "    next: stop greenroom and run `greenroom store repair`\n" in said


def test_as_json_it_has_every_field(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_rows(data_dir, "UPDATE journal SET checksum = 0 WHERE first = 104")

    assert store("check", data_dir, "--json") == 1

    found = json.loads(capsys.readouterr().out)
    (one,) = found["stores"]
    assert (found["status"], one["status"], one["process"]) == (1, 1, None)
    assert (one["schema"], one["is_intact"], one["checkpoint"]) == (len(MIGRATIONS), True, 100)
    assert one["tables"]["deliveries"] == 30
    assert one["journal"] == {
        "first": 101,
        "last": 100 + 30 * INPUTS,
        "rows": 30,
        "inputs": 29 * INPUTS,
        "damaged": {"104": "its checksum is another"},
    }
    assert [(each["kind"], each["severity"]) for each in one["findings"]] == [
        ("journal_row", "damage")
    ]


def test_each_shard_of_a_node_is_looked_at_and_the_worst_is_the_status(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    for shard in range(3):
        shutil.copytree(data_dir, node / f"shard-{shard}")
    assert store("check", node) == 0
    overwrite_page(node / "shard-1", root_page(data_dir, "deliveries"))
    capsys.readouterr()

    assert store("check", node, "--json") == 1

    found = json.loads(capsys.readouterr().out)["stores"]
    assert [Path(one["data_dir"]).name for one in found] == ["shard-0", "shard-1", "shard-2"]
    assert [one["status"] for one in found] == [0, 1, 0]


def test_what_cannot_be_looked_at_is_status_2(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_rows(data_dir, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    assert store("check", data_dir) == 2
    assert "unusable: newer: written by a newer greenroom" in capsys.readouterr().out

    (tmp_path / "other" / DATABASE_NAME).mkdir(parents=True)
    assert store("check", tmp_path / "other") == 2
    assert "unusable: not_a_file: greenroom.db is no file" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["check", "repair"])
def test_a_directory_without_a_store_is_a_mistake_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert store(name, tmp_path) == 2

    assert "there is no greenroom.db in" in words(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


# ── repair ──────────────────────────────────────────────────────────────────────────────────


def test_a_repair_says_what_was_kept_and_lost_and_where_the_damaged_file_is(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overwrite_page(data_dir, root_page(data_dir, "batches"))

    assert store("repair", data_dir) == 0

    said = capsys.readouterr().out
    (backup,) = data_dir.glob(f"{DATABASE_NAME}.damaged-*")
    assert "deliveries 30" in said
    assert "rows or pages lost   batches 1\n    batches: page " in said
    assert f"damaged file    {backup}\n" in said
    assert store("check", data_dir) == 0


def test_a_dry_run_changes_nothing_and_says_so(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overwrite_page(data_dir, root_page(data_dir, "batches"))

    assert store("repair", data_dir, "--dry-run") == 0

    assert "rows or pages would be lost   batches 1\n" in (said := capsys.readouterr().out)
    assert said.endswith("nothing was changed\n")
    assert store("check", data_dir) == 1


def test_a_whole_store_is_not_repaired(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (data_dir / DATABASE_NAME).stat().st_ino

    assert store("repair", data_dir) == 0

    assert "no damage found; nothing was changed" in capsys.readouterr().out
    assert (data_dir / DATABASE_NAME).stat().st_ino == before


def test_a_repair_as_json_names_every_loss(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_rows(data_dir, "UPDATE journal SET checksum = 0")

    assert store("repair", data_dir, "--json") == 0

    (one,) = json.loads(capsys.readouterr().out)["stores"]
    assert one["was_damaged"] is True
    assert len([lost for lost in one["lost"] if lost["table"] == "journal"]) == 30
    assert one["kept"]["deliveries"] == 30
    assert len(one["backups"]) == 1


def test_a_repair_is_refused_while_a_process_holds_one_of_the_directories(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    for shard in range(2):
        part = Path(shutil.copytree(data_dir, node / f"shard-{shard}"))
        overwrite_page(part, root_page(part, "batches"))
    lock = DirectoryLock(node / "shard-1")

    assert store("repair", node) == 2

    assert f"in use by process {os.getpid()}" in capsys.readouterr().err
    lock.release()
    for shard in range(2):
        assert list((node / f"shard-{shard}").glob("*.damaged-*")) == []


def test_a_store_that_is_damaged_tells_other_commands_what_to_do(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / DATABASE_NAME).write_bytes(b"no database at all" * 100)

    assert run(["status", "--data-dir", str(data_dir)]) == 2

    said = capsys.readouterr().err
    assert f"greenroom store check --data-dir {data_dir}" in said
    assert "greenroom store repair" in said
