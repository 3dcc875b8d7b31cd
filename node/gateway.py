"""The gateway of a shard: what its clients send goes to the shards that the rooms live on."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, Protocol

from ..core.placement import Placement
from ..errors import LifecycleError
from ..link.batches import EVERYWHERE, Item, Packer
from ..link.intake import Intake
from ..messages.handoff import WorkerFacts
from .messages import Forward, Forwarded, Moved, MovedHeard
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
from .streams import Inflow, OnDone, Outflow, Part

ID_BYTES: Final = 16
AHEAD_SECONDS: Final = 2.0  # what a shard of another view sent waits so long for that view
VIEWS: Final = 64
_log = logging.getLogger("greenroom.node")

Post = Callable[[Any, object], None]


class Rooms(Protocol):
    """What the gateway needs of its shard when rooms move."""

    def release(self, shards: tuple[str, ...]) -> None:
        """Give up workers of rooms that live elsewhere now; calls `Gateway.released` later."""

    def adopt(self, workers: tuple[WorkerFacts, ...]) -> None:
        """Go on with those of another shard."""

    def left(self) -> None:
        """No room lives here any more, as it was wanted."""


class Countdown:
    """Calls `then` when it was called so often; from any thread."""

    def __init__(self, count: int, then: OnDone) -> None:
        self._left = count
        self._then = then
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """One of them is done."""
        with self._lock:
            self._left -= 1
            is_over = self._left == 0
        if is_over:
            self._then()


class Gateway:
    """Splits batches by where their calls belong; takes what others split. On the link's thread.

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
        self._name = name
        self._intake = intake
        self._rooms = rooms
        self._post = post
        self._now = now
        self._packer = Packer()
        self._inflow = Inflow()
        self._outflows: dict[str, Outflow] = {}
        self._addresses: dict[str, Any] = {}
        self._words = Words(name, _new_id(), self._say)
        self._arrived = Arrived()
        self._placement = Placement([name])
        self._view = b""  # none: nobody has told yet which shards there are
        self._past: deque[bytes] = deque(maxlen=VIEWS)
        self._move: Move | None = None
        self._next: tuple[str, ...] = ()  # the homes of the move after that, if there is one
        self._moves = 0
        self._orphans: list[WorkerFacts] = []  # whose shard has ended since they were given up
        self._held: deque[Callable[[], None]] = deque()  # of clients, during a move
        self._parts: deque[tuple[Forward, OnDone]] = deque()  # of shards, while rooms are given up
        self._ahead: deque[tuple[float, Forward, OnDone]] = deque()  # of a view not reached yet
        self._has_left = False

    # ── what clients send ────────────────────────────────────────────────────────────────────

    def take(self, client_id: bytes, sequence: int, payload: bytes, on_done: OnDone) -> None:
        """As `link.intake.Taker`."""
        if self._move is not None or not self._view:
            self._held.append(partial(self.take, client_id, sequence, payload, on_done))
        elif self._placement.shards == (self._name,):
            self._intake.take(client_id, sequence, payload, on_done)
        else:
            self._spread(client_id, sequence, self._intake.items(payload), on_done)

    def _take_back(self, part: Part) -> None:
        """As `take`, of a part: never for a whole batch."""
        if self._move is not None:
            self._held.append(partial(self._take_back, part))
        else:
            items = self._intake.items(part.payload)
            self._spread(part.client_id, part.sequence, items, part.on_done)

    def _spread(self, client_id: bytes, sequence: int, items: list[Item], on_done: OnDone) -> None:
        parts: dict[str, list[Item]] = {}
        for item in items:
            for owner in self._owners(item[0]):
                parts.setdefault(owner, []).append(item)
        if not parts:  # nothing of it could be read
            on_done()
            return
        done = Countdown(len(parts), on_done)
        here = parts.pop(self._name, None)
        if here is not None:  # first: it may raise, and then nothing has been sent
            self._intake.take_part(client_id, sequence, here, done)
        now = self._now()
        for owner, theirs in parts.items():
            flat: list[bytes | str] = [value for item in theirs for value in item]
            payload = self._packer.payload(flat)
            part = Part(self._view, client_id, sequence, payload, done)
            if owner in self._outflows:
                self._outflows[owner].add(part, now)
            else:  # it has ended, and the view without it is not reached yet
                self._held.append(partial(self._take_back, part))

    def _owners(self, first: bytes | str) -> tuple[str, ...]:
        route = self._intake.route(first)
        if route is None:
            return ()
        if route == EVERYWHERE:
            return self._placement.shards
        if not route:
            route = f"id:{self._name}"  # any shard will do: this one, unless it is leaving
            return (self._name,) if self._is_home else (self._placement.owner(route),)
        return (self._placement.owner(route),)

    @property
    def _is_home(self) -> bool:
        return self._name in self._placement.shards

    # ── what other shards send ───────────────────────────────────────────────────────────────

    def on_forward(self, forward: Forward, sender: Any) -> None:
        """A part from another shard: take it if it is the next one, acknowledge it when done."""
        stream, number = forward.stream, forward.number
        if self._inflow.admits(stream, number):
            self._admit(forward, partial(self._part_done, sender, stream, number))
        elif done := self._inflow.done_of(stream):  # the sender may not have heard of it
            self._post(sender, Forwarded(stream, done))

    def _part_done(self, sender: Any, stream: bytes, number: int) -> None:
        """A part took effect; on any thread."""
        self._inflow.done(stream, number)
        if done := self._inflow.done_of(stream):
            self._post(sender, Forwarded(stream, done))

    def _admit(self, forward: Forward, done: OnDone) -> None:
        if self._move is not None and self._move.is_releasing:
            self._parts.append((forward, done))
        elif self._ahead or not self._knows(forward.view):
            self._ahead.append((self._now(), forward, done))
        else:
            self._enter(forward, done)

    def _knows(self, view: bytes) -> bool:
        return view == self._view or view in self._past

    def _enter(self, forward: Forward, done: OnDone) -> None:
        client_id, sequence = forward.client_id, forward.sequence
        items = self._intake.items(forward.payload)
        try:
            if forward.view == self._view:
                self._intake.take_part(client_id, sequence, items, done)
            else:  # by shards that are not those of today
                self._spread(client_id, sequence, items, done)
        except LifecycleError as error:
            _log.error("a part of a batch could not enter: %s", error)

    def _let_ahead_in(self) -> None:
        """What came too early is due when its view is reached, or that has taken too long."""
        while self._ahead and self._view and not (self._move and self._move.is_releasing):
            came_at, forward, done = self._ahead[0]
            if not self._knows(forward.view) and self._now() - came_at < AHEAD_SECONDS:
                return
            self._ahead.popleft()
            self._enter(forward, done)

    def on_forwarded(self, forwarded: Forwarded) -> None:
        """Another shard acknowledges."""
        now = self._now()
        for outflow in self._outflows.values():
            outflow.acked(forwarded.stream, forwarded.number, now)
        self._advance()

    # ── shards that come and go ──────────────────────────────────────────────────────────────

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
            self._outflows[name] = Outflow(partial(self._say, name), _new_id)
        elif address is not None and address != known:
            self._outflows[name].begin_anew(self._now())
        if self._move is not None and known is not None and address != known:
            self._move.lose(name)  # a new life of it has nothing to give up
        if self._move is None and self._view and address is not None and address != known:
            self._words.tell(name, self._view, MOVED, self._moves)  # it has just begun

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
            self._words.tell(
                name, view_of(shards), MOVED, self._moves, theirs, had[name]
            )
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

    def _say(self, name: str, message: object) -> None:
        address = self._addresses.get(name)
        if address is not None:  # else it is said once there is one
            self._post(address, message)

    def tick(self) -> None:
        """Now and then: say again what nobody has acknowledged, and wait for nobody for ever."""
        now = self._now()
        for outflow in self._outflows.values():
            outflow.resend(now)
        self._words.again()
        self._advance()
        self._let_ahead_in()
        self._settle_down()

    def statistics(self) -> dict[str, int]:
        """Parts on their way, by the shard they are for."""
        return {name: len(outflow) for name, outflow in [*self._outflows.items()]}

    @property
    def is_moving(self) -> bool:
        """Whether rooms are on their way, and calls wait for that."""
        return self._move is not None


def _new_id() -> bytes:
    return secrets.token_bytes(ID_BYTES)
