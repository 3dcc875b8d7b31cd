"""Gateways of several nodes under a seeded schedule: clients call while shards come and go.

From one seed come the calls, the delays, what Thespian loses and repeats, when clients reconnect,
and which shards join, leave and crash. `check(seed)` raises AssertionError when one of these does
not hold:

- every call is acknowledged in the end, and took effect: nobody waits for ever;
- as long as no shard crashed: it did so once, in the order of its client and room, and met the
  worker that the first one made;
- each worker is in the end on the shard that its room lives on, and nowhere else.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from functools import partial
from typing import Any

from ..core.placement import Placement
from ..messages.ids import WorkerKey
from ..node.messages import Forward, Forwarded, Moved, MovedHeard
from .moving_parts import (
    BUSY_SECONDS,
    CLIENTS,
    DEAD_SECONDS,
    QUIET_SECONDS,
    TOLD_SECONDS,
    Client,
    FakeShard,
    Node,
    Risks,
    Work,
    route,
)


class World:
    """Time, the network, nodes and clients."""

    def __init__(self, seed: int, risks: Risks) -> None:
        self.random = random.Random(seed)
        self.risks = risks
        self.now = 0.0
        self.has_crashed = False
        self.effects: defaultdict[WorkerKey, list[int]] = defaultdict(list)
        self.strangers: list[tuple[WorkerKey, int]] = []
        self._count = itertools.count()
        self._due: list[tuple[float, int, Work]] = []
        self._arrivals: dict[tuple[int, int], float] = {}
        self._kept: list[object] = []  # so that no id() is given twice
        self.nodes: list[Node] = []
        self.join()
        self.join()
        self.clients = [Client(self, number + 1) for number in range(CLIENTS)]

    @property
    def is_busy(self) -> bool:
        """Whether anything new happens."""
        return self.now < BUSY_SECONDS

    def run(self) -> None:
        """Until all is quiet."""
        for client in self.clients:
            client.connect()
            client.call()
        self.later(self.random.uniform(1, 4), self._happen)
        while self._due and self.now < BUSY_SECONDS + QUIET_SECONDS:
            self.now, _, work = heapq.heappop(self._due)
            work()

    def later(self, seconds: float, work: Work) -> None:
        """Do it in so many seconds."""
        self._at(self.now + seconds, work)

    def _at(self, due: float, work: Work) -> None:
        heapq.heappush(self._due, (due, next(self._count), work))

    # ── Thespian, and connections ────────────────────────────────────────────────────────────

    def send(
        self,
        sender: object,
        receiver: object,
        work: Work,
        *,
        is_sure: bool = False,
        late: tuple[float, ...] = (0.0,),
    ) -> None:
        """Have it arrive, later than whatever the one sent the other before.

        Args:
            sender: Who sends.
            receiver: Whom.
            work: What its arrival does.
            is_sure: It is neither lost nor repeated.
            late: How long after the first time it may be repeated.
        """
        self._kept += (sender, receiver)
        pair = (id(sender), id(receiver))
        delay = self.random.expovariate(100) + (self.random.random() < 0.02)
        due = max(self._arrivals.get(pair, 0.0), self.now + delay)
        self._arrivals[pair] = due
        if is_sure or self.random.random() >= self.risks.loss:
            self._at(due, work)
        if not is_sure and self.random.random() < self.risks.repeats:
            self._at(due + self.random.choice(late), work)

    def post(self, sender: object, address: object, message: object) -> None:
        """From shard to shard."""
        for node in self.nodes:
            for shard in node.shards:
                if shard.life is address:
                    arguments: tuple[Any, ...] = {
                        Forward: ("on_forward", message, sender),
                        Forwarded: ("on_forwarded", message),
                        Moved: ("on_moved", message, sender),
                        MovedHeard: ("on_moved_heard", message),
                    }[type(message)]
                    arrive = partial(shard.on, address, *arguments)
                    self.send(sender, address, arrive, late=(0.0, 1.0, 6.0))

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    def _happen(self) -> None:
        if not self.is_busy:
            return
        self.later(self.random.expovariate(0.6), self._happen)
        up = [node for node in self.nodes if node.is_up and not node.is_leaving]
        kinds = ["join", "leave", "reconnect"] + 3 * ["crash", "die"] * self.risks.crashes
        kind = self.random.choice(kinds)
        if kind == "join" and len(up) < 4:
            self.join()
        elif kind == "leave" and len(up) > 1:
            self.leave(self.random.choice(up))
        elif kind == "crash":
            self.crash(self.random.choice(self.random.choice(up).shards))
        elif kind == "die" and len(up) > 1:
            self.die(self.random.choice(up))
        elif kind == "reconnect" and self.random.random() < self.risks.reconnects:
            client = self.random.choice(self.clients)
            if client.shard is not None:
                client.hang_up()

    def join(self) -> None:
        """A node begins; it has shards from the start, and hears of others a bit later."""
        node = Node(f"n{len(self.nodes)}")
        node.shards = [
            FakeShard(self, node, number) for number in range(self.random.choice((1, 2)))
        ]
        others = [each for each in self.nodes if each.is_up]
        node.seen = {each.name: each.beat() for each in others}  # clients come when it knows them
        self.nodes.append(node)
        self._guard(node)

    def _guard(self, node: Node) -> None:
        """What a guardian does every second: tell the others, and its own shards."""
        if not node.is_up:
            return
        self.later(TOLD_SECONDS, partial(self._guard, node))
        self._announce(node)
        node.tell(self)

    def _announce(self, node: Node) -> None:
        for other in self.nodes:
            if other is not node and other.is_up:
                self.send(node, other, partial(self._hear, other, node, node.beat()))

    def _hear(self, other: Node, node: Node, beat: tuple[dict[str, Any], bool]) -> None:
        if other.seen.get(node.name) != beat and node.is_up:
            other.seen[node.name] = beat
            other.tell(self)

    def leave(self, node: Node) -> None:
        """A node drains."""
        node.is_leaving = True
        self._announce(node)
        node.tell(self)

    def tell_of_end(self, node: Node, seconds: float) -> None:
        """The others learn that a node has ended."""
        for other in self.nodes:
            late = self.random.uniform(0.01, 1.5)
            self.later(seconds + late, partial(self._bury, other, node))

    def _bury(self, other: Node, node: Node) -> None:
        if other.seen.pop(node.name, None) is not None:
            other.tell(self)

    def crash(self, shard: FakeShard) -> None:
        """A shard dies, and is started again at another address."""
        if shard.is_up:
            self.has_crashed = True
            shard.end()
            self._announce(shard.node)
            shard.node.tell(self)
            self.later(self.random.uniform(0.1, 3.0), partial(self._come_back, shard))

    def _come_back(self, shard: FakeShard) -> None:
        if shard.node.is_up and not shard.node.is_leaving:
            shard.start()
            self._announce(shard.node)
            shard.node.tell(self)
        elif shard.node.is_leaving and not any(each.is_up for each in shard.node.shards):
            shard.node.is_up = False
            self.tell_of_end(shard.node, 0.0)

    def die(self, node: Node) -> None:
        """A node dies, with all its shards."""
        self.has_crashed = True
        node.is_up = False
        for shard in node.shards:
            shard.end()
        self.tell_of_end(node, DEAD_SECONDS)

    def open_shards(self) -> list[FakeShard]:
        """Those that let clients in."""
        shards = [shard for node in self.nodes if node.is_up for shard in node.shards]
        return [shard for shard in shards if shard.is_up and not shard.is_done]

    def hang_up(self, shard: FakeShard) -> None:
        """Its clients look for another."""
        for client in self.clients:
            if client.shard is shard:
                client.hang_up()

    def took_effect(self, worker: WorkerKey, number: int, *, known: bool) -> None:
        """A call has."""
        self.effects[worker].append(number)
        if not known:
            self.strangers.append((worker, number))

    # ── what must hold ───────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Raise AssertionError for what does not."""
        for client in self.clients:
            assert not client.unacked, f"{client.participant} waits: {client.unacked}"
        for shard in self.open_shards():
            gateway = shard.gateway
            assert not gateway.is_moving, f"{shard.name} is moving"
            assert not any(gateway.statistics().values()), f"{shard.name} forwards"
        for client in self.clients:
            for worker, count in client.sent.items():
                assert {*range(count)} == {*self.effects[worker]}, f"{worker} lacks calls"
        homes = Placement(shard.name for shard in self.open_shards())
        for shard in self.open_shards():
            for worker in shard.workers:
                assert homes.owner(route(worker)) == shard.name, f"{worker} is on {shard.name}"
        if self.has_crashed:
            return
        for worker, numbers in self.effects.items():
            assert numbers == [*range(len(numbers))], f"{worker}: {numbers}"
            places = [shard.name for shard in self.open_shards() if worker in shard.workers]
            assert places == [homes.owner(route(worker))], f"{worker} is at {places}"
        assert not self.strangers, f"met no worker: {self.strangers}"


def check(seed: int, risks: Risks) -> World:
    """Play a seed.

    Raises:
        AssertionError: Something did not hold.
    """
    world = World(seed, risks)
    world.run()
    world.check()
    return world
