from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from greenroom.adapters.database import open_owned
from greenroom.cli.app import run
from greenroom.core.times import NS_PER_SECOND
from greenroom.messages.calls import RoomEnded, RoomStarted, TrackStats, TrackStatsBatch
from greenroom.messages.stats import FlushTick
from greenroom.testing.journals import Row, write_journal
from greenroom.testing.samples import ROOM_ID, ROOM_NAME, joined, key, room, stat

from .test_journal_export import spoil

BEGIN_NS = 1_700_000_000 * NS_PER_SECOND
MAIN = "from greenroom.cli import main; main()"
STATS = TrackStats(ROOM_ID, ROOM_NAME, key(), stat().SerializeToString())
ROWS: list[Row] = [
    (BEGIN_NS, [RoomStarted(room())]),
    (BEGIN_NS + 5_000_000, [joined(), STATS]),
    (BEGIN_NS + NS_PER_SECOND, [TrackStatsBatch((STATS, STATS)), FlushTick(7)]),
]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_journal(tmp_path, ROWS)
    return tmp_path


def tail(data_dir: Path, *options: str) -> int:
    return run(["journal", "tail", "--data-dir", str(data_dir), *options])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@contextmanager
def followed(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that follows, and prints JSON."""
    options = ["journal", "tail", "--follow", "--json", "--data-dir", str(data_dir)]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def test_it_has_help_that_says_what_the_journal_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["journal", "tail", "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert "The journal has what came since the last flush" in text
    assert "Example: greenroom journal tail" in text


def test_each_input_has_a_line_that_says_what_it_is_about(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")

    assert tail(data_dir) == 0

    head, *rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert head == "position when (UTC) input room participant details"
    assert rows == [
        "1 2023-11-14 22:13:20.000 room_started lobby",
        "2 2023-11-14 22:13:20.005 participant_joined lobby alice guard 1",
        "3 2023-11-14 22:13:20.005 track_stats lobby PA_alice upstream TR_1",
        "4 2023-11-14 22:13:21.000 track_stats lobby PA_alice 2 statistics",
        "5 2023-11-14 22:13:21.000 FlushTick tick 7",
    ]


def test_the_last_ones_can_be_had_as_json_with_arguments_as_in_a_recording(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tail(data_dir, "-n", "3", "--json") == 0

    sample, batch, tick = lines(capsys)
    assert (sample["position"], sample["at_ns"]) == (3, BEGIN_NS + 5_000_000)
    assert sample["input"] == "track_stats"
    assert sample["args"]["key"]["stream_type"] == "UPSTREAM"
    assert batch["args"] == {"calls": [sample["args"], sample["args"]]}
    assert (tick["input"], tick["args"]) == ("FlushTick", {"number": 7})


def test_positions_without_an_input_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path, [(1, [RoomStarted(room())])])
    write_journal(tmp_path, [(2, [RoomEnded(room())])], first=1_000)

    assert tail(tmp_path, "-n", "2", "--json") == 0

    assert [line["position"] for line in lines(capsys)] == [1, 1_000]


def test_an_empty_journal_is_said_to_be_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path, [])

    assert tail(tmp_path) == 0

    assert capsys.readouterr().out == "the journal is empty\n"


def test_a_damaged_row_has_its_line(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data_dir, 2)

    assert tail(data_dir, "--json") == 1

    assert [line.get("error") for line in lines(capsys)] == [
        None,
        "its checksum is another",
        None,
        None,
    ]


def test_shards_are_merged_by_time_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(tmp_path / "shard-0", [(1, [RoomStarted(room())]), (3, [FlushTick(1)])])
    write_journal(tmp_path / "shard-1", [(2, [RoomEnded(room())])])

    assert tail(tmp_path, "-n", "2", "--json") == 0

    assert [(line["shard"], line["input"]) for line in lines(capsys)] == [
        ("shard-1", "room_ended"),
        ("shard-0", "FlushTick"),
    ]


def test_what_comes_is_followed_until_ctrl_c_also_when_rows_are_deleted(data_dir: Path) -> None:
    with followed(data_dir) as process:
        assert [next_line(process)["position"] for _ in range(5)] == [1, 2, 3, 4, 5]

        write_journal(data_dir, [(BEGIN_NS * 2, [RoomEnded(room())])], first=6)
        assert next_line(process)["input"] == "room_ended"

        with closing(open_owned(data_dir)) as connection:
            connection.execute("DELETE FROM journal")
        write_journal(data_dir, [(BEGIN_NS * 2, [FlushTick(9)])], first=7)
        assert next_line(process)["args"] == {"number": 9}

        process.send_signal(signal.SIGINT)
        out, err = process.communicate()

    assert process.returncode == 130
    assert (out, err.strip()) in [("", ""), ("", "Aborted.")]


def test_following_ends_when_nobody_reads_any_more(data_dir: Path) -> None:
    with followed(data_dir) as process:
        next_line(process)
        assert process.stdout is not None
        process.stdout.close()

        assert process.wait() in (0, 1)
        assert process.stderr is not None
        assert process.stderr.read() == ""
