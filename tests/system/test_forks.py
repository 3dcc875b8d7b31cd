"""A process that forks after the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2].parent

PROGRAM: Final = """
import os, sys
import greenroom
from greenroom.testing.fakes import RecordingAnalytics
from greenroom.testing.samples import ALICE, ROOM_ID, ROOM_NAME, key, participant, room, stat

def counted(telemetry, analytics):
    telemetry.participant_joined(room(), participant(ALICE), None, None, False, None)
    telemetry.track_stats(ROOM_ID, ROOM_NAME, key(ALICE), stat(3))
    closed = telemetry.close()
    return closed, [each.streams[0].primary_packets for each in analytics.stats]

analytics = RecordingAnalytics()
telemetry = greenroom.start(analytics=analytics)
telemetry.sync()
child = os.fork()
if child == 0:
    try:
        telemetry.sync(None)
    except greenroom.SystemBrokenError as error:
        print(error.__cause__, flush=True)
    print(telemetry.close(None), flush=True)
    own = RecordingAnalytics()
    print(counted(greenroom.start(analytics=own), own), flush=True)
    sys.exit()
os.waitpid(child, 0)
print(counted(telemetry, analytics), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork()")
def test_a_forked_child_is_told_that_the_telemetry_is_its_parents_and_can_start_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert done.stdout.splitlines() == [
        "the parent has it: start after fork()",
        "False",
        "(True, [3])",
        "(True, [3])",
    ]
