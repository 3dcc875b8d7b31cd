from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.cli.app import run
from greenroom.testing.loopback import HttpReceiver, LoopThread


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    thread = LoopThread()
    receiver = HttpReceiver(thread)
    yield receiver
    receiver.close()
    thread.close()


@pytest.fixture
def webhooks(data_dir: Path) -> Callable[..., int]:
    """Runs one of the commands `greenroom webhooks` on the `data_dir` of the test's file."""

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
