"""Whatever is killed with SIGKILL under load: each acknowledged call took effect, and once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenroom.testing.crash.embedded import torture_embedded
from greenroom.testing.crash.records import Summary
from greenroom.testing.crash.torture import torture


@contextmanager
def kept_if_it_fails() -> Iterator[Path]:
    """A directory with a path that is short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="gr-t"))
    print(f"the files of the run are in {directory}")
    yield directory
    shutil.rmtree(directory)


def check(summary: Summary, command: str) -> None:
    assert not summary.examples, f"{summary.table()}\nto play it again: {command}"
    assert summary.acked
    assert summary.webhooks


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_or_doubled_whatever_of_a_node_is_killed() -> None:
    with kept_if_it_fails() as directory:
        summary = torture(directory, seed=1, count=50)
        check(summary, "python -m greenroom.testing.crash --rounds 50 --seed 1")


@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_or_doubled_when_the_process_itself_is_killed() -> None:
    with kept_if_it_fails() as directory:
        summary = torture_embedded(directory, seed=1, count=12, each=6)
        check(summary, "python -m greenroom.testing.crash --embedded --rounds 12 --seed 1")
