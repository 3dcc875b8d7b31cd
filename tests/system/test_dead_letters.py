"""Dead letters in a data directory: they outlive the process, and the command line sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import greenroom
from greenroom.cli.app import app
from greenroom.errors import ConfigError
from greenroom.messages import calls
from greenroom.testing.samples import ROOM_ID, ROOM_NAME, key


def test_poison_is_still_there_after_a_restart_and_the_command_line_lists_it(
    tmp_path: Path,
) -> None:
    with greenroom.start(data_dir=tmp_path) as telemetry:
        telemetry._tell(calls.TrackStats(ROOM_ID, ROOM_NAME, key(), b"\xff"))
        telemetry.sync()

    with greenroom.start(data_dir=str(tmp_path)) as again:
        (kept,) = again.dead_letters.list()
    listed = CliRunner().invoke(
        app, ["dead-letters", "list", "--data-dir", str(tmp_path), "--json"]
    )

    assert (kept.letter.actor, kept.letter.message) == ("Supervisor", "TrackStats")
    assert listed.exit_code == 0
    assert "TrackStats" in listed.output


def test_one_process_at_a_time_holds_a_data_directory(tmp_path: Path) -> None:
    with (
        greenroom.start(data_dir=tmp_path),
        pytest.raises(ConfigError, match="is in use by process"),
    ):
        greenroom.start(data_dir=tmp_path)


def test_a_start_that_fails_lets_go_of_the_directory(tmp_path: Path) -> None:
    with greenroom.start(metrics_port=0) as other, pytest.raises(ConfigError, match="port"):
        greenroom.start(data_dir=tmp_path, metrics_port=other.metrics_port)

    with greenroom.start(data_dir=tmp_path) as telemetry:
        assert telemetry.dead_letters.list() == ()


def test_a_start_that_fails_lets_go_of_the_port(tmp_path: Path) -> None:
    with greenroom.start(metrics_port=0) as earlier:
        port = earlier.metrics_port
    with greenroom.start(data_dir=tmp_path), pytest.raises(ConfigError, match="in use"):
        greenroom.start(data_dir=tmp_path, metrics_port=port)

    with greenroom.start(metrics_port=port) as telemetry:
        assert telemetry.metrics_port == port
