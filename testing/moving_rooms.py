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
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ..core.placement import Placement, room_route
from ..link.batches import Packer
from ..link.intake import Intake
from ..messages.calls import Call, TrackStats
from ..messages.handoff import WorkerFacts
from ..messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID, WorkerKey
from ..node.gateway import Gateway
from ..node.messages import Forward, Forwarded, Moved, MovedHeard

BUSY_SECONDS: Final = 25.0  # in which clients call and shards come and go
QUIET_SECONDS: Final = 90.0  # by then everything has found its place
ROOMS: Final = 8
CLIENTS: Final = 3
WINDOW: Final = 4
TOLD_SECONDS: Final = 1.0
DEAD_SECONDS: Final = 3.5

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Risks:
    """What may happen, and how likely."""

    loss: float = 0.0
    repeats: float = 0.0
    reconnects: float = 0.0
    crashes: bool = False


@dataclass(eq=False)
class Node:
    """A guardian, and the shards that it has."""

    name: str
    shards: list[FakeShard] = field(default_factory=list)
    seen: dict[str, tuple[dict[str, Any], bool]] = field(default_factory=dict)
    is_leaving: bool = False
    is_up: bool = True

    def beat(self) -> tuple[dict[str, Any], bool]:
        """Its shards and where they are; whether it is about to end."""
        places = {each.name: each.life if each.is_up else None for each in self.shards}
        return places, self.is_leaving

    def tell(self, world: World) -> None:
        """Let its shards know whom it sees."""
        shards, leaving = {}, []
        for theirs, ends in [*self.seen.values(), self.beat()]:
            shards.update(theirs)
            leaving += [*theirs] if ends else []
        for shard in self.shards:
            if shard.is_up:
                meet = partial(shard.on, shard.life, "meet", dict(shards), tuple(leaving))
                world.send(self, shard.life, meet)


class FakeShard:
    """A gateway and an intake, before actors that take their time."""

    def __init__(self, world: World, node: Node, number: int) -> None:
        self.world, self.node = world, node
        self.name = f"{node.name}/{number}"
        self.start()

    def start(self) -> None:
        """Begin a life, at another address than before."""
        self.life = object()
        self.is_up, self.is_done = True, False
        self.workers: set[WorkerKey] = set()
        self.inbox: deque[Work] = deque()
        self.open = 0
        self.intake = Intake(self)
        now = partial(getattr, self.world, "now")
        self.gateway = Gateway(self.name, self.intake, self, self._post, now)
        self._every_second(self.life)

    def end(self) -> None:
        """Be gone, with all that was in it."""
        self.is_up = False
        self.world.hang_up(self)

    def on(self, life: object, method: str, *arguments: Any) -> None:
        """A message has arrived for this life of it."""
        if self.is_up and self.life is life:
            getattr(self.gateway, method)(*arguments)

    def _every_second(self, life: object) -> None:
        if self.is_up and self.life is life:
            self.gateway.tick()
            self.world.later(1.0, partial(self._every_second, life))

    def _post(self, address: Any, message: object) -> None:
        self.world.post(self.life, address, message)

    # ── its actors: each input in its order, some time later ─────────────────────────────────

    def _enter(self, work: Work) -> None:
        self.inbox.append(work)
        self.world.later(self.world.random.expovariate(50), partial(self._work, self.life))

    def _work(self, life: object) -> None:
        if self.is_up and self.life is life:
            self.inbox.popleft()()

    def take(self, calls: Sequence[Call], on_done: Work) -> None:
        """As `link.intake.Shard`."""
        self._enter(partial(self._process, calls, on_done))

    def lose(self, reason: str, count: int) -> None:
        """As `link.intake.Shard`."""
        raise AssertionError(reason)

    def _process(self, calls: Sequence[Call], on_done: Work) -> None:
        for call in calls:
            assert isinstance(call, TrackStats)
            worker = WorkerKey(call.room_id, call.key.participant_id)
            number = int(call.stat)
            if number == 0:
                self.workers.add(worker)
            self.world.took_effect(worker, number, known=worker in self.workers)
            self.workers.add(worker)
        on_done()

    def release(self, shards: tuple[str, ...]) -> None:
        """As `node.gateway.Rooms`."""
        self._enter(partial(self._release, shards))

    def _release(self, shards: tuple[str, ...]) -> None:
        placement = Placement(shards)
        away = [each for each in self.workers if placement.owner(route(each)) != self.name]
        self.workers.difference_update(away)
        facts = tuple(
            WorkerFacts(each, RoomName(each.room_id), connected=True, closed=False, guards=())
            for each in sorted(away)
        )
        self._enter(partial(self.on, self.life, "released", shards, facts))

    def adopt(self, workers: tuple[WorkerFacts, ...]) -> None:
        """As `node.gateway.Rooms`."""
        self._enter(partial(self.workers.update, [each.key for each in workers]))

    def left(self) -> None:
        """As `node.gateway.Rooms`: it drains, then ends."""
        if self.node.is_leaving and not self.is_done:
            self.is_done = True
            self.world.hang_up(self)
            self._end_when_idle()

    def _end_when_idle(self) -> None:
        if self.open or self.inbox:
            self.world.later(0.05, self._end_when_idle)
            return
        assert not self.workers, f"{self.name} ends with workers"
        self.end()
        if not any(shard.is_up for shard in self.node.shards):
            self.node.is_up = False
            self.world.tell_of_end(self.node, 0.0)


def route(worker: WorkerKey) -> str:
    """Of its room."""
    return room_route(worker.room_id, worker.room_id)


class Client:
    """Sends numbered calls about each room in batches, and again what was not acknowledged."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.id = bytes([number]) * 16
        self.participant = ParticipantID(f"PA_{number}")
        self.unacked: deque[tuple[int, bytes]] = deque()
        self.sent: Counter[WorkerKey] = Counter()
        self.sequence = 0
        self.connection: dict[int, bool] = {}  # sequence: whether it took effect
        self.shard: FakeShard | None = None
        self._packer = Packer()

    def call(self) -> None:
        """Send a batch, if the window allows it; another follows."""
        if self.world.is_busy:
            self.world.later(self.world.random.expovariate(8), self.call)
        if len(self.unacked) >= WINDOW or not self.world.is_busy:
            return
        flat: list[bytes | str] = []
        for _ in range(self.world.random.randint(1, 4)):
            room = f"room-{self.world.random.randrange(ROOMS)}"
            worker = WorkerKey(RoomID(room), self.participant)
            key = StatsKey("", 0, self.participant, TrackID("TR"), 0, 0, track=True)
            number = self.sent[worker]
            self.sent[worker] += 1
            call = TrackStats(RoomID(room), RoomName(room), key, str(number).encode())
            flat += self._packer.item(call)
        self.sequence += 1
        self.unacked.append((self.sequence, self._packer.payload(flat)))
        if self.shard is not None:
            self._send(*self.unacked[-1])

    def connect(self) -> None:
        """To a shard of the first node, which is the client's own, or to any; all again."""
        shards = self.world.open_shards()
        if not shards:
            self.world.later(0.2, self.connect)
            return
        self.shard, self.connection = self.world.random.choice(shards), {}
        for sequence, payload in self.unacked:
            self._send(sequence, payload)

    def hang_up(self) -> None:
        """The connection broke: another, soon."""
        self.shard = None
        self.world.later(self.world.random.uniform(0.01, 0.5), self.connect)

    def _send(self, sequence: int, payload: bytes) -> None:
        shard, connection = self.shard, self.connection
        assert shard is not None
        connection[sequence] = False
        arrive = partial(self._arrive, shard, shard.life, connection, sequence, payload)
        self.world.send(connection, shard.life, arrive, is_sure=True)

    def _arrive(
        self,
        shard: FakeShard,
        life: object,
        connection: dict[int, bool],
        sequence: int,
        payload: bytes,
    ) -> None:
        if not shard.is_up or shard.life is not life or shard.is_done:
            return
        shard.open += 1
        done = partial(self._done, shard, life, connection, sequence)
        shard.gateway.take(self.id, sequence, payload, done)

    def _done(
        self, shard: FakeShard, life: object, connection: dict[int, bool], sequence: int
    ) -> None:
        if shard.life is life:
            shard.open -= 1
        connection[sequence] = True
        last = 0
        for each, is_done in connection.items():
            if not is_done:
                break
            last = each
        self.world.send(life, connection, partial(self._acked, connection, last), is_sure=True)

    def _acked(self, connection: dict[int, bool], sequence: int) -> None:
        if connection is self.connection and self.shard is not None:
            while self.unacked and self.unacked[0][0] <= sequence:
                self.unacked.popleft()


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
