"""What the guardian, its shards and the node's process tell each other, through Thespian.

Settings and secrets do not travel: processes of a node are forked, and inherit them.
"""

from __future__ import annotations

from dataclasses import dataclass

from thespian.actors import ActorAddress

from ..runtime.secure.allowed import allow


@dataclass(frozen=True, slots=True)
class StartShard:
    """To a shard: run as this one."""

    number: int


@dataclass(frozen=True, slots=True)
class ShardReady:
    """From a shard: clients are let in."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class ShardFailed:
    """From a shard: it cannot run, and another attempt may or may not help."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Beat:
    """From one guardian to another, every second: this node lives.

    Args:
        node_id: Of which node.
        incarnation: Of its present life.
        guardian: Where to answer.
        shards: Their names …
        addresses: … and where they are; None: nowhere at the moment.
        known: The other nodes that it knows …
        guardians: … and their guardians.
    """

    node_id: str
    incarnation: bytes
    guardian: ActorAddress
    shards: tuple[str, ...]
    addresses: tuple[ActorAddress | None, ...]
    known: tuple[str, ...]
    guardians: tuple[ActorAddress, ...]


@dataclass(frozen=True, slots=True)
class Farewell:
    """From one guardian to another: this node has ended, its rooms live elsewhere."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Members:
    """To a shard: all shards there are, and where; None: nowhere at the moment."""

    names: tuple[str, ...]
    addresses: tuple[ActorAddress | None, ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """From a shard to another: the part of a client's batch that belongs there.

    Args:
        stream: 16 bytes: this numbering, made for the present life of the receiver.
        number: 1, 2, 3 … of this stream.
        client_id: 16 bytes.
        sequence: Of the client's batch.
        payload: See link/batches.py.
    """

    stream: bytes
    number: int
    client_id: bytes
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Forwarded:
    """And back: the parts of this stream up to this number took effect."""

    stream: bytes
    number: int


@dataclass(frozen=True, slots=True)
class DrainShard:
    """To a shard: take nothing more, hand over what is in hand, and end."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ShardDrained:
    """From a shard: nothing is left in it; `complete` says whether all was handed over."""

    number: int
    complete: bool


@dataclass(frozen=True, slots=True)
class AskNode:
    """To the guardian: how are they?"""


@dataclass(frozen=True, slots=True)
class NodeState:
    """From the guardian.

    Args:
        pids: Of the shards, by number; 0: it is being started.
        restarts: How often a shard was started again.
        failures: Why shards do not run, by number; empty: it does.
        guardian: Its own process id.
        nodes: The ids of the other nodes of the cluster.
    """

    pids: tuple[int, ...]
    restarts: int
    failures: tuple[str, ...]
    guardian: int
    nodes: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether every shard lets clients in."""
        return all(self.pids)


@dataclass(frozen=True, slots=True)
class DrainNode:
    """To the guardian: have all shards drained; answered by `NodeDrained`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NodeDrained:
    """From the guardian: every shard has ended."""

    complete: bool


allow(StartShard, ShardReady, ShardFailed, DrainShard, ShardDrained)
allow(Beat, Farewell)
allow(Members, Forward, Forwarded)
allow(AskNode, NodeState, DrainNode, NodeDrained)
