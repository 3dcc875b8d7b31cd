"""A supervisor that saves checkpoints, in a harness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ..actors.stats_worker import StatsWorker
from ..actors.supervisor import ConfigureSupervisor, Supervisor
from ..config import Settings
from ..core.journal import Past
from ..messages import calls
from ..messages.checkpoint import Checkpoint, WorkerRecord
from ..messages.control import ChildFailed, DeadLetter
from ..messages.ids import GuardID, Incarnation, ParticipantID, WorkerKey
from .fakes import RecordingCheckpoints
from .harness import ActorHarness, FakeAddress
from .samples import ALICE, ROOM_ID, ROOM_NAME

AT_NS: Final = 1_700_000_000_500_000_000


class CheckpointShell:
    """A supervisor with checkpoints; its turns are given when a test says so.

    Args:
        flush_slice: As of `Settings`.
        past: Of a life before.
        ports: Others than the harness's.

    Attributes:
        sent: What it sent when it was configured.
    """

    def __init__(self, *, flush_slice: int = 64, past: Past | None = None, **ports: Any) -> None:
        self.checkpoints = RecordingCheckpoints()
        self.harness = ActorHarness(Supervisor, at_ns=AT_NS)
        given = replace(
            self.harness.ports,
            **{"checkpoints": self.checkpoints, "past": past or Past(), **ports},
        )
        self.harness._position = given.past.position
        self.sent = self.harness.tell(
            ConfigureSupervisor(Settings(flush_slice=flush_slice), given)
        )

    @property
    def saved(self) -> list[Checkpoint]:
        """All checkpoints, in order."""
        return self.checkpoints.saved

    def turn(self) -> object:
        """Give the oldest turn that was asked for."""
        target, message = self.harness.door.turns.pop(0)
        assert target is self.harness.address
        self.harness.tell(message)
        return message

    def turns(self) -> list[object]:
        """Give all turns that are asked for."""
        found = []
        while self.harness.door.turns:
            found.append(self.turn())
        return found

    def flush(self) -> int:
        """A flush, without its turns; its position."""
        self.harness.enter(calls.FlushStats())
        return self.harness._position

    def worker(self, index: int = 0) -> FakeAddress:
        """The address of a worker, in the order of their making."""
        return self.harness.child(StatsWorker, index)

    def fail_worker(self) -> None:
        """Alice's first worker stands still."""
        letter = DeadLetter("StatsWorker", "", "TrackStat", 0, 0, "ValueError", "", b"", 1)
        self.harness.tell(ChildFailed(letter, stands_still=True), self.worker())


def record(
    incarnation: int, sid: str = ALICE, *, connected: bool = False, closed_at_ns: int = 0
) -> WorkerRecord:
    """A worker with a guard of its number."""
    guards = (GuardID(incarnation),)
    is_closed = closed_at_ns > 0
    return WorkerRecord(
        key=WorkerKey(ROOM_ID, ParticipantID(sid)),
        incarnation=Incarnation(incarnation),
        room_name=ROOM_NAME,
        connected=connected,
        is_current=True,
        closed=is_closed,
        closed_at_ns=closed_at_ns,
        count=int(not is_closed),
        guards=guards,
        released=guards if is_closed else (),
    )
