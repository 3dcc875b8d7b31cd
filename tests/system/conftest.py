from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

import greenroom
from greenroom.testing.loopback import HttpReceiver, LoopThread

SECRET: Final = "s" * 32


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    thread = LoopThread()
    receiver = HttpReceiver(thread)
    yield receiver
    receiver.close()
    thread.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., greenroom.Telemetry]]:
    """Starts greenroom with these URLs and the data directory, unless told otherwise."""
    started: list[greenroom.Telemetry] = []

    def begin(*urls: str, data_dir: Path | None = tmp_path) -> greenroom.Telemetry:
        webhook = greenroom.WebhookSettings(
            urls=urls, api_key="key", keys={"key": SECRET}, allow_private=True
        )
        started.append(greenroom.start(webhook=webhook, data_dir=data_dir))
        return started[-1]

    yield begin
    for telemetry in started:
        telemetry.close(1.0)
