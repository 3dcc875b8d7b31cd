"""The gateway of a shard: what its clients send goes to the shards that the rooms live on."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ..link.batches import EVERYWHERE, Item, Packer
from ..link.intake import Intake
from .messages import Forward, Forwarded
from .placement import Placement
from .streams import Inflow, OnDone, Outflow, Part

STREAM_BYTES: Final = 16

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


class Gateway:
    """Splits batches by where their calls belong; takes what others split. On the link's thread.

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
        self.placement = Placement([name])

    def take(self, client_id: bytes, sequence: int, payload: bytes, on_done: OnDone) -> None:
        """As `link.intake.Taker`."""
        if len(self.placement.shards) == 1:
            self._intake.take(client_id, sequence, payload, on_done)
            return
        self._spread(client_id, sequence, self._intake.items(payload), on_done)

    def _spread(self, client_id: bytes, sequence: int, items: list[Item], on_done: OnDone) -> None:
        parts: dict[str, list[Item]] = {}
        for item in items:
            for owner in self._owners(item[0]):
                parts.setdefault(owner, []).append(item)
        if not parts:  # nothing of it could be read
            parts[self._name] = []
        done = Countdown(len(parts), on_done)
        here = parts.pop(self._name, None)
        if here is not None:  # first: it may raise, and then nothing has been sent
            self._intake.take_part(client_id, sequence, here, done)
        now = self._now()
        for owner, theirs in parts.items():
            flat: list[bytes | str] = [value for item in theirs for value in item]
            part = Part(client_id, sequence, self._packer.payload(flat), done)
            self._outflows[owner].add(part, now)

    def _owners(self, first: bytes | str) -> tuple[str, ...]:
        route = self._intake.route(first)
        if route is None:
            return ()
        if route == EVERYWHERE:
            return self.placement.shards
        return (self.placement.owner(route) if route else self._name,)

    # ── other shards ─────────────────────────────────────────────────────────────────────────

    def meet(self, shards: Mapping[str, Any]) -> None:
        """From now on these are the shards, and this is where they are (None: nowhere yet)."""
        now = self._now()
        gone = [name for name in self._outflows if name not in shards]
        self.placement = Placement([*shards, self._name])
        for name, address in shards.items():
            if name == self._name:
                continue
            known = self._addresses.get(name)
            self._addresses[name] = address
            if name not in self._outflows:
                self._outflows[name] = Outflow(self._poster(name), _new_stream)
            elif address is not None and address != known:
                self._outflows[name].begin_anew(now)
        for name in gone:
            self._addresses.pop(name, None)
            for part in self._outflows.pop(name).take_back():
                items = self._intake.items(part.payload)
                self._spread(part.client_id, part.sequence, items, part.on_done)

    def _poster(self, name: str) -> Callable[[Forward], None]:
        def post(forward: Forward) -> None:
            address = self._addresses.get(name)
            if address is not None:  # else it goes once there is one: see `meet`
                self._post(address, forward)

        return post

    def on_forward(self, forward: Forward, sender: Any) -> None:
        """A part from another shard: take it if it is the next one, acknowledge it when done."""
        done = partial(self._post, sender, Forwarded(forward.stream, forward.number))
        admits = self._inflow.admits(forward.stream, forward.number)
        if admits is None:
            return  # the sender sends the missing one again, and this one too
        items = self._intake.items(forward.payload) if admits else []
        self._intake.take_part(forward.client_id, forward.sequence, items, done)

    def on_forwarded(self, forwarded: Forwarded) -> None:
        """Another shard acknowledges."""
        now = self._now()
        for outflow in self._outflows.values():
            outflow.acked(forwarded.stream, forwarded.number, now)

    def tick(self) -> None:
        """Now and then: send again what has been on its way for too long."""
        now = self._now()
        for outflow in self._outflows.values():
            outflow.resend(now)

    def statistics(self) -> dict[str, int]:
        """Parts on their way, by the shard they are for."""
        return {name: len(outflow) for name, outflow in [*self._outflows.items()]}


def _new_stream() -> bytes:
    return secrets.token_bytes(STREAM_BYTES)
