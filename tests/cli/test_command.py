from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import greenroom
from greenroom.cli.app import run

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


@pytest.mark.parametrize(
    "command",
    [[], ["replay"], ["conformance"], ["dead-letters"], ["webhooks"], ["status"]],
)
def test_every_command_has_help_with_an_example(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run([*command, "--help"]) == 0

    assert f"Example: greenroom {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0

    assert capsys.readouterr().out == f"greenroom {greenroom.__version__}\n"


def test_a_command_leaves_logging_as_it_was() -> None:
    logger = logging.getLogger("greenroom")
    before = list(logger.handlers)

    assert run(["conformance", "no such file"]) == 2

    assert logger.handlers == before


MAIN = "from greenroom.cli import main; main()"


def test_without_its_extra_the_command_says_what_to_install() -> None:
    hide = "import sys; sys.modules['typer'] = None; "

    done = subprocess.run(
        [sys.executable, "-c", hide + MAIN], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "pip install 'greenroom[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_matplotlib_a_plot_says_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['matplotlib'] = None; "
    path = write(tmp_path / "a", STARTED)

    done = subprocess.run(
        [sys.executable, "-c", hide + MAIN, "replay", str(path), "--plot", "call.png"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "pip install 'greenroom[plot]'" in done.stderr


def test_without_a_plot_matplotlib_is_not_needed(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['matplotlib'] = None; "
    path = write(tmp_path / "a", STARTED)

    done = subprocess.run(
        [sys.executable, "-c", hide + MAIN, "replay", str(path)], capture_output=True, check=False
    )

    assert done.returncode == 0


def test_an_interrupt_ends_the_replay_in_good_order(tmp_path: Path) -> None:
    path, file = write(tmp_path / "a", STARTED, ENDED.replace("2", "3600", 1)), tmp_path / "out"
    command = [sys.executable, "-u", "-c", MAIN, "replay", str(path), "--speed", "1"]
    process = subprocess.Popen(
        [*command, "--analytics-out", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert process.stderr is not None
    assert "attic" in process.stderr.readline()  # the first call was made

    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "stopped at 0:0" in errors
    assert "Traceback" not in errors
    assert "what happened" in shown
    assert len(read(file)) == 1
