"""A file beside the database says what its process cannot do with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from greenroom.adapters.store_trouble import (
    SPARE_NAME,
    TROUBLE_NAME,
    StoreTrouble,
    TroubleFile,
    read_trouble,
)
from greenroom.errors import StoreError


def failure(kind: str = "disk_full", reason: str = "full") -> StoreError:
    return StoreError(Path("/d/greenroom.db"), reason, kind)


def blocks(path: Path) -> int:
    return path.stat().st_blocks


def test_it_is_there_from_the_first_failure_until_a_write_succeeds(tmp_path: Path) -> None:
    file = TroubleFile(tmp_path)
    assert read_trouble(tmp_path) is None

    file.leave(failure(), 7, wrote=True)
    file.leave(failure(), 9, wrote=True)  # the same as before
    file.mended(wrote=False)  # to read is no proof

    assert read_trouble(tmp_path) == StoreTrouble(7, "disk_full", "full", os.getpid())
    file.leave(failure("io", "no quota"), 11, wrote=True)
    assert read_trouble(tmp_path) == StoreTrouble(11, "io", "no quota", os.getpid())
    file.mended(wrote=True)
    assert read_trouble(tmp_path) is None
    assert not (tmp_path / TROUBLE_NAME).exists()


def test_what_a_look_could_not_read_is_mended_by_a_look(tmp_path: Path) -> None:
    file = TroubleFile(tmp_path)
    file.leave(failure("corrupt", "malformed"), 7, wrote=False)
    assert read_trouble(tmp_path) is not None

    file.mended(wrote=False)

    assert read_trouble(tmp_path) is None


def test_what_the_process_before_left_goes_with_the_first_write(tmp_path: Path) -> None:
    TroubleFile(tmp_path).leave(failure(), 7, wrote=True)

    file = TroubleFile(tmp_path)
    file.mended(wrote=False)
    assert read_trouble(tmp_path) is not None

    file.mended(wrote=True)
    assert read_trouble(tmp_path) is None


def test_it_takes_its_room_beforehand_and_no_more_later(tmp_path: Path) -> None:
    file = TroubleFile(tmp_path)
    (before,) = tmp_path.iterdir()
    taken = blocks(before), before.stat().st_ino

    for number in range(3):
        file.leave(failure(reason="ü\x00" * 10_000), number, wrote=True)
        (path,) = tmp_path.iterdir()
        assert (blocks(path), path.stat().st_ino) == taken
        assert path.name == TROUBLE_NAME
        file.mended(wrote=True)

    assert (tmp_path / SPARE_NAME).stat().st_ino == taken[1]


def test_where_nothing_can_be_left_nothing_is(tmp_path: Path) -> None:
    file = TroubleFile(tmp_path / "gone")
    file.leave(failure(), 7, wrote=True)
    file.mended(wrote=True)

    assert read_trouble(tmp_path / "gone") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"at_ns": 1}', "\xff"])
def test_what_is_no_such_file_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / TROUBLE_NAME).write_text(text, "latin-1")
    assert read_trouble(tmp_path) is None


def test_what_has_other_types_is_none(tmp_path: Path) -> None:
    row = {"at_ns": "7", "kind": "io", "reason": "full", "pid": 1}
    (tmp_path / TROUBLE_NAME).write_text(json.dumps(row))
    assert read_trouble(tmp_path) is None
