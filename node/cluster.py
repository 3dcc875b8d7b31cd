"""Which nodes there are: each tells all others every second that it lives, and whom it knows.

Thespian's Convention introduces nodes to each other and carries what they say. It is no failure
detector: it reports a dead node after many seconds, and the death of remote children never. So
whoever is silent for `DEAD_SECONDS` is dead, until it is heard again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .messages import Beat

BEAT_SECONDS: Final = 1.0
DEAD_SECONDS: Final = 3.5  # three beats and a half
FORGET_SECONDS: Final = 3600.0  # how long a dead node is still told that this one lives


@dataclass(slots=True)
class _Node:
    guardian: Any
    incarnation: bytes
    heard_at: float
    is_leaving: bool
    shards: Mapping[str, Any]


class Cluster:
    """The nodes that this one knows, itself apart.

    Args:
        node_id: Of this node.
        incarnation: Of its present life.
    """

    def __init__(self, node_id: str, incarnation: bytes) -> None:
        self.node_id = node_id
        self.incarnation = incarnation
        self._nodes: dict[str, _Node] = {}
        self._alive: set[str] = set()

    def hear(self, beat: Beat, now: float) -> bool:
        """A node says that it lives; whether the members, or where they are, changed by it."""
        if beat.node_id == self.node_id:
            return False
        known = self._nodes.get(beat.node_id)
        shards = dict(zip(beat.shards, beat.addresses, strict=True))
        changed = (
            known is None
            or known.shards != shards
            or known.is_leaving != beat.is_leaving
            or beat.node_id not in self._alive
        )
        self._nodes[beat.node_id] = _Node(
            beat.guardian, beat.incarnation, now, beat.is_leaving, shards
        )
        self._alive.add(beat.node_id)
        for name, guardian in zip(beat.known, beat.guardians, strict=True):
            if name != self.node_id and name not in self._nodes:
                self._nodes[name] = _Node(  # it is told of this one
                    guardian, b"", now, is_leaving=False, shards={}
                )
        return changed

    def is_double(self, beat: Beat) -> bool:
        """Whether another node has this one's id: one of both has to be given another."""
        return beat.node_id == self.node_id and beat.incarnation != self.incarnation

    def leave(self, node_id: str) -> bool:
        """A node says that it ends; whether it was a member."""
        self._nodes.pop(node_id, None)
        if node_id not in self._alive:
            return False
        self._alive.discard(node_id)
        return True

    def expire(self, now: float) -> list[str]:
        """The nodes that have just been found dead."""
        dead = [
            name for name in sorted(self._alive) if now - self._nodes[name].heard_at > DEAD_SECONDS
        ]
        self._alive.difference_update(dead)
        for name, node in [*self._nodes.items()]:
            if now - node.heard_at > FORGET_SECONDS:
                del self._nodes[name]
        return dead

    def guardians(self) -> Iterator[tuple[str, Any]]:
        """Everybody who is to be told that this node lives, the dead too: they may come back."""
        return ((name, node.guardian) for name, node in self._nodes.items())

    @property
    def alive(self) -> list[str]:
        """The ids of the members."""
        return sorted(self._alive)

    def shards(self) -> dict[str, Any]:
        """The shards of the members: their names, and where they are (None: nowhere now)."""
        return {
            name: address
            for node_id in self.alive
            for name, address in self._nodes[node_id].shards.items()
        }

    def leaving(self) -> list[str]:
        """The shards of members that are about to end."""
        nodes = (self._nodes[node_id] for node_id in self.alive)
        return [name for node in nodes if node.is_leaving for name in node.shards]
