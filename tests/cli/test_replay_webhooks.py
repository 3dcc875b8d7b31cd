from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import greenroom
from greenroom.cli.app import run
from greenroom.replay.receiver import Receiver

KEY, SECRET = "mykey", "s3cret of 32 characters or longer"
ROOM = '"room":{"sid":"RM_1","name":"attic","creation_time":"1700000000"}'
STARTED = f'{{"at":1,"call":"room_started","args":{{{ROOM}}}}}\n'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording that makes one webhook."""
    monkeypatch.setenv("GREENROOM_API_SECRET", SECRET)
    path = tmp_path / "calls.jsonl"
    path.write_text(STARTED)
    return path


@pytest.fixture
def refusing_url() -> Iterator[str]:
    clock = greenroom.VirtualClock(1_700_000_000 * 10**9)
    receiver = Receiver({KEY: SECRET}, clock, on_received=lambda _: None, answer=lambda _: 403)
    yield receiver.url
    receiver.close()


def test_a_webhook_that_failed_is_shown_with_its_reason_and_fails_the_replay(
    path: Path, refusing_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(["replay", str(path), "--webhook-url", refusing_url, "--api-key", KEY])

    shown = capsys.readouterr()
    assert status == 1
    assert "webhook room_started FAILED: " in shown.err
    assert "403" in shown.err
    assert "greenroom: 1 webhooks were not delivered" in shown.err
    assert "1 failed" in shown.out


def test_a_webhook_that_failed_is_in_the_json_too(
    path: Path, refusing_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(["replay", str(path), "--webhook-url", refusing_url, "--api-key", KEY, "--json"])

    summary = json.loads(capsys.readouterr().out)
    assert status == 1
    assert summary["webhooks"] == {"failure": 1}
    assert summary["undelivered"] == 1
    assert summary["dropped"] == {}


def test_a_webhook_that_was_dropped_is_shown_and_fails_the_replay(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook = {"url": "http://127.0.0.1:9/", "signing_key": "unknown"}
    composite = {"room_name": "attic", "webhooks": [webhook]}
    info = {"egress_id": "EG_1", "room_name": "attic", "room_composite": composite}
    path.write_text(json.dumps({"at": 1, "call": "egress_started", "args": {"info": info}}))

    assert run(["replay", str(path), "--receiver"]) == 1

    shown = capsys.readouterr()
    assert "webhook egress_started DROPPED" in shown.err
    assert "greenroom: 1 webhooks were not delivered" in shown.err
    assert "1 delivered, 1 dropped" in shown.out
    assert "1 webhooks" in shown.out


def test_a_url_that_cannot_be_used_is_refused_before_anything_is_opened(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "analytics.jsonl"
    kept.write_text("of an earlier replay")
    options = ["--webhook-url", "localhost:8080", "--api-key", KEY, "--analytics-out", str(kept)]

    assert run(["replay", str(path), *options]) == 2

    assert "greenroom: --webhook-url: expected http" in capsys.readouterr().err
    assert kept.read_text() == "of an earlier replay"


def test_an_output_that_is_the_recording_is_refused_and_it_is_kept(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", str(path), "--analytics-out", str(path)]) == 2

    assert "FILE and --analytics-out are the same file" in capsys.readouterr().err
    assert path.read_text() == STARTED
