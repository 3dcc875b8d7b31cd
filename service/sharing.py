"""`SharedCalls`: what a greenroom that other processes share takes from them, and moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from ..adapters.stored_outbox import SqliteOutbox
from ..core.journal import Origin
from ..core.metrics import Metrics
from ..messages.calls import Call, batched
from ..messages.handoff import AdoptWorkers, AskReleased, Released, ReleaseRooms, WorkerFacts
from ..runtime.door import Door, Notice
from ..runtime.journaled_door import JournaledDoor
from .calls import TelemetryCalls
from .keeping import Keeping

STATS_BATCH: Final = 64  # of another process's, as one input: half a millisecond

A = TypeVar("A")


class SharedCalls(TelemetryCalls):
    """The side of a `Telemetry` that a node's link and gateway use."""

    metrics: Metrics
    _door: Door
    _supervisor: Any  # Thespian's address of it
    _outbox: SqliteOutbox | None
    _keeping: Keeping | None

    def take(
        self, calls: Sequence[Call], on_done: Callable[[], None], origin: Origin | None = None
    ) -> None:
        """Let calls of another process take effect here, in their order; never blocks.

        Args:
            calls: As a `TelemetryCalls` makes them; those that find the door full are counted.
            on_done: Called on a thread of greenroom's when they are processed, and their webhooks
                queued, in a data directory on the disk. Quick, and never raising.
            origin: Where they come from: with a journal it is remembered with them, see
                `batches_had`.

        Raises:
            SystemClosedError: It was closed before.
            SystemBrokenError: The supervisor was given up.
        """
        self._check_open()
        door = self._door
        bodies = batched(calls, STATS_BATCH)
        if isinstance(door, JournaledDoor):
            door.enter_together(tuple(bodies), origin)
        else:
            for body in bodies:
                door.enter(self._supervisor, body)
        outbox = self._outbox
        then = on_done if outbox is None else partial(outbox.when_written, on_done)
        door.mark(Notice(then))

    def batches_had(self) -> Sequence[Origin]:
        """The origins of what was taken in a life before, of each client in their order."""
        return () if self._keeping is None else self._keeping.past.batches

    def lose(self, reason: str, count: int) -> None:
        """Count inputs of another process that could not even enter."""
        self.metrics.dropped(reason, count)

    def release_rooms(self, shards: Sequence[str], here: str) -> tuple[WorkerFacts, ...]:
        """Give up the workers of rooms that live elsewhere, now that these are the shards.

        Blocks until all that entered before is done, and what the workers held is handed over.

        Args:
            shards: The names of all.
            here: The name of this one.

        Returns:
            What the others need to know to go on with them: `adopt`.

        Raises:
            SystemClosedError: It was closed before.
            SystemBrokenError: The supervisor was given up, or does not answer.
        """
        self._check_open()
        self._door.enter(self._supervisor, ReleaseRooms(tuple(shards), here))
        self.sync()
        return self._ask(AskReleased(), Released).workers

    def adopt(self, workers: tuple[WorkerFacts, ...]) -> None:
        """Go on with workers that another shard has given up; never blocks.

        Raises:
            SystemClosedError: It was closed before.
            SystemBrokenError: The supervisor was given up.
        """
        self._check_open()
        self._door.enter(self._supervisor, AdoptWorkers(workers))

    def sync(self, timeout: float | None = None) -> bool:
        """As `Telemetry.sync`."""
        raise NotImplementedError

    def _check_open(self) -> None:
        raise NotImplementedError

    def _ask(self, question: object, answer: type[A]) -> A:
        raise NotImplementedError
