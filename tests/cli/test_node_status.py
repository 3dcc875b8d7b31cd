from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from greenroom.cli.app import run
from greenroom.testing.nodes import serving
from greenroom.testing.samples import participant, room


def test_a_node_is_shown_by_its_shards(capsys: pytest.CaptureFixture[str]) -> None:
    with serving("--shards", "2", "--node-id", "one") as node, node.connect() as telemetry:
        telemetry.participant_joined(room(), participant("PA_1"), None, None, False, 1)
        assert telemetry.sync()

        assert run(["status", "--node", node.address]) == 0
        table = capsys.readouterr().out
        assert run(["status", "--node", node.address, "--json"]) == 0
        (first, second) = json.loads(capsys.readouterr().out)["shards"]

    assert "one/0" in table
    assert "one/1" in table
    assert first["workers"] + second["workers"] == 1
    assert {first["shard"], second["shard"]} == {0, 1}


def test_without_a_node_it_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="gr-") as directory:
        monkeypatch.setenv("GREENROOM_ADDRESS", directory)

        assert run(["status"]) != 0

    assert f"greenroom serve --listen {directory}" in capsys.readouterr().err


def test_a_node_of_another_machine_is_asked_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--node", "tls://node:7800"]) != 0
    assert "Unix sockets" in capsys.readouterr().err


def test_either_a_node_or_a_data_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--node", "/x", "--data-dir", str(tmp_path)]) != 0
    assert "either a node or a data directory" in capsys.readouterr().err
