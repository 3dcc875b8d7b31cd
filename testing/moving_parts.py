"""What `moving_rooms` plays with: shards without actors, clients, and what may go wrong."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..core.journal import Origin
from ..core.placement import Placement, room_route
from ..link.batches import Packer
from ..link.intake import Intake
from ..messages.calls import Call, TrackStats
from ..messages.handoff import WorkerFacts
from ..messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID, WorkerKey
from ..node.gateway import Gateway

if TYPE_CHECKING:
    from .moving_rooms import World

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

    def take(self, calls: Sequence[Call], on_done: Work, origin: Origin | None = None) -> None:
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
