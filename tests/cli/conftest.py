from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.cli.app import run

from .endpoints import URL, started


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Of a greenroom with one URL, which has ended; a test's file may have another."""
    assert started(tmp_path, URL).close()
    return tmp_path


@pytest.fixture
def webhooks(data_dir: Path) -> Callable[..., int]:
    """Runs one of the commands `greenroom webhooks` on the `data_dir`."""

    def command(name: str, *arguments: str) -> int:
        return run(["webhooks", name, *arguments, "--data-dir", str(data_dir)])

    return command


@pytest.fixture
def answer(webhooks: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What a command that succeeds prints as JSON."""

    def answer(*arguments: str) -> Any:
        capsys.readouterr()
        assert webhooks(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return answer
