"""The part of the supervisor that saves what it knows, and takes it up in its next life.

    flush ──► begin_checkpoint ──► the flush's round ──► save_soon ──► records, in turns ──► save

The checkpoint is of the moment of the flush. It is saved when all workers have handed over what
came before, and never while a child stands still: what that one holds is in the journal only.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core import metrics_state
from ..core.metrics import Metrics
from ..core.ports import CheckpointStore, Ports
from ..core.roster import Entry, Roster
from ..core.rounds import FlushRounds
from ..messages.checkpoint import Checkpoint
from ..messages.control import Stamped
from ..messages.stats import Close, SaveSlice
from ._base import ActorAddress, told
from .supervising import SupervisingActor

SLICE = 64  # workers that are recorded between two inputs


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a checkpoint is of."""

    stamp: Stamped
    flush: int
    last_incarnation: int
    next_delivery: int
    metrics: bytes


class Checkpointing(SupervisingActor):
    """Saves the roster and the metrics after flushes."""

    roster: Roster[ActorAddress]
    rounds: FlushRounds[ActorAddress]
    metrics: Metrics
    _ports: Ports
    _checkpoints: CheckpointStore | None = None
    _begun: _Begun | None = None

    def take_up(self, ports: Ports) -> None:
        """Make the workers that there were, at the configuration."""
        self._ports = ports
        self._checkpoints = ports.checkpoints
        checkpoint = ports.past.checkpoint
        if checkpoint is not None:
            self.rounds.number = checkpoint.flush
            for record in checkpoint.changed:
                entry = self.roster.restore(record)
                self.start_worker(entry)
                if record.closed:
                    self.send(entry.address, Close(record.closed_at_ns))
            self.roster.restored(checkpoint.last_incarnation)
        if self._checkpoints is not None:
            self.roster.changes.track()

    def begin_checkpoint(self, stamp: Stamped) -> None:
        """A flush begins: if none is under way, there will be a checkpoint of this moment."""
        checkpoints = self._checkpoints
        if checkpoints is None or checkpoints.is_busy or self._begun or self.standing:
            return
        if stamp.position <= self._ports.past.position:
            return  # of a life before, whose later outputs are on the disk already
        outbox = self._ports.outbox
        self._begun = _Begun(
            stamp,
            self.rounds.number,
            self.roster.last_incarnation,
            0 if outbox is None else outbox.next_id,
            metrics_state.pack(self.metrics),
        )
        self.roster.changes.begin()

    def save_soon(self) -> None:
        """The round of a flush is over: what it caused is done when the next turn comes."""
        if self._begun is not None:
            self.door.take_turn(self.myAddress, SaveSlice())

    @told(SaveSlice)
    def on_save_slice(self, turn: SaveSlice, sender: ActorAddress) -> None:
        """Record the next workers, then let inputs pass; save when all are."""
        begun = self._begun
        if begun is None or self.rounds.is_going_on:
            return  # saved already, or there is another round: it asks again
        if self.roster.changes.record_some(SLICE):
            self.door.take_turn(self.myAddress, turn)
            return
        if self.standing:
            self._begun = None
            self.roster.changes.abandon()
            return
        changed, gone = self.roster.changes.take()
        self._begun = None
        assert self._checkpoints is not None
        self._checkpoints.save(
            Checkpoint(
                begun.stamp.position,
                begun.stamp.at_ns,
                begun.flush,
                begun.last_incarnation,
                begun.next_delivery,
                begun.metrics,
                changed,
                gone,
            )
        )

    def start_worker(self, entry: Entry[ActorAddress]) -> None:
        """Make the actor of a new entry."""
        raise NotImplementedError
