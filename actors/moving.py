"""The part of the supervisor that gives rooms to other shards, and takes theirs."""

from __future__ import annotations

from ..core.metrics import Metrics
from ..core.placement import Placement, room_route
from ..core.roster import Entry, Roster
from ..messages.control import Stamped
from ..messages.handoff import AdoptWorkers, AskReleased, Released, ReleaseRooms, WorkerFacts
from ..messages.ids import Incarnation
from ._base import ActorAddress, GreenroomActor, stamped, told


class Moving(GreenroomActor):
    """Hands rooms off, worker by worker: statistics at once, the facts when asked."""

    roster: Roster[ActorAddress]
    metrics: Metrics
    _released: tuple[WorkerFacts, ...] = ()

    @stamped(ReleaseRooms)
    def on_release_rooms(self, release: ReleaseRooms, stamp: Stamped) -> None:
        """What such a worker holds is handed over as at its end; later calls come elsewhere."""
        placement = Placement(release.shards)
        given_up = [
            entry
            for entry in self.roster.newest_first()
            if placement.owner(room_route(entry.room_name, entry.key.room_id)) != release.here
        ]
        current = (entry for entry in given_up if self.roster.find(entry.key) is entry)
        self._released = (*self._released, *map(self._facts_of, current))
        for entry in given_up:
            if not entry.closed:
                self.metrics.participant_closed()
            self.retire_worker(entry.incarnation, stamp.at_ns)

    @told(AskReleased)
    def on_ask_released(self, ask: AskReleased, sender: ActorAddress) -> None:
        """Answer, and forget."""
        released, self._released = self._released, ()
        self.send(sender, Released(released))

    @stamped(AdoptWorkers)
    def on_adopt_workers(self, adopt: AdoptWorkers, stamp: Stamped) -> None:
        """Go on where the other shard stopped; who is there already stays as he is."""
        for facts in adopt.workers:
            known = self.roster.find(facts.key)
            if known is None or known.closed:
                self._adopt(facts, stamp)

    def _adopt(self, facts: WorkerFacts, stamp: Stamped) -> None:
        entry = self.roster.adopt(facts)
        self.start_worker(entry)
        self.metrics.participant_opened(joined=False)
        if facts.closed:
            self.metrics.participant_closed()
            self.roster.close(entry, stamp.at_ns)
            self.close_worker(entry, stamp.at_ns)

    def _facts_of(self, entry: Entry[ActorAddress]) -> WorkerFacts:
        guards = self.roster.held_guards(entry)
        return WorkerFacts(entry.key, entry.room_name, entry.connected, entry.closed, guards)

    def retire_worker(self, incarnation: Incarnation, at_ns: int) -> None:
        """Have it hand over and end; forget it."""
        raise NotImplementedError

    def start_worker(self, entry: Entry[ActorAddress]) -> None:
        """Make the actor of a new entry."""
        raise NotImplementedError

    def close_worker(self, entry: Entry[ActorAddress], at_ns: int) -> None:
        """Tell a worker that its participant is gone."""
        raise NotImplementedError
