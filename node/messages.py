"""What the guardian, its shards and the node's process tell each other, through Thespian.

Settings and secrets do not travel: processes of a node are forked, and inherit them.
"""

from __future__ import annotations

from dataclasses import dataclass

from thespian.actors import ActorAddress

from ..runtime.secure.allowed import allow


@dataclass(frozen=True, slots=True)
class StartShard:
    """To a shard: run as this one, which was started again so often."""

    number: int
    restarts: int


@dataclass(frozen=True, slots=True)
class ShardBegun:
    """From a shard, before anything else: its process lives."""

    number: int


@dataclass(frozen=True, slots=True)
class RunShard:
    """From a shard to itself: now run, which may take long."""

    start: StartShard
    guardian: ActorAddress


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
        is_leaving: Its rooms are to move elsewhere, because it ends.
        known: The other nodes that it knows …
        guardians: … and their guardians.
    """

    node_id: str
    incarnation: bytes
    guardian: ActorAddress
    shards: tuple[str, ...]
    addresses: tuple[ActorAddress | None, ...]
    is_leaving: bool
    known: tuple[str, ...]
    guardians: tuple[ActorAddress, ...]


@dataclass(frozen=True, slots=True)
class Farewell:
    """From one guardian to another: this node has ended, its rooms live elsewhere."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Members:
    """To a shard: all shards there are, and where; None: nowhere at the moment.

    No room lives on those in `leaving` any more: they hand over what they have, and end.
    """

    names: tuple[str, ...]
    addresses: tuple[ActorAddress | None, ...]
    leaving: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShardLeft:
    """From a shard that is leaving: no room lives on it any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Forward:
    """From a shard to another: the part of a client's batch that belongs there.

    Args:
        stream: 16 bytes: this numbering, made for the present life of the receiver.
        number: 1, 2, 3 … of this stream.
        view: 16 bytes: by which shards the sender decided that it belongs there.
        client_id: 16 bytes.
        sequence: Of the client's batch.
        payload: See link/batches.py.
    """

    stream: bytes
    number: int
    view: bytes
    client_id: bytes
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Forwarded:
    """And back: the parts of this stream up to this number took effect."""

    stream: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Moved:
    """From a shard to another, in each move, once for each stage of it.

    Args:
        view: 16 bytes: which shards there are, see `moving.view_of`.
        stage: "begun"; "settled": all that it forwarded by older views is acknowledged; "moved":
            it has given up what lives elsewhere.
        shard: Who says so.
        life: 16 bytes: in which life of it.
        move: 1, 2, 3 … of this life: a view may come back.
        number: 1, 2, 3 … of this life: of no other message to anybody.
        workers: Once moved, those given up for the other: an `AdoptWorkers`, as
            `messages.codec` writes it.
        had: And what it has had of batches that clients may send again: see `link/intake.py`.
    """

    view: bytes
    stage: str
    shard: str
    life: bytes
    move: int
    number: int
    workers: bytes
    had: bytes


@dataclass(frozen=True, slots=True)
class MovedHeard:
    """And back: it need not be said again.

    Args:
        life: Of what was heard.
        number: Likewise.
        shard: Who has heard it.
    """

    life: bytes
    number: int
    shard: str


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


allow(StartShard, ShardBegun, RunShard, ShardReady, ShardFailed, DrainShard, ShardDrained)
allow(Beat, Farewell)
allow(Members, ShardLeft, Forward, Forwarded, Moved, MovedHeard)
allow(AskNode, NodeState, DrainNode, NodeDrained)
