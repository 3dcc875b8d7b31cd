from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LINE = '{"at":1,"call":"room_started","args":{"room":{"sid":"RM_1","name":"attic"}}}\n'
MAIN = "from greenroom.cli import main; main()"


@pytest.fixture(params=[[], ["--json"]], ids=["table", "json"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    path = tmp_path / "calls.jsonl"
    path.write_text(LINE)
    return [sys.executable, "-c", MAIN, "replay", str(path), "--quiet", *request.param]


def test_a_full_standard_output_is_named(command: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "greenroom: standard output: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_closed_standard_output_is_named(command: list[str]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr == "greenroom: standard output: closed\n"


def test_when_nobody_reads_standard_output_any_more_it_ends_quietly(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)

    assert done.returncode == 1
    assert done.stderr == ""
