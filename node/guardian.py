"""The guardian of a node: starts its shards, and starts again those that end."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from thespian.actors import (
    ActorAddress,
    ActorExitRequest,
    ActorSystemConventionUpdate,
    ChildActorExited,
    WakeupMessage,
)

from .alive import is_alive
from .cluster import BEAT_SECONDS, Cluster
from .inherited import inherited
from .messages import (
    AskNode,
    Beat,
    DrainNode,
    DrainShard,
    Farewell,
    Members,
    NodeDrained,
    NodeState,
    ShardBegun,
    ShardDrained,
    ShardFailed,
    ShardLeft,
    ShardReady,
    StartShard,
)
from .shard import ShardHost, shard_name
from .speaking import Speaking, leave_endings_to_the_watcher

NAME: Final = "greenroom-guardian"
CAPABILITY: Final = "greenroom node"  # its value is the node's id
WAIT_MIN_SECONDS: Final = 0.1
WAIT_MAX_SECONDS: Final = 10.0
BEGIN_SECONDS: Final = 3.0  # from the fork until its first message: 0.1 s, more on a busy machine
STEADY_SECONDS: Final = 10.0  # a shard that ran so long is started again at once
DRAIN_MARGIN_SECONDS: Final = 2.0
_BEAT: Final = "beat"
_LEFT: Final = "left"
_log = logging.getLogger("greenroom.node")


@dataclass(frozen=True, slots=True)
class _Overdue:
    """A shard that was started then should have begun by now."""

    number: int
    started_at: float


class _Place:
    """Where one shard is, or will be again."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.address: ActorAddress | None = None
        self.pid = 0
        self.failure = ""
        self.is_draining = False
        self.has_begun = False
        self.started_at = 0.0
        self.wait_seconds = WAIT_MIN_SECONDS
        self.restarts = 0


class Envoy(Speaking):
    """Made by a guardian on another node, to bring its beat to the guardian of that node."""

    @staticmethod
    def actorSystemCapabilityCheck(
        capabilities: Mapping[str, object], requirements: Mapping[str, object]
    ) -> bool:
        """Whether it may be made on the node with these capabilities: on the one that is meant."""
        return capabilities.get(CAPABILITY) == requirements.get(CAPABILITY)

    def receiveMsg_Beat(self, beat: Beat, sender: ActorAddress) -> None:
        """Hand it over: from now on the guardians know each other, and end this one."""
        self.send(self.createActor(NodeGuardian, globalName=NAME), beat)


class NodeGuardian(Speaking):
    """One for each node; a permanent child of its admin."""

    def __init__(self) -> None:
        self._cluster: Cluster
        self._places: list[_Place] = []
        self._drain_for: ActorAddress | None = None
        self._drained: dict[int, bool] = {}
        self._is_leaving = False
        self._has_begun = False  # all shards let clients in, or did once
        self._to_greet: set[str] = set()
        self._drain_seconds = 0.0

    def receiveMsg_AskNode(self, ask: AskNode, sender: ActorAddress) -> None:
        """The first question also starts the shards."""
        if not self._places:
            leave_endings_to_the_watcher()
            self._cluster = Cluster(inherited().greenroom.node_id, secrets.token_bytes(8))
            self.notifyOnSystemRegistrationChanges(True)  # noqa: FBT003  # Thespian's form
            self.wakeupAfter(BEAT_SECONDS, _BEAT)
            self._places = [_Place(number) for number in range(inherited().shards)]
            for place in self._places:
                self._start(place)
        pids = tuple(place.pid for place in self._places)
        failures = tuple(place.failure for place in self._places)
        nodes = tuple(self._cluster.alive)
        restarts = sum(place.restarts for place in self._places)
        self.send(sender, NodeState(pids, restarts, failures, os.getpid(), nodes))

    def _start(self, place: _Place) -> None:
        place.started_at = time.monotonic()
        place.has_begun = False
        place.address = self.createActor(ShardHost)
        self.send(place.address, StartShard(place.number, place.restarts))
        self.wakeupAfter(BEGIN_SECONDS, _Overdue(place.number, place.started_at))

    def receiveMsg_ShardBegun(self, begun: ShardBegun, sender: ActorAddress) -> None:
        """Its process lives: if it ends, Thespian says so."""
        place = self._places[begun.number]
        if place.address == sender:
            place.has_begun = True

    def _look_after(self, overdue: _Overdue) -> None:
        """A process that ends before Thespian has heard of it is missed by nobody else."""
        place = self._places[overdue.number]
        if place.started_at == overdue.started_at and place.address and not place.has_begun:
            _log.warning("shard %d has not begun: another one is made", place.number)
            self.send(place.address, ActorExitRequest())
            self._on_exit(place)

    def receiveMsg_ShardReady(self, ready: ShardReady, sender: ActorAddress) -> None:
        """It lets clients in."""
        place = self._places[ready.number]
        if place.address == sender:
            place.pid, place.failure = ready.pid, ""
            self._has_begun |= all(place.pid for place in self._places)
            self._tell_members()
            self._greet()
            self._say_all(self._beat())
            _log.info("shard %d runs as process %d", ready.number, ready.pid)

    def _own_shards(self) -> dict[str, ActorAddress | None]:
        node_id = self._cluster.node_id
        return {
            shard_name(node_id, place.number): place.address if place.pid else None
            for place in self._places
        }

    def _tell_members(self) -> None:
        """Let every shard of this node know where all others are now."""
        shards = {**self._own_shards(), **self._cluster.shards()}
        leaving = [*self._cluster.leaving(), *(self._own_shards() if self._is_leaving else ())]
        members = Members(tuple(shards), tuple(shards.values()), tuple(leaving))
        for place in self._places:
            if place.address is not None and place.pid:
                self.send(place.address, members)

    def receiveMsg_ShardFailed(self, failed: ShardFailed, sender: ActorAddress) -> None:
        """It says why; that it ended comes in its own message."""
        self._places[failed.number].failure = failed.reason
        _log.error("shard %d does not start: %s", failed.number, failed.reason)

    def receiveMsg_ChildActorExited(self, exited: ChildActorExited, sender: Any) -> None:
        """Start it again: at once if it ran well for a while, else after a wait that doubles."""
        for place in self._places:
            if place.address == exited.childAddress:
                self._on_exit(place)

    def _on_exit(self, place: _Place) -> None:
        place.address, place.pid = None, 0
        if self._drain_for is not None:
            self._on_drained(place.number, complete=False)
            return
        place.restarts += 1
        if time.monotonic() - place.started_at > STEADY_SECONDS:
            place.wait_seconds = WAIT_MIN_SECONDS
            self._start(place)
            return
        _log.warning("shard %d ended; again in %.1f s", place.number, place.wait_seconds)
        self.wakeupAfter(place.wait_seconds, place.number)
        place.wait_seconds = min(2 * place.wait_seconds, WAIT_MAX_SECONDS)

    # ── other nodes ──────────────────────────────────────────────────────────────────────────

    def receiveMsg_ActorSystemConventionUpdate(
        self, update: ActorSystemConventionUpdate, sender: Any
    ) -> None:
        """Thespian has met another node: let its guardian know this one."""
        node_id = (update.remoteCapabilities or {}).get(CAPABILITY)
        if update.remoteAdded and node_id and node_id != self._cluster.node_id:
            self._to_greet.add(node_id)
            self._greet()

    def _greet(self) -> None:
        """Once this node can take rooms, let those know it that Thespian has met."""
        if not self._has_begun:
            return
        for node_id in self._to_greet:
            envoy = self.createActor(Envoy, targetActorRequirements={CAPABILITY: node_id})
            self.send(envoy, self._beat())
        self._to_greet.clear()

    def receiveMsg_Beat(self, beat: Beat, sender: ActorAddress) -> None:
        """Another node lives."""
        if sender != beat.guardian:
            self.send(sender, ActorExitRequest(recursive=False))  # an envoy that is done
        if not self._places:
            return  # this one does not yet
        if self._cluster.is_double(beat):
            _log.critical("another node is called %r too: give it another --node-id", beat.node_id)
            return
        before = self._cluster.alive
        if self._cluster.hear(beat, time.monotonic()):
            if self._cluster.alive != before:
                _log.info("node %s has joined: %s", beat.node_id, self._cluster.alive)
                self._say_all(self._beat())  # the others learn of it, too
            self._tell_members()

    def receiveMsg_Farewell(self, farewell: Farewell, sender: ActorAddress) -> None:
        """Another node has ended as it was told to."""
        if self._places and self._cluster.leave(farewell.node_id):
            _log.info("node %s has left", farewell.node_id)
            self._tell_members()

    def _beat(self) -> Beat:
        shards, known = self._own_shards(), dict(self._cluster.guardians())
        return Beat(
            self._cluster.node_id,
            self._cluster.incarnation,
            self.myAddress,
            tuple(shards),
            tuple(shards.values()),
            self._is_leaving,
            tuple(known),
            tuple(known.values()),
        )

    def _beat_all(self) -> None:
        self.wakeupAfter(BEAT_SECONDS, _BEAT)
        for place in self._places:
            if place.pid and not is_alive(place.pid):  # two at once: Thespian tells of one
                self._on_exit(place)
        self._say_all(self._beat())
        if dead := self._cluster.expire(time.monotonic()):
            _log.error("no beat of %s: their rooms live elsewhere now", ", ".join(dead))
            if self._is_leaving and not self._cluster.alive:
                self._drain_all()  # nobody is there any more to take its rooms
        self._tell_members()  # whether or not anything changed: Thespian may lose a message

    def _say_all(self, message: object) -> None:
        if not self._has_begun:
            return  # nobody is to count on this node yet
        for _, guardian in self._cluster.guardians():
            self.send(guardian, message)

    def receiveMsg_WakeupMessage(self, due: WakeupMessage, sender: Any) -> None:
        """A wait is over: for a shard, for the next beat, or (None) for all that drain."""
        if due.payload == _BEAT:
            self._beat_all()
        elif due.payload == _LEFT:
            self._drain_all()
        elif isinstance(due.payload, _Overdue):
            self._look_after(due.payload)
        elif due.payload is None:
            for place in self._places:
                self._on_drained(place.number, complete=False)
        elif self._drain_for is None:
            place = self._places[due.payload]
            if place.address is None:
                self._start(place)

    def receiveMsg_DrainNode(self, drain: DrainNode, sender: ActorAddress) -> None:
        """Rooms move to the other nodes, if there are any; then each shard hands over, and ends.

        Whoever asked is answered when all have, or the time is over.
        """
        if not self._places:  # told to end before the first question
            self.send(sender, NodeDrained(complete=True))
            return
        self._drain_for, self._drain_seconds = sender, drain.seconds
        self.wakeupAfter(drain.seconds + DRAIN_MARGIN_SECONDS, None)
        if self._cluster.alive:
            self._is_leaving = True
            self._say_all(self._beat())
            self._tell_members()
            self._drain_seconds = drain.seconds / 2
            self.wakeupAfter(drain.seconds / 2, _LEFT)
        for place in self._places:
            if place.address is None:
                self._on_drained(place.number, complete=True)
            elif not (self._is_leaving and place.pid):  # one that is just starting has no rooms
                self._drain(place)

    def _drain_all(self) -> None:
        for place in self._places:
            self._drain(place)

    def _drain(self, place: _Place) -> None:
        if place.address is not None and not place.is_draining:
            place.is_draining = True
            self.send(place.address, DrainShard(self._drain_seconds))

    def receiveMsg_ShardLeft(self, left: ShardLeft, sender: ActorAddress) -> None:
        """Its rooms live elsewhere now."""
        self._drain(self._places[left.number])

    def receiveMsg_ShardDrained(self, drained: ShardDrained, sender: ActorAddress) -> None:
        """One of them is done."""
        self._on_drained(drained.number, complete=drained.complete)

    def _on_drained(self, number: int, *, complete: bool) -> None:
        self._drained.setdefault(number, complete)
        if len(self._drained) == len(self._places) and self._drain_for is not None:
            self._say_all(Farewell(self._cluster.node_id))
            self.send(self._drain_for, NodeDrained(all(self._drained.values())))
            self._drain_for = self.myAddress  # nobody is told twice, and nothing started again
