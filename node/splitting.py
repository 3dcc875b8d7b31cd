"""The part of a shard's gateway that splits batches by where their calls belong."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..core.placement import Placement
from ..errors import LifecycleError
from ..link.batches import EVERYWHERE, Item, Packer
from ..link.intake import Intake
from .messages import Forward, Forwarded
from .moving import Move
from .streams import Inflow, OnDone, Outflow, Part

ID_BYTES: Final = 16
AHEAD_SECONDS: Final = 2.0  # what a shard of another view sent waits so long for that view
VIEWS: Final = 64
_log = logging.getLogger("greenroom.node")

Post = Callable[[Any, object], None]


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


class Splitting:
    """Splits batches of clients; takes what others split. During a move batches are held.

    Args:
        name: Of this shard.
        intake: Of this shard.
        post: Gives a message for an address to Thespian; from any thread.
        now: Monotonic seconds.
    """

    def __init__(self, name: str, intake: Intake, post: Post, now: Callable[[], float]) -> None:
        self._name = name
        self._intake = intake
        self._post = post
        self._now = now
        self._packer = Packer()
        self._inflow = Inflow()
        self._outflows: dict[str, Outflow] = {}
        self._addresses: dict[str, Any] = {}
        self._placement = Placement([name])
        self._view = b""  # none: nobody has told yet which shards there are
        self._past: deque[bytes] = deque(maxlen=VIEWS)
        self._move: Move | None = None
        self._held: deque[Callable[[], None]] = deque()  # of clients, during a move
        self._parts: deque[tuple[Forward, OnDone]] = deque()  # of shards, while rooms are given up
        self._ahead: deque[tuple[float, Forward, OnDone]] = deque()  # of a view not reached yet

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

    def _advance(self) -> None:
        """Take the next step of a move, if it is time for it."""
        raise NotImplementedError

    def _say(self, name: str, message: object) -> None:
        address = self._addresses.get(name)
        if address is not None:  # else it is said once there is one
            self._post(address, message)

    def statistics(self) -> dict[str, int]:
        """Parts on their way, by the shard they are for."""
        return {name: len(outflow) for name, outflow in [*self._outflows.items()]}

    @property
    def is_moving(self) -> bool:
        """Whether rooms are on their way, and calls wait for that."""
        return self._move is not None


def new_id() -> bytes:
    """One that nobody else has."""
    return secrets.token_bytes(ID_BYTES)
