"""Dead letters in a data directory: they outlive the process, and the command line sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from livekit.protocol.analytics import AnalyticsEvent
from typer.testing import CliRunner

import greenroom
from greenroom.actors.children import ChildClasses
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import StatsWorker
from greenroom.cli.app import app
from greenroom.errors import ConfigError
from greenroom.messages import calls
from greenroom.messages.outputs import RecordEvent
from greenroom.messages.stats import TrackStat
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.fragile import Fault, fragile
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.samples import ROOM_ID, ROOM_NAME, key, participant, room, stat


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


def test_the_command_line_has_a_running_process_replay_a_sample(tmp_path: Path) -> None:
    fault, analytics = Fault(), RecordingAnalytics()
    worker = fragile(StatsWorker, TrackStat, fault=fault)
    with greenroom.start(
        analytics=analytics,
        children=ChildClasses(worker=worker),
        flush_interval_seconds=None,
        data_dir=tmp_path,
    ) as telemetry:
        telemetry.participant_joined(room(), participant(), None, None, False, telemetry.guard())
        telemetry.track_stats(ROOM_ID, ROOM_NAME, key(), stat(13))
        telemetry.sync()
        fault.mended = True

        said = CliRunner().invoke(
            app, ["dead-letters", "replay", "1", "--data-dir", str(tmp_path)]
        )

        assert (said.exit_code, "marked 1 dead letter" in said.output) == (0, True), said.output
        assert fault.digested.wait(PATIENCE_SECONDS)
    assert [each.streams[0].primary_packets for each in analytics.stats] == [13]


def test_what_the_command_line_marks_while_nothing_runs_comes_at_the_next_start(
    tmp_path: Path,
) -> None:
    fault, analytics = Fault(), RecordingAnalytics()
    children = ChildClasses(recorder=fragile(Recorder, RecordEvent, fault=fault))
    with greenroom.start(children=children, data_dir=tmp_path) as telemetry:
        telemetry.send_event(AnalyticsEvent(room_id=ROOM_ID))
    fault.mended = True

    said = CliRunner().invoke(
        app, ["dead-letters", "replay", "--all", "--data-dir", str(tmp_path)]
    )

    assert (said.exit_code, "marked 1 dead letter" in said.output) == (0, True), said.output
    with greenroom.start(analytics=analytics, children=children, data_dir=tmp_path):
        assert fault.digested.wait(PATIENCE_SECONDS)
    assert [event.room_id for event in analytics.events] == [ROOM_ID]
