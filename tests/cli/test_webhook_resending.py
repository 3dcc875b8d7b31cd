"""`greenroom webhooks replay` and `retry`: what is sent again, and what is told about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.messages.deliveries import Requeued
from greenroom.testing.stored import OutboxBench

from .deliveries import BEFORE, states
from .endpoints import Answer, Command, words


@pytest.fixture
def data_dir(bench: OutboxBench) -> Path:
    return bench.directory


def test_what_is_over_is_sent_again_from_its_first_attempt_by_the_next_process(
    webhooks: Command, answer: Answer, bench: OutboxBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert webhooks("replay", "4", "1", "6") == 0

    said = capsys.readouterr().out
    assert (
        "marked 2 deliveries: the running greenroom takes them within a second, or the n" in said
    )
    assert "left 1: they are to be sent at once anyway" in said
    assert states(answer) == ["rep", "dea", "pen", "rep", "pen", "pen"]

    bench.reopen().watch("notifier")
    requeued = bench.door.next(Requeued)
    assert [(one.id, one.sequence, one.attempts) for one in requeued.rows] == [
        (1, 1, 0),
        (4, 2, 0),
    ]


@pytest.mark.parametrize(
    ("options", "after"),
    [
        (["--room", "x", "--from-sequence", "2"], ["del", "dea", "pen", "rep", "rep", "pen"]),
        (
            ["--key", "x", "--from-sequence", "1", "--to-sequence", "2", "--endpoint", "a"],
            ["rep", "dea", "pen", "rep", "pen", "pen"],
        ),
        (["--room", "y", "--from-sequence", "2"], BEFORE),
    ],
    ids=str,
)
def test_a_stretch_of_a_room_is_sent_again(
    webhooks: Command, answer: Answer, options: list[str], after: list[str]
) -> None:
    assert webhooks("replay", *options) == 0

    assert states(answer) == after


def test_what_waits_for_its_next_attempt_is_tried_now(
    webhooks: Command, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert webhooks("retry", "5", "6") == 0
    said = capsys.readouterr().out
    assert "marked 1 delivery: the running greenroom takes it" in said
    assert "left 1: no attempt of them failed: their turn comes by itself" in said
    assert states(answer) == ["del", "dea", "pen", "dea", "rep", "pen"]
    assert answer("show", "5")["attempts"] == 3


def test_of_an_endpoint_the_first_that_waits_of_each_queue_is_tried_now(
    webhooks: Command, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert webhooks("retry", "--endpoint", "a") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("marked 1 delivery of a, the first of each queue that waits: the run")
    assert second == "those behind them follow by themselves, in their order"
    assert states(answer) == ["del", "dea", "pen", "dea", "rep", "pen"]

    assert webhooks("retry", "--endpoint", "a") == 0
    said = capsys.readouterr().out
    assert said == "nothing to try: no delivery of a waits for its next attempt\n"
    assert answer("retry", "--endpoint", "b") == {
        "marked": 0,
        "endpoints": {},
        "left": 0,
        "left_out": {},
        "held_back": {"b": "is disabled (Friday): they wait until it is enabled"},
    }


def test_of_a_room_it_is_told_what_is_sent_again_for_each_endpoint(
    webhooks: Command, answer: Answer, bench: OutboxBench, capsys: pytest.CaptureFixture[str]
) -> None:
    stretch = ["--room", "x", "--from-sequence", "1"]
    bench.run("UPDATE deliveries SET state = 'dead' WHERE id = 3")
    assert webhooks("replay", *stretch) == 0
    first, *more = capsys.readouterr().out.splitlines()
    assert first.startswith("marked 4 deliveries: the running greenroom takes them")
    assert more == [
        "  3 of endpoint a",
        "  1 of endpoint b",
        "note: endpoint b is disabled (Friday): they wait until it is enabled",
    ]

    bench.run("UPDATE deliveries SET state = 'dead' WHERE id IN (1, 3, 4)")
    bench.run("DELETE FROM endpoints WHERE id = 'b'")
    assert webhooks("replay", *stretch) == 0
    _, *more = capsys.readouterr().out.splitlines()
    assert more == [
        "  2 of endpoint a",
        "left out 1 of endpoint b: it is not there any more",
    ]
    assert states(answer) == ["rep", "dea", "dea", "rep", "rep", "pen"]

    assert answer("replay", *stretch) == {
        "marked": 0,
        "endpoints": {},
        "left": 0,
        "left_out": {"b": 1},
        "held_back": {},
    }


def test_what_was_for_a_removed_endpoint_is_listed_and_not_sent_again(
    webhooks: Command, answer: Answer, bench: OutboxBench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run("DELETE FROM endpoints WHERE id = 'b'")

    assert [one["id"] for one in answer("list", "--endpoint", "b")] == [3]
    for arguments in (["retry"], ["replay", "--room", "x", "--from-sequence", "1"]):
        assert webhooks(*arguments, "--endpoint", "b") == 2
        said = words(capsys.readouterr().err)
        assert "'b' was removed; to list those there are: greenroom webhooks endpoints" in said
    assert states(answer) == BEFORE


def test_an_endpoint_that_gets_nothing_at_present_is_told(
    webhooks: Command, answer: Answer, bench: OutboxBench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run("UPDATE deliveries SET state = 'dead' WHERE endpoint = 'b'")
    assert webhooks("replay", "3") == 0
    said = capsys.readouterr().out
    assert "note: endpoint b is disabled (Friday): they wait until it is enabled" in said

    bench.run("DELETE FROM endpoints WHERE id = 'a'")
    told = answer("replay", "2")
    assert told["held_back"] == {"a": "is not there any more: they wait for ever"}
