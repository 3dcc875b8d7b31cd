from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_shows_something(example: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, timeout=50, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "REFUSED" not in done.stdout


def test_the_receiver_by_itself_shows_the_four_webhooks_of_its_two_rooms() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES[0].with_name("webhook_receiver.py"))],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    for room in ("garden", "kitchen"):
        lines = [line.split() for line in done.stdout.splitlines() if line.endswith(f" {room}")]
        assert [event for _, event, _ in lines] == ["room_started", "room_finished"]


def test_the_command_line_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "greenroom.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("greenroom ")
