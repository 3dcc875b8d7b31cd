"""What a process calls that is started anew for a test: it cannot import the test itself."""

from __future__ import annotations

from multiprocessing.synchronize import Barrier

from ..link.client import connect
from .patience import PATIENCE_SECONDS
from .samples import ALICE, key, participant, room, stat


def join(address: str) -> None:
    """Alice joins."""
    with connect(address) as telemetry:
        telemetry.participant_joined(
            room(), participant(ALICE), None, None, should_send_event=False, guard=1
        )


def report(address: str) -> None:
    """A statistic of Alice's."""
    with connect(address) as telemetry:
        telemetry.track_stats(room().sid, room().name, key(ALICE), stat(3))


def start_a_node(address: str, number: int, together: Barrier) -> None:
    """When all are there, start a node if none answers, and a room in it."""
    together.wait(PATIENCE_SECONDS)
    telemetry = connect(address, autostart=True)
    where = room()
    where.name = f"room-{number}"
    telemetry.room_started(where)
    assert telemetry.sync(PATIENCE_SECONDS)
