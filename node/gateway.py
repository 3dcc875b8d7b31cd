"""The gateway of a shard: what its clients send goes to the shards that the rooms live on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from ..core.placement import Placement
from ..errors import LifecycleError
from ..link.intake import Intake
from ..messages.handoff import WorkerFacts
from .messages import Moved, MovedHeard
from .moving import (
    BEGUN,
    MOVED,
    SETTLED,
    STRAYED,
    Arrived,
    Move,
    Words,
    shares,
    view_of,
    workers_of,
)
from .splitting import Post, Splitting, new_id
from .streams import Outflow

_log = logging.getLogger("greenroom.node")


class Rooms(Protocol):
    """What the gateway needs of its shard when rooms move."""

    def release(self, shards: tuple[str, ...]) -> None:
        """Give up workers of rooms that live elsewhere now; calls `Gateway.released` later."""

    def adopt(self, workers: tuple[WorkerFacts, ...]) -> None:
        """Go on with those of another shard."""

    def left(self) -> None:
        """No room lives here any more, as it was wanted."""


class Gateway(Splitting):
    """Splits batches, and moves rooms when shards come or go. On the link's thread.

    Args:
        name: Of this shard.
        intake: Of this shard.
        rooms: Of this shard.
        post: Gives a message for an address to Thespian; from any thread.
        now: Monotonic seconds.
    """

    def __init__(
        self, name: str, intake: Intake, rooms: Rooms, post: Post, now: Callable[[], float]
    ) -> None:
        super().__init__(name, intake, post, now)
        self._rooms = rooms
        self._words = Words(name, new_id(), self._say)
        self._arrived = Arrived()
        self._next: tuple[str, ...] = ()  # the homes of the move after this one, if it waits
        self._moves = 0
        self._orphans: list[WorkerFacts] = []  # workers that have no home at the moment
        self._has_left = False

    def meet(self, shards: Mapping[str, Any], leaving: Collection[str] = ()) -> None:
        """From now on these are the shards, and this is where they are (None: nowhere yet).

        No room lives on those that are leaving, maybe this one itself; if all are, nothing moves.
        """
        homes = tuple(sorted(name for name in shards if name not in leaving))
        if not homes:
            return
        others = {
            name: address
            for name, address in shards.items()
            if name != self._name and not (address is None and name in leaving)  # that has ended
        }
        for name, address in others.items():
            self._meet_one(name, address)
        for name in [name for name in self._outflows if name not in others]:
            self._part_with(name)
        if self._move is not None:
            self._next = () if view_of(homes) == self._move.view else homes
        elif view_of(homes) != self._view:
            self._begin_move(homes)
        self._advance()
        self._settle_down()

    def _meet_one(self, name: str, address: Any) -> None:
        known, self._addresses[name] = self._addresses.get(name), address
        if name not in self._outflows:
            self._outflows[name] = Outflow(partial(self._say, name), new_id)
        elif address is not None and address != known:
            self._outflows[name].begin_anew(self._now())
        if self._move is not None and known is not None and address != known:
            self._move.lose(name)  # a new life of it has nothing to give up
        if self._move is None and self._view and address is not None and address != known:
            self._words.tell(name, self._view, MOVED, self._moves)  # it has just begun
        if address is not None and address != known:
            self._words.again()  # what it could not be told before

    def _part_with(self, name: str) -> None:
        """That shard is gone: what was for it goes elsewhere, in the next view at the latest."""
        self._addresses.pop(name, None)
        self._arrived.forget(name)
        self._orphans += self._words.drop(name)
        if self._move is not None:
            self._move.lose(name)
        self._held.extend(
            partial(self._take_back, part) for part in self._outflows.pop(name).take_back()
        )

    def _begin_move(self, homes: tuple[str, ...]) -> None:
        self._moves += 1
        self._next = ()
        others = dict(self._addresses)
        floors = self._arrived.floors()
        self._move = move = Move(homes, others, view_of(homes), floors, self._now())
        for name in others:
            self._words.tell(name, move.view, BEGUN, self._moves)
        for shard, stage in self._arrived.of(move.view):
            move.hear(stage, shard)

    def released(self, shards: tuple[str, ...], facts: tuple[WorkerFacts, ...]) -> None:
        """These workers were given up, because these are the shards."""
        given = shares(facts, shards)
        placement = Placement(shards)
        had = self._intake.had_by(placement.owner, self._outflows)
        for name in self._outflows:
            theirs = given.pop(name, ())
            self._words.tell(name, view_of(shards), MOVED, self._moves, theirs, had[name])
        for left in given.values():  # for those that have ended since
            self._orphans += left
        if self._move is not None:
            self._move.has_released = True
        self._advance()

    def on_moved(self, moved: Moved, sender: Any) -> None:
        """Another shard tells which workers it gave up for this one."""
        self._post(sender, MovedHeard(moved.life, moved.number, self._name))
        if not self._arrived.is_new(moved):
            return
        if moved.had:
            self._intake.learn(moved.had)
        self._orphans += workers_of(moved)
        self._home_orphans()
        if self._move is not None and self._move.concerns(moved):
            self._move.hear(moved.stage, moved.shard)
        self._advance()

    def on_moved_heard(self, heard: MovedHeard) -> None:
        """It need not be told again."""
        self._words.heard(heard)
        self._advance()
        self._settle_down()

    def _home_orphans(self) -> None:
        """Workers that came, or came back, go on here or, if it is not their home, there."""
        move, orphans = self._move, self._orphans
        if not orphans or (move is None and not self._view):
            return
        self._orphans = []
        if move is not None and not move.is_releasing:
            self._rooms.adopt(tuple(orphans))  # this move gives them up again
            return
        homes, view = (self._placement.shards, self._view)
        if move is not None:
            homes, view = move.homes, move.view
        for name, workers in shares(orphans, homes).items():
            if name == self._name:
                self._rooms.adopt(workers)
            elif name in self._outflows:
                self._words.tell(name, view, STRAYED, self._moves, workers)
            else:
                self._orphans += workers

    def _advance(self) -> None:
        """Take the next step of a move, if it is time for it."""
        move, now = self._move, self._now()
        if move is None:
            return
        if self._next and move.may_be_overtaken(self._there(move), now):
            self._begin_move(self._next)
            self._advance()
            return
        is_clear = self._words.are_moves_heard and not any(map(len, self._outflows.values()))
        if not move.is_settled and is_clear:
            move.is_settled = True
            for name in self._outflows:
                self._words.tell(name, move.view, SETTLED, self._moves)
        if move.may_release(now):
            self._rooms.release(move.homes)
        if move.is_over(now):
            self._go_on(move)

    def _there(self, move: Move) -> list[str]:
        """Who is on the way to the next view, and not still there since before this move."""
        view = view_of(self._next)
        floors = move.floors if view == self._view else {}
        return self._arrived.newly_at(view, floors)

    def _go_on(self, move: Move) -> None:
        """The new view is reached: what waited goes where it belongs now."""
        if move.missing:
            _log.warning("went on without a word of %s", ", ".join(move.missing))
        if self._view:
            self._past.append(self._view)
        self._view, self._move = move.view, None
        self._placement = Placement(move.homes)
        parts, self._parts = self._parts, deque()
        for forward, done in parts:
            self._admit(forward, done)
        self._let_ahead_in()
        if self._next:
            self._begin_move(self._next)
            self._advance()
        self._settle_down()

    def _settle_down(self) -> None:
        """Between moves nothing is held, and a shard where no room lives may end."""
        self._home_orphans()
        if self._move is not None or not self._view:
            return
        held, self._held = self._held, deque()
        for each in held:
            try:
                each()
            except LifecycleError as error:
                _log.error("a batch could not enter: %s", error)
        if not self._is_home and not self._has_left and self._is_empty:
            self._has_left = True
            self._rooms.left()

    @property
    def _is_empty(self) -> bool:
        return not self._orphans and self._words.are_moves_heard

    def tick(self) -> None:
        """Now and then: say again what nobody has acknowledged, and wait for nobody for ever."""
        now = self._now()
        for outflow in self._outflows.values():
            outflow.resend(now)
        self._words.again()
        self._advance()
        self._let_ahead_in()
        self._settle_down()
