from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenroom.cli.app import run
from greenroom.testing.stored import OutboxBench

from .deliveries import BEFORE, BODY, states
from .endpoints import Answer, Command, words


@pytest.fixture
def data_dir(bench: OutboxBench) -> Path:
    return bench.directory


# ── list ────────────────────────────────────────────────────────────────────────────────────


def test_the_list_has_a_line_for_each_delivery_newest_first(
    webhooks: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert webhooks("list", "--limit", "2") == 0

    head, first, second, more = capsys.readouterr().out.splitlines()
    columns = "id state when (UTC) endpoint key sequence event tries status error"
    assert " ".join(head.split()) == columns
    when = "1970-01-01 00:00:00"
    assert " ".join(first.split()) == f"6 pending {when} a x 4 room_started 0"
    assert " ".join(second.split()) == f"5 pending {when} a x 3 room_started 3 503 busy\ufffd[31m"
    assert more == "older ones, if there are any: --before 5"


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], [6, 5, 4, 3, 2, 1]),
        (["--endpoint", "a", "--key", "x"], [6, 5, 4, 1]),
        (["--room", "y"], [2]),
        (["--state", "dead"], [4, 2]),
        (["--state", "dead", "--room", "x"], [4]),
        (["--event", "room_finished"], []),
        (["--limit", "2", "--before", "4"], [3, 2]),
        (["--since", "1h"], []),
        (["--until", "1h"], [6, 5, 4, 3, 2, 1]),
        (["--since", "1970-01-01", "--until", "1970-01-01T00:00:01+00:00"], [6, 5, 4, 3, 2, 1]),
        (["--since", "1970-01-01T00:00+02:00", "--until", "1970-01-01T00:00+01:00"], []),
    ],
    ids=str,
)
def test_filters_are_all_met(answer: Answer, options: list[str], ids: list[int]) -> None:
    assert [one["id"] for one in answer("list", *options)] == ids


def test_an_empty_list_is_told_in_words(
    webhooks: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert webhooks("list", "--room", "z") == 0
    assert capsys.readouterr().out == "no delivery is like that\n"

    empty = OutboxBench(tmp_path / "empty")
    empty.open()
    assert run(["webhooks", "list", "--data-dir", str(empty.directory)]) == 0
    assert capsys.readouterr().out == "no deliveries\n"
    empty.end()


# ── show ────────────────────────────────────────────────────────────────────────────────────


def test_a_delivery_is_shown_with_all_that_is_known_and_its_body(
    webhooks: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert webhooks("show", "5") == 0

    assert capsys.readouterr().out == (
        "delivery 5, pending\n"
        "endpoint       a\n"
        "event          room_started EV_5\n"
        "room           x\n"
        "sequence       3 of key x\n"
        "accepted       1970-01-01 00:00:00 UTC\n"
        "attempts       3\n"
        "first attempt  1970-01-01 00:00:00 UTC\n"
        "next attempt   2023-11-14 22:13:20 UTC\n"
        "last status    503\n"
        "last error     busy\ufffd[31m\n\n"
        '{\n  "event": "room_started",\n  "room": {\n    "name": "Café"\n  }\n}\n'
    )


def test_a_delivery_as_json_has_the_body_as_json(answer: Answer) -> None:
    assert answer("show", "1") == {
        "id": 1,
        "endpoint": "a",
        "key": "x",
        "sequence": 1,
        "event_id": "EV_1",
        "event": "room_started",
        "room": "x",
        "queued_at_ns": 1_001,
        "state": "delivered",
        "attempts": 2,
        "next_at_ns": 0,
        "started_at_ns": 2_001,
        "ended_at_ns": 3_001,
        "status": 200,
        "error": "",
        "body": json.loads(BODY),
    }


def test_a_body_that_is_no_json_is_shown_as_text(answer: Answer, bench: OutboxBench) -> None:
    bench.run("UPDATE deliveries SET body = ? WHERE id = 1", b"{ \xff")

    assert answer("show", "1")["body"] == "{ \ufffd"


# ── mistakes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["show", "7"], "no delivery 7; the newest is 6"),
        (["show", "0"], "no delivery 0; the newest is 6"),
        (["replay", "1", "99999999999999999999"], "no delivery 99999999999999999999; the newest"),
        (["replay"], "give IDs, or --room (or --key) with --from-sequence"),
        (["replay", "1", "--room", "x", "--from-sequence", "1"], "give IDs, or --room (or"),
        (["replay", "--room", "x"], "goes with --room or --key, and they with it"),
        (["replay", "1", "--from-sequence", "1"], "goes with --room or --key, and they with it"),
        (["replay", "1", "--endpoint", "a"], "--endpoint: does not go with IDs"),
        (["replay", "1", "--to-sequence", "1"], "--to-sequence: does not go with IDs"),
        (
            ["replay", "--room", "x", "--from-sequence", "5", "--to-sequence", "4"],
            "--to-sequence: must be at least --from-sequence, 5, got 4",
        ),
        (
            ["replay", "--room", "x", "--from-sequence", "1", "--endpoint", "c"],
            "there is no endpoint 'c'; to list those there are: greenroom webhooks endpoints",
        ),
        (["retry", "--endpoint", "c"], "--endpoint: there is no endpoint 'c'; to list those"),
        (["list", "--endpoint", "c"], "--endpoint: there is no endpoint 'c'; to list those"),
        (["retry", "--endpoint", "\udcff"], "nothing can be like that"),
        (["retry"], "give IDs, or --endpoint EP"),
        (["retry", "5", "--endpoint", "a"], "give IDs, or --endpoint EP"),
        (["retry", "5", "2"], "2 is dead, and waits for nothing; to send it again: greenroom web"),
        (["list", "--state", "lost"], "'lost' is not one of"),
        (["list", "--since", "1x"], "'1x' is neither how long ago, such as 90s"),
        (["list", "--limit", "0"], "--limit"),
        (["list", "--limit", "99999999999999999999"], "nothing can be like that"),
        (["list", "--before", "99999999999999999999"], "nothing can be like that"),
        (["list", "--room", "\udcff"], "nothing can be like that"),
        (
            ["replay", "--room", "lobby", "--from-sequence", "99999999999999999999"],
            "nothing can be like that",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_explained_and_changes_nothing(
    webhooks: Command,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    assert webhooks(*arguments) == 2

    assert why in words(capsys.readouterr().err)
    assert states(answer) == BEFORE


@pytest.mark.parametrize("name", ["list", "endpoints"])
def test_a_directory_that_is_not_greenrooms_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(["webhooks", name, "--data-dir", str(tmp_path)]) == 2

    assert "there is no greenroom.db in" in words(capsys.readouterr().err)
