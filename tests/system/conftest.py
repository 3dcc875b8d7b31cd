from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

import greenroom
from greenroom.testing.loopback import LoopThread
from greenroom.testing.webhook_course import Course

SECRET: Final = "s" * 32


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


@pytest.fixture
def make_course(thread: LoopThread) -> Iterator[Callable[[Path | None], Course]]:
    """Makes courses, and ends them."""
    made: list[Course] = []

    def make(data_dir: Path | None) -> Course:
        made.append(Course(thread, data_dir))
        return made[-1]

    yield make
    for course in made:
        course.close()


@pytest.fixture(params=["memory", "data_dir"])
def course(
    request: pytest.FixtureRequest,
    make_course: Callable[[Path | None], Course],
    tmp_path: Path,
) -> Course:
    """One that keeps webhooks in memory, and one that keeps them in a directory."""
    return make_course(tmp_path if request.param == "data_dir" else None)


@pytest.fixture
def durable_course(make_course: Callable[[Path | None], Course], tmp_path: Path) -> Course:
    """One that keeps webhooks in a directory."""
    return make_course(tmp_path)
