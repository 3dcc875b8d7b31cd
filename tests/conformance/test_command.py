from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.cli.app import run

DATA = Path(__file__).parents[1] / "data"


def lines_of(name: str, *wanted: str) -> list[dict[str, Any]]:
    """The first line of each of these names or kinds."""
    text = gzip.decompress((DATA / f"{name}.jsonl.gz").read_bytes()).decode()
    lines = [json.loads(line) for line in text.splitlines()]
    names = [line.get("scenario") or line.get("kind") or line["name"] for line in lines]
    return [lines[names.index(one)] for one in wanted]


def written(path: Path, *lines: dict[str, Any]) -> str:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return str(path)


def test_all_families_may_be_mixed_and_the_last_line_tells_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = written(
        tmp_path / "a.jsonl",
        *lines_of("scenarios", "left_connected"),
        *lines_of("condense", "one_full"),
        *lines_of("webhook", "request", "lock_leak"),
    )
    second = str(DATA / "condense.jsonl.gz")

    status = run(["conformance", first, second])

    printed = capsys.readouterr().out.splitlines()
    assert status == 0
    assert printed == [
        "as docs/differences.md says:",
        "    1 no-lock-leak: A webhook that cannot be signed is dropped and counted; "
        "nothing blocks.",
        "1 differ on purpose",
        "143 passed, 0 failed",
    ]


def test_failures_are_shown_by_field_and_the_status_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = lines_of("scenarios", "left_connected")
    line["steps"][1]["expect"]["workers"][0]["connected"] = False
    path = written(tmp_path / "a.jsonl", *lines_of("condense", "one_full"), line)

    status = run(["conformance", path])

    assert status == 1
    assert capsys.readouterr().out.splitlines() == [
        f"FAILED {path}:2 left_connected",
        "    steps[1] participant_left.workers[0].connected: expected False, got True",
        "1 passed, 1 failed",
    ]


def test_what_does_not_even_do_what_is_promised_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = lines_of("webhook", "redirect")
    line["requests"][0]["method"] = "DELETE"

    status = run(["conformance", written(tmp_path / "a.jsonl", line)])

    printed = capsys.readouterr().out.splitlines()
    assert status == 1
    assert printed[1:] == [
        "    differs on purpose (redirects-are-not-followed), but not as promised:",
        "    requests[0].method: expected 'DELETE', got 'POST'",
        "0 passed, 1 failed",
    ]


def test_the_first_twenty_failures_are_shown_in_full_and_the_rest_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"kind": "filter", "include": [], "exclude": [], "event": "x", "expect": False}
    path = written(tmp_path / "a.jsonl", *[line] * 23)

    run(["conformance", path])

    printed = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("FAILED") for line in printed) == 20
    assert printed[-5:] == [
        "3 more failed:",
        f"    {path}:21 filter",
        f"    {path}:22 filter",
        f"    {path}:23 filter",
        "0 passed, 23 failed",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not a vector", "a.jsonl:1: not JSON"),
        ('{"kind": "filter"}\n{"kind": "x"}', "a.jsonl:2: unknown kind 'x'"),
        ('{"kind": "filter"}', "a.jsonl:1: filter: no include"),
        ("", "a.jsonl:1: expected vectors"),
    ],
    ids=str,
)
def test_a_file_that_is_not_understood_is_named_and_the_status_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, "utf-8")

    status = run(["conformance", str(path)])

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert said in captured.err


def test_a_file_that_is_not_there_is_status_2(tmp_path: Path) -> None:
    assert run(["conformance", str(tmp_path / "none.jsonl")]) == 2
