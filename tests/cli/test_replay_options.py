from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import greenroom
from greenroom.cli.app import run
from greenroom.replay.receiver import Received, Receiver

STARTED = (
    '{"at":1,"call":"room_started","args":{"room":{"sid":"RM_1","name":"attic",'
    '"creation_time":"1700000000"}}}\n'
)
ENDED = '{"at":2,"call":"room_ended","args":{"room":{"sid":"RM_1","name":"attic"}}}\n'

Json: TypeAlias = dict[str, Any]


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines))
    return path


def read(path: Path) -> list[Json]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_a_webhook_goes_to_every_url_signed_with_the_given_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENROOM_API_SECRET", "s3cret of 32 characters or longer")
    keys = {"mykey": "s3cret of 32 characters or longer"}
    clock = greenroom.VirtualClock(1_700_000_000 * 10**9)
    requests: list[Received] = []
    receivers = [Receiver(keys, clock, on_received=requests.append) for _ in range(2)]
    urls = [text for one in receivers for text in ("--webhook-url", one.url)]
    path = write(tmp_path / "a", STARTED, ENDED)

    status = run(["replay", str(path), *urls, "--api-key", "mykey", "--receiver", "--json"])

    for receiver in receivers:
        receiver.close()
    assert status == 0
    assert sorted(one.event.event for one in requests) == [
        "room_finished",
        "room_finished",
        "room_started",
        "room_started",
    ]
    assert [one.problem for one in requests] == [""] * 4
    assert json.loads(capsys.readouterr().out)["received"] == 2


def test_webhooks_that_cannot_be_signed_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GREENROOM_API_SECRET", raising=False)
    path = write(tmp_path / "a", STARTED)

    status = run(["replay", str(path), "--webhook-url", "http://127.0.0.1:9/", "--api-key", "k"])

    assert status == 2

    assert "GREENROOM_API_SECRET" in capsys.readouterr().err


def test_webhooks_that_wait_for_their_next_attempt_at_the_end_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENROOM_API_SECRET", "s3cret of 32 characters or longer")
    path = write(tmp_path / "a", STARTED)
    url = "http://127.0.0.1:9/"  # nobody listens on the discard port

    webhooks = ["--webhook-url", url, "--api-key", "k"]
    assert run(["replay", str(path), "-q", *webhooks]) == 1

    shown = capsys.readouterr()
    assert "1 lost at the end: not delivered in time" in shown.out
    assert "1 webhook_unfinished" in shown.out
    assert "greenroom: 1 webhooks were not delivered" in shown.err

    assert run(["replay", str(path), "--json", *webhooks]) == 1

    assert json.loads(capsys.readouterr().out)["dropped"] == {"webhook_unfinished": 1}


def test_quiet_shows_the_summary_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["replay", str(write(tmp_path / "a", STARTED, ENDED)), "--quiet"]) == 0

    shown = capsys.readouterr()
    assert shown.err == ""
    assert "what happened" in shown.out


def test_the_start_may_be_given(tmp_path: Path) -> None:
    path, file = write(tmp_path / "a", ENDED), tmp_path / "analytics.jsonl"

    run(["replay", str(path), "-q", "--start-unix", "1e9", "--analytics-out", str(file)])

    (line,) = read(file)
    assert line["at"] == 2
    assert line["event"]["timestamp"] == "2001-09-09T01:46:42Z"


def test_the_start_may_be_given_to_the_nanosecond(tmp_path: Path) -> None:
    path, file = write(tmp_path / "a", ENDED), tmp_path / "analytics.jsonl"
    start = "1795473543.636366603"  # a float of today has steps of 200 ns

    run(["replay", str(path), "-q", "--start-unix", start, "--analytics-out", str(file)])

    assert read(file)[0]["event"]["timestamp"] == "2026-11-23T22:39:05.636366603Z"


def test_the_start_follows_from_the_recording_otherwise(tmp_path: Path) -> None:
    path, file = write(tmp_path / "a", STARTED, ENDED), tmp_path / "analytics.jsonl"

    assert run(["replay", str(path), "-q", "--analytics-out", str(file)]) == 0

    assert read(file)[1]["event"]["timestamp"] == "2023-11-14T22:13:21Z"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ('{"at":1.5,"call":"room_begun","args":{}}', "no call is named 'room_begun'"),
        ('{"at":1.5,"call":"room_ended","args":{"room":{"x":1}}}', 'no field named "x"'),
        ('{"at":0.5,"call":"flush_stats","args":{}}', "0.5 s comes after 1 s"),
    ],
)
def test_a_bad_line_is_named_and_what_came_before_it_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, problem: str
) -> None:
    path = write(tmp_path / "calls.jsonl", STARTED, line + "\n", ENDED)
    files = [tmp_path / name for name in ("analytics.jsonl", "metrics.txt", "call.svg")]
    analytics, metrics, picture = files
    options = ["--analytics-out", str(analytics), "--metrics-out", str(metrics)]

    assert run(["replay", str(path), *options, "--plot", str(picture), "--receiver"]) == 2

    shown = capsys.readouterr()
    assert f"greenroom: {path}:2: " in shown.err
    assert problem in shown.err
    assert "1 delivered, the receiver verified 1 requests" in shown.out
    assert read(analytics)[0]["event"]["room"]["name"] == "attic"
    assert "livekit_webhook_dispatch_total{" in metrics.read_text()
    assert "attic" in picture.read_text()


@pytest.mark.parametrize(
    ("text", "problem"), [("nonsense\n", "not JSON"), ("", "the file holds no calls")]
)
def test_without_one_good_line_there_is_the_error_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    path = write(tmp_path / "calls.jsonl", text)
    analytics = write(tmp_path / "analytics.jsonl", "of an earlier replay")
    metrics, picture = tmp_path / "metrics.txt", tmp_path / "call.svg"
    options = ["--analytics-out", str(analytics), "--metrics-out", str(metrics)]

    assert run(["replay", str(path), *options, "--plot", str(picture)]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(f"greenroom: {path}:1: {problem}")
    assert analytics.read_text() == "of an earlier replay"
    assert not metrics.exists()
    assert not picture.exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--speed", "fast"], "expected max or a number"),
        (["--speed", "0"], "speed: expected max"),
        (["--plot", "call.txt"], "plot: call.txt must end in one of .png"),
        (["--plot", "no/folder/call.png"], "plot: no folder no/folder"),
        (["--metrics-out", "no/folder/m.txt"], "--metrics-out: no folder"),
        (["--start-unix", "-1"], "start_unix: expected Unix seconds"),
        (["--start-unix", "noon"], "'noon' is not a number of seconds"),
        (["--start-unix", "sNaN"], "'sNaN' is not a number of seconds"),
        (["--start-unix", "1e999"], "start_unix: expected Unix seconds"),
        (["--start-unix", "nan"], "start_unix: expected Unix seconds"),
        (["--policy", "hope"], "'hope' is not one of"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], problem: str
) -> None:
    kept = write(tmp_path / "analytics.jsonl", "of an earlier replay")
    path = write(tmp_path / "a", STARTED)

    assert run(["replay", str(path), "--analytics-out", str(kept), *options]) == 2

    shown = capsys.readouterr()
    assert problem in " ".join(shown.err.split())
    assert kept.read_text() == "of an earlier replay"
    assert "what happened" not in shown.out


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "nowhere.jsonl"]) == 2

    assert "'nowhere.jsonl' does not exist" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named_and_the_rest_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    path, metrics = write(tmp_path / "a", STARTED), tmp_path / "metrics.txt"

    status = run(
        ["replay", str(path), "--analytics-out", "/dev/full", "--metrics-out", str(metrics)]
    )

    shown = capsys.readouterr()
    assert status == 1
    assert "greenroom: /dev/full: No space left on device" in shown.err
    assert f"wrote {metrics}" in shown.out
    assert "wrote /dev/full" not in shown.out
    assert metrics.stat().st_size


def test_names_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room = {"sid": "RM_1", "name": "\x1b[2J[red]\n"}
    line = {"at": 1, "call": "room_started", "args": {"room": room}}

    assert run(["replay", str(write(tmp_path / "a", json.dumps(line)))]) == 0

    shown = capsys.readouterr()
    assert "\x1b[2J" not in shown.err
    assert "?[2J[red]? " in shown.err
