from __future__ import annotations

import gzip
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.adapters.database import DATABASE_NAME
from greenroom.cli.app import run
from greenroom.core.times import NS_PER_SECOND
from greenroom.messages.calls import FlushStats, RoomEnded, RoomStarted
from greenroom.messages.control import Started
from greenroom.messages.stats import FlushTick
from greenroom.replay.recording import RecordedCall, Recording
from greenroom.testing.journals import Row, write_journal
from greenroom.testing.samples import room

BEGIN_NS = 1_700_000_000 * NS_PER_SECOND


def second(number: float) -> int:
    return BEGIN_NS + round(number * NS_PER_SECOND)


ROWS: list[Row] = [
    (second(1.5), [Started(1), RoomStarted(room())]),
    (second(2), [FlushStats()]),
    (second(30), [FlushTick(1)]),
    (second(31.000000001), [RoomEnded(room())]),
]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_journal(tmp_path / "data", ROWS)
    return tmp_path / "data"


@pytest.fixture
def export(tmp_path: Path, data_dir: Path) -> Callable[..., list[RecordedCall]]:
    """The calls that an export of the data directory has; it must succeed."""

    def export(*options: str, directory: Path = data_dir) -> list[RecordedCall]:
        file = tmp_path / "calls.jsonl"
        assert (
            run(["journal", "export", "--data-dir", str(directory), "-o", str(file), *options])
            == 0
        )
        if not file.stat().st_size:
            return []
        with Recording(file) as recording:
            return list(recording)

    return export


def spoil(directory: Path, first: int) -> None:
    with closing(sqlite3.connect(directory / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE journal SET at_ns = at_ns + 1 WHERE first = ?", (first,))


def seconds(calls: list[RecordedCall]) -> list[tuple[str, float]]:
    return [(call.name, call.at_ns / NS_PER_SECOND) for call in calls]


def test_it_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["journal", "export", "--help"]) == 0

    assert "Example: greenroom journal export" in " ".join(capsys.readouterr().out.split())


def test_calls_have_their_times_and_the_summary_says_what_is_missing_and_how_to_play_it(
    export: Callable[..., list[RecordedCall]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    calls = export()

    assert seconds(calls) == [
        ("room_started", 1.5),
        ("flush_stats", 2),
        ("room_ended", 31.000000001),
    ]
    assert capsys.readouterr().err.splitlines() == [
        'greenroom: exported 3 calls of 31.0 s; "at" 0 is 2023-11-14 22:13:20 UTC',
        "greenroom: left out, as a recording has no such calls: 1 Started, 1 FlushTick",
        f"greenroom: play it: greenroom replay {tmp_path}/calls.jsonl "
        "--start-unix 1700000000.000000000",
    ]


def test_the_exported_file_replays(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl.gz"

    assert run(["journal", "export", "--data-dir", str(data_dir), "-o", str(file)]) == 0
    assert run(["replay", str(file), "-q"]) == 0

    assert gzip.decompress(file.read_bytes()).startswith(b'{"at":1.5,"call":"room_started"')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600  # it has what the database has


def test_without_a_file_the_calls_are_on_standard_output_alone(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["journal", "export", "--data-dir", str(data_dir)]) == 0

    out = capsys.readouterr().out
    assert [line[:8] for line in out.splitlines()] == ['{"at":1.', '{"at":2.', '{"at":31']


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--after", "2"], ["flush_stats", "room_ended"]),
        (["--since", "2023-11-14T22:13:22"], ["flush_stats", "room_ended"]),
        (["--until", "2023-11-14T22:13:22"], ["room_started"]),
        (["--since", "1h"], []),
        (["--room", "lobby"], ["room_started", "flush_stats", "room_ended"]),
        (["--room", "attic"], ["flush_stats"]),
    ],
)
def test_a_part_can_be_chosen(
    export: Callable[..., list[RecordedCall]], options: list[str], names: list[str]
) -> None:
    assert [call.name for call in export(*options)] == names


def test_a_damaged_row_is_named_and_the_rest_is_written(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(data_dir, 3)

    assert run(["journal", "export", "--data-dir", str(data_dir)]) == 1

    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err.startswith("greenroom: position 3: damaged: its checksum is another\n")


def test_an_empty_journal_gives_an_empty_file(
    tmp_path: Path, export: Callable[..., list[RecordedCall]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path / "empty", [])

    assert export(directory=tmp_path / "empty") == []
    assert capsys.readouterr().err == "greenroom: the journal has nothing like that\n"


@pytest.mark.parametrize("command", ["export", "tail"])
def test_a_directory_that_is_missing_or_has_no_database_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(["journal", command, "--data-dir", str(tmp_path / "none")]) == 2
    assert run(["journal", command, "--data-dir", str(tmp_path)]) == 2

    assert f"there is no {DATABASE_NAME}" in " ".join(capsys.readouterr().err.split())


def test_the_shards_of_a_node_are_merged_by_time_and_damage_is_told_with_the_shard(
    tmp_path: Path, export: Callable[..., list[RecordedCall]], capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    write_journal(
        node / "shard-10", [(second(1), [RoomStarted(room())]), (second(3), [FlushStats()])]
    )
    write_journal(node / "shard-2", [(second(2), [RoomEnded(room())])])
    (node / "shard-3").mkdir()

    assert seconds(export(directory=node)) == [
        ("room_started", 0),
        ("room_ended", 1),
        ("flush_stats", 2),
    ]
    spoil(node / "shard-10", 1)
    assert run(["journal", "export", "--data-dir", str(node)]) == 1
    assert "shard-10: position 1: damaged" in capsys.readouterr().err
    assert run(["journal", "export", "--data-dir", str(node), "--after", "1"]) == 2
    assert "positions of its own" in capsys.readouterr().err


def test_the_database_itself_is_not_written_over(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (data_dir / DATABASE_NAME).read_bytes()

    path = str(data_dir / DATABASE_NAME)
    assert run(["journal", "export", "--data-dir", str(data_dir), "-o", path]) == 2

    assert (data_dir / DATABASE_NAME).read_bytes() == before
    assert "are the same file" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")

    assert run(["journal", "export", "--data-dir", str(data_dir), "-o", "/dev/full"]) == 1

    assert "No space left on device" in capsys.readouterr().err
