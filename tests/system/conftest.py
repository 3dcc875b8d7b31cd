from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.testing.loopback import LoopThread
from greenroom.testing.webhook_course import Course


@pytest.fixture
def make_course() -> Iterator[Callable[[Path | None], Course]]:
    """Makes courses, and ends them."""
    thread = LoopThread()
    made: list[Course] = []

    def make(data_dir: Path | None) -> Course:
        made.append(Course(thread, data_dir))
        return made[-1]

    yield make
    for course in made:
        course.close()
    thread.close()


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
