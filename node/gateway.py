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
from ..messages.codec import decode
from ..messages.handoff import AdoptWorkers, WorkerFacts
from .messages import Forward, Forwarded, Moved, MovedHeard
from .moving import MOVED, SETTLED, Arrived, Move, packed, shares, view_of
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
        self._life = secrets.token_bytes(ID_BYTES)
        self._packer = Packer()
        self._inflow = Inflow()
        self._outflows: dict[str, Outflow] = {}
        self._addresses: dict[str, Any] = {}
        self._placement = Placement([name])
        self._view = view_of([name])
        self._past: deque[bytes] = deque(maxlen=VIEWS)
        self._move: Move | None = None
        self._arrived = Arrived()
        self._untold: dict[tuple[str, bytes, str], Moved] = {}  # until the other has heard it
        self._orphans: list[WorkerFacts] = []  # given up for a shard that has ended since
        self._held: deque[Callable[[], None]] = deque()  # what comes during a move
        self._ahead: deque[tuple[float, Forward, OnDone]] = deque()  # of a view not reached yet

    # ── what clients send ────────────────────────────────────────────────────────────────────

    def take(self, client_id: bytes, sequence: int, payload: bytes, on_done: OnDone) -> None:
        """As `link.intake.Taker`."""
        if self._move is not None:
            again = partial(self.take, client_id, sequence, payload, on_done)
            self._held.append(again)
        elif self._placement.shards == (self._name,):
            self._intake.take(client_id, sequence, payload, on_done)
        else:
            self._spread(client_id, sequence, self._intake.items(payload), on_done)

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
            self._outflows[owner].add(Part(self._view, client_id, sequence, payload, done), now)

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
        done = partial(self._post, sender, Forwarded(forward.stream, forward.number))
        admits = self._inflow.admits(forward.stream, forward.number)
        if admits:
            self._admit(forward, done)
        elif admits is False:
            self._admit(_emptied(forward), done)  # behind the first one: done when that is
        # else one before it is missing: the sender sends that again, and this one too

    def _admit(self, forward: Forward, done: OnDone) -> None:
        if self._move is not None and self._move.is_releasing:
            self._held.append(partial(self._admit, forward, done))
        elif self._ahead or not (forward.view == self._view or forward.view in self._past):
            self._ahead.append((self._now(), forward, done))
        else:
            self._enter(forward, done)

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
        while self._ahead and self._move is None:
            came_at, forward, done = self._ahead[0]
            is_known = forward.view == self._view or forward.view in self._past
            if not is_known and self._now() - came_at < AHEAD_SECONDS:
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
        now = self._now()
        homes = tuple(sorted(name for name in shards if name not in leaving))
        if not homes:
            return
        view = view_of(homes)
        others = {name: at for name, at in shards.items() if name != self._name}
        for name, address in others.items():
            known, self._addresses[name] = self._addresses.get(name), address
            if name not in self._outflows:
                self._outflows[name] = Outflow(self._poster(name), _new_id)
            elif address is not None and address != known:
                self._outflows[name].begin_anew(now)
            is_new = address is not None and address != known
            if is_new and self._view == view and (name, view, MOVED) not in self._untold:
                self._tell(name, MOVED)  # it has just begun
            elif is_new:
                self._say_again(name)
        for name in [name for name in self._outflows if name not in others]:
            self._addresses.pop(name, None)
            self._disinherit(name)
            for part in self._outflows.pop(name).take_back():
                again = partial(self.take, part.client_id, part.sequence, part.payload)
                self._held.append(partial(again, part.on_done))
        if view != (self._view if self._move is None else self._move.view):
            self._begin_move(homes, dict(others), now)

    def _begin_move(self, homes: tuple[str, ...], others: dict[str, Any], now: float) -> None:
        self._move = move = Move(homes, others, view_of(homes), now)
        for shard, stage in self._arrived.of(move.view):
            move.hear(stage, shard)
        self._advance()

    def released(self, shards: tuple[str, ...], facts: tuple[WorkerFacts, ...]) -> None:
        """These workers were given up, because these are the shards."""
        view, move = view_of(shards), self._move
        facts, self._orphans = (*facts, *self._orphans), []
        given = shares(facts, shards)
        if self._name in given:  # orphans that have come home
            self._rooms.adopt(given.pop(self._name))
        for name in self._outflows:
            self._tell(name, MOVED, view, given.get(name, ()))
        if move is not None and move.view == view:  # else it was overtaken by the next one
            move.has_released = True
            self._advance()

    def on_moved(self, moved: Moved, sender: Any) -> None:
        """Another shard tells which workers it gave up for this one."""
        self._post(sender, MovedHeard(moved.view, moved.stage, self._name))
        if self._arrived.is_new(moved) and (workers := _workers_of(moved)):
            self._rooms.adopt(workers)
        if self._move is not None and self._move.view == moved.view:
            self._move.hear(moved.stage, moved.shard)
            self._advance()

    def on_moved_heard(self, heard: MovedHeard) -> None:
        """It need not be told again."""
        self._untold.pop((heard.shard, heard.view, heard.stage), None)

    def _disinherit(self, name: str) -> None:
        """That shard is gone: who else goes on with the workers that were to be its?"""
        for key in [key for key in self._untold if key[0] == name]:
            self._orphans += _workers_of(self._untold.pop(key))

    def _advance(self) -> None:
        """Take the next step of a move, if it is time for it."""
        move, now = self._move, self._now()
        if move is None:
            return
        if not move.is_settled and not any(map(len, self._outflows.values())):
            move.is_settled = True
            for name in move.others:
                self._tell(name, SETTLED, move.view)
        if move.may_release(now):
            self._rooms.release(move.homes)
        if move.is_over(now):
            self._go_on(move)

    def _go_on(self, move: Move) -> None:
        """The new view is reached: what waited goes where it belongs now."""
        if move.missing:
            _log.warning("went on without a word of %s", ", ".join(move.missing))
        self._past.append(self._view)
        self._view, self._move = move.view, None
        self._placement = Placement(move.homes)
        held, self._held = self._held, deque()
        for each in held:
            try:
                each()
            except LifecycleError as error:
                _log.error("a batch could not enter: %s", error)
        self._let_ahead_in()
        if self._name not in move.homes:
            self._rooms.left()

    def _tell(
        self, name: str, stage: str, view: bytes = b"", workers: tuple[WorkerFacts, ...] = ()
    ) -> None:
        """Let a shard know how far this one has come, until it says that it has heard it."""
        moved = Moved(view or self._view, stage, self._name, self._life, packed(workers))
        self._untold[name, moved.view, stage] = moved
        self._say(name, moved)

    def _say_again(self, name: str) -> None:
        """What that shard has not heard yet."""
        for (to, _, _), moved in self._untold.items():
            if to == name:
                self._say(name, moved)

    def _say(self, name: str, message: object) -> None:
        address = self._addresses.get(name)
        if address is not None:  # else it is said once there is one
            self._post(address, message)

    def _poster(self, name: str) -> Callable[[Forward], None]:
        return partial(self._say, name)

    def tick(self) -> None:
        """Now and then: say again what nobody has acknowledged, and wait for nobody for ever."""
        now = self._now()
        for outflow in self._outflows.values():
            outflow.resend(now)
        for name in self._outflows:
            self._say_again(name)
        self._advance()
        self._let_ahead_in()

    def statistics(self) -> dict[str, int]:
        """Parts on their way, by the shard they are for."""
        return {name: len(outflow) for name, outflow in [*self._outflows.items()]}

    @property
    def is_moving(self) -> bool:
        """Whether rooms are on their way, and calls wait for that."""
        return self._move is not None


def _workers_of(moved: Moved) -> tuple[WorkerFacts, ...]:
    adopt = decode(moved.workers)
    return adopt.workers if isinstance(adopt, AdoptWorkers) else ()


def _emptied(forward: Forward) -> Forward:
    return Forward(
        forward.stream, forward.number, forward.view, forward.client_id, forward.sequence, b"\x90"
    )


def _new_id() -> bytes:
    return secrets.token_bytes(ID_BYTES)
