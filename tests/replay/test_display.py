from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from greenroom.replay.attendance import Attendance
from greenroom.replay.display import summary_table
from greenroom.replay.summary import Summary


def shown(wall_seconds: float) -> str:
    summary = Summary(
        calls={},
        call_seconds=270.0,
        wall_seconds=wall_seconds,
        attendance=Attendance().totals(),
        webhooks={},
        received=None,
        refused=0,
        dropped={},
        failures=0,
        written=(),
        not_written=(),
        complete=True,
        stopped=False,
        problem="",
    )
    console = Console(file=StringIO(), width=100)
    with console.capture() as capture:
        console.print(summary_table(summary))
    return capture.get()


def test_the_summary_says_how_much_faster_than_the_call_it_was() -> None:
    assert "4:30 in 2.7 s (100 times as fast)" in shown(2.7)


@pytest.mark.parametrize("wall_seconds", [0.0, 200.0, 269.9, 270.2, 1000.0])
def test_at_about_the_calls_own_speed_the_summary_does_not_boast(wall_seconds: float) -> None:
    assert f"4:30 in {wall_seconds:.1f} s " in shown(wall_seconds)
    assert "times as fast" not in shown(wall_seconds)
