"""Rooms move when shards come or go: each shard tells every other what it gives up for it.

Every shard that learns of other shards than before (a new *view*) does the same:

1. It takes nothing more of its clients, and tells the others that it has *begun*; what comes
   waits, unacknowledged. When all that it has forwarded is acknowledged, and all that it gave up
   before has arrived, it tells them that it is *settled*.
2. When all are, nothing is on its way any more. What it has is processed; workers of rooms that
   live elsewhere now are given up. It tells each other which workers it gave up for it, and what
   it has had of the batches of clients: it has *moved*. It adopts what the others tell.
3. When all have moved, it goes on, and what waited goes where it belongs now.

So calls about a room keep their order, and meet one worker. Until all are settled the next view
may overtake a move; after that it waits for the end of it. Who died is not waited for, and nobody
is for longer than `PATIENCE_SECONDS` at each stage: two guardians may see different shards.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Any, Final

from ..core.placement import Placement, room_route
from ..messages.codec import decode, encode
from ..messages.handoff import AdoptWorkers, WorkerFacts
from .messages import Moved, MovedHeard

PATIENCE_SECONDS: Final = 10.0  # what was lost is said again after 1 or 2
VIEW_BYTES: Final = 16
REMEMBERED: Final = 4_096
BEGUN: Final = "begun"
SETTLED: Final = "settled"
MOVED: Final = "moved"
STRAYED: Final = "strayed"  # no stage: workers that came to a shard that was not their home

Floors = dict[str, tuple[bytes, int]]


def view_of(shards: Iterable[str]) -> bytes:
    """The same 16 bytes for the same shards, whoever asks."""
    return blake2b("\n".join(sorted(shards)).encode(), digest_size=VIEW_BYTES).digest()


class Move:
    """One shard's way from one view to the next.

    Args:
        homes: The shards that rooms live on from now on.
        others: All other shards, those that are leaving too, and where they are; None: nowhere.
        view: The new view.
        floors: What was heard of the others before: see `Arrived.floors`.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        homes: tuple[str, ...],
        others: dict[str, Any],
        view: bytes,
        floors: Floors,
        now: float,
    ) -> None:
        self.homes = homes
        self.others = others
        self.view = view
        self.floors = floors
        self.is_settled = False  # this shard is, and has said so
        self.is_releasing = False  # all are, or that took too long
        self.has_released = False
        here = {name for name, address in others.items() if address is not None}
        self._missing = {SETTLED: set(here), MOVED: set(here)}
        self._stage_began_at = now

    def concerns(self, moved: Moved) -> bool:
        """Whether that is said of this move, not of an earlier one to the same view."""
        life, move = self.floors.get(moved.shard, (moved.life, 0))
        return moved.view == self.view and (moved.life != life or moved.move >= move)

    def may_be_overtaken(self, there: Iterable[str], now: float) -> bool:
        """Whether nobody can have given up workers for it, so that the next view may come first.

        Args:
            there: Who has left this move out, or given it up, on the way to the next view.
            now: Monotonic seconds.
        """
        if self.is_releasing:
            return False
        if not self.is_settled or self._is_late(now):
            return True
        return any(shard in self._missing[SETTLED] for shard in there)

    def hear(self, stage: str, shard: str) -> None:
        """Another shard has come that far."""
        if stage == MOVED:
            self.lose(shard)
        elif stage == SETTLED:
            self._missing[SETTLED].discard(shard)

    def lose(self, shard: str) -> None:
        """That shard has nothing more to say: it has moved, or died."""
        for missing in self._missing.values():
            missing.discard(shard)

    def may_release(self, now: float) -> bool:
        """Whether it is time to give up workers; once."""
        if self.is_releasing or not self._is_complete(SETTLED, now, own=self.is_settled):
            return False
        self.is_releasing, self._stage_began_at = True, now
        return True

    def is_over(self, now: float) -> bool:
        """Whether this shard may go on in the new view."""
        return self.has_released and self._is_complete(MOVED, now, own=True)

    def _is_complete(self, stage: str, now: float, *, own: bool) -> bool:
        return self._is_late(now) or (own and not self._missing[stage])

    def _is_late(self, now: float) -> bool:
        return now - self._stage_began_at > PATIENCE_SECONDS

    @property
    def missing(self) -> list[str]:
        """Who has not moved yet."""
        return sorted(self._missing[MOVED])


def shares(
    facts: Iterable[WorkerFacts], shards: Iterable[str]
) -> dict[str, tuple[WorkerFacts, ...]]:
    """Whose these workers are, now that rooms live on these shards."""
    placement = Placement(shards)
    found: dict[str, list[WorkerFacts]] = {}
    for each in facts:
        owner = placement.owner(room_route(each.room_name, each.key.room_id))
        found.setdefault(owner, []).append(each)
    return {name: tuple(theirs) for name, theirs in found.items()}


def packed(workers: tuple[WorkerFacts, ...] = ()) -> bytes:
    """As they travel in a `Moved`."""
    return encode(AdoptWorkers(workers))


NOBODY: Final = packed()


@dataclass(slots=True)
class _Course:
    life: bytes
    move: int
    view: bytes
    stages: set[str] = field(default_factory=set)


class Arrived:
    """What has been heard of the moves of others, so that nothing is adopted twice."""

    def __init__(self) -> None:
        self._heard: OrderedDict[tuple[bytes, int], None] = OrderedDict()
        self._courses: dict[str, _Course] = {}

    def is_new(self, moved: Moved) -> bool:
        """Whether it is the first time; it is remembered."""
        which = (moved.life, moved.number)
        if which in self._heard:
            return False
        self._heard[which] = None
        if len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)
        course = self._courses.get(moved.shard)
        if course is None or course.life != moved.life or course.move < moved.move:
            course = _Course(moved.life, moved.move, moved.view)
            self._courses[moved.shard] = course
        if course.move == moved.move:
            course.stages.add(moved.stage)
        return True

    def of(self, view: bytes) -> list[tuple[str, str]]:
        """Who has come how far on the way to this view, and was last heard to be on it."""
        return [
            (shard, stage)
            for shard, course in self._courses.items()
            if course.view == view
            for stage in course.stages
        ]

    def newly_at(self, view: bytes, floors: Floors) -> list[str]:
        """Who has begun to go to this view since those were the floors."""
        return [
            shard
            for shard, course in self._courses.items()
            if course.view == view and (course.life, course.move) != floors.get(shard)
        ]

    def floors(self) -> Floors:
        """The latest move that was heard of, of each."""
        return {shard: (each.life, each.move) for shard, each in self._courses.items()}

    def forget(self, shard: str) -> None:
        """That shard is gone."""
        self._courses.pop(shard, None)


class Words:
    """What this shard tells others of its moves, until they have heard it.

    Args:
        name: Of this shard.
        life: 16 bytes: of this shard's present life.
        say: Sends a message to the shard of that name, if it is anywhere.
    """

    def __init__(self, name: str, life: bytes, say: Callable[[str, object], None]) -> None:
        self._name = name
        self._life = life
        self._say = say
        self._numbers = count(1)
        self._untold: dict[int, tuple[str, Moved]] = {}

    def tell(
        self,
        to: str,
        view: bytes,
        stage: str,
        move: int,
        workers: tuple[WorkerFacts, ...] = (),
        had: bytes = b"",
    ) -> None:
        """Let a shard know."""
        number = next(self._numbers)
        moved = Moved(view, stage, self._name, self._life, move, number, packed(workers), had)
        self._untold[number] = (to, moved)
        self._say(to, moved)

    def heard(self, heard: MovedHeard) -> None:
        """That shard need not be told again."""
        if heard.life == self._life and self._untold.get(heard.number, ("",))[0] == heard.shard:
            del self._untold[heard.number]

    def again(self) -> None:
        """Say again what nobody has heard."""
        for to, moved in [*self._untold.values()]:
            self._say(to, moved)

    def drop(self, to: str) -> list[WorkerFacts]:
        """That shard is gone: the workers that were to be its."""
        numbers = [number for number, (name, _) in self._untold.items() if name == to]
        words = [self._untold.pop(number)[1] for number in numbers]
        return [worker for moved in words for worker in workers_of(moved)]

    @property
    def are_moves_heard(self) -> bool:
        """Whether all workers that were given up have arrived."""
        return not any(moved.workers != NOBODY for _, moved in self._untold.values())


def workers_of(moved: Moved) -> tuple[WorkerFacts, ...]:
    """Those that travel in it."""
    adopt = decode(moved.workers)
    return adopt.workers if isinstance(adopt, AdoptWorkers) else ()
