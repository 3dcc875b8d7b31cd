"""Rooms move when shards come or go: each shard tells every other what it gives up for it.

Every shard that learns of other shards than before (a new *view*) does the same:

1. It takes nothing more of its clients; what comes waits, unacknowledged. When all that it has
   forwarded is acknowledged, it tells the others that it is *settled*.
2. When all are, nothing is on its way any more. What it has is processed; workers of rooms that
   live elsewhere now are given up. It tells each other which workers it gave up for it: it has
   *moved*. It adopts what the others tell.
3. When all have moved, it goes on, and what waited goes where it belongs now.

So calls about a room keep their order, and meet one worker. Nobody is waited for longer than
`PATIENCE_SECONDS` at each stage: who died meanwhile tells nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from ..core.placement import Placement, room_route
from ..messages.codec import encode
from ..messages.handoff import AdoptWorkers, WorkerFacts
from .messages import Moved

PATIENCE_SECONDS: Final = 5.0
VIEW_BYTES: Final = 16
REMEMBERED: Final = 4_096
SETTLED: Final = "settled"
MOVED: Final = "moved"


def view_of(shards: Iterable[str]) -> bytes:
    """The same 16 bytes for the same shards, whoever asks."""
    return blake2b("\n".join(sorted(shards)).encode(), digest_size=VIEW_BYTES).digest()


class Move:
    """One shard's way from one view to the next.

    Args:
        homes: The shards that rooms live on from now on.
        others: All other shards, those that are leaving too, and where they are; None: nowhere.
        view: The new view.
        now: Monotonic seconds.
    """

    def __init__(
        self, homes: tuple[str, ...], others: dict[str, Any], view: bytes, now: float
    ) -> None:
        self.homes = homes
        self.others = others
        self.view = view
        self.is_settled = False  # this shard is, and has said so
        self.is_releasing = False  # all are, or that took too long
        self.has_released = False
        here = {name for name, address in others.items() if address is not None}
        self._missing = {SETTLED: set(here), MOVED: set(here)}
        self._stage_began_at = now

    def hear(self, stage: str, shard: str) -> None:
        """Another shard has come that far."""
        self._missing[stage].discard(shard)
        if stage == MOVED:
            self._missing[SETTLED].discard(shard)

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
        late = now - self._stage_began_at > PATIENCE_SECONDS
        return late or (own and not self._missing[stage])

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


class Arrived:
    """Which `Moved` have been heard, so that one that comes twice is not adopted twice."""

    def __init__(self) -> None:
        self._heard: OrderedDict[tuple[bytes, str, str, bytes], None] = OrderedDict()

    def is_new(self, moved: Moved) -> bool:
        """Whether it is the first time; it is remembered."""
        which = (moved.view, moved.shard, moved.stage, moved.life)
        if which in self._heard:
            return False
        self._heard[which] = None
        if len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)
        return True

    def of(self, view: bytes) -> list[tuple[str, str]]:
        """Who has told what of this view so far: shard and stage."""
        return [(shard, stage) for seen, shard, stage, _ in self._heard if seen == view]
