"""What arrives over the link enters a shard: each call once, in its order."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgpack

from ..core.journal import Origin
from ..errors import DecodeError
from ..messages.calls import Call, TrackStats
from .batches import Item, Unpacker

SESSIONS: Final = 65_536  # clients that are remembered
RECENT: Final = 16  # batches of each: more than a client may have unacknowledged
MALFORMED: Final = "malformed"
DUPLICATE: Final = "duplicate"
_log = logging.getLogger("greenroom.link")

OnDone = Callable[[], None]


class Shard(Protocol):
    """What the link needs of a running greenroom."""

    def take(self, calls: Sequence[Call], on_done: OnDone, origin: Origin | None = None) -> None:
        """Let these calls take effect, in their order, then call `on_done`, on any thread.

        Where there is a journal, `origin` is on the disk with them.

        Raises:
            LifecycleError: It was closed, or is broken.
        """

    def lose(self, reason: str, count: int) -> None:
        """Count calls that could not be understood."""


class Taker(Protocol):
    """Where a server puts the batches of its clients."""

    def take(self, client_id: bytes, sequence: int, payload: bytes, on_done: OnDone) -> None:
        """Let a batch take effect, then call `on_done`, on any thread.

        Raises:
            LifecycleError: It has had no effect: what it is for was closed, or is broken.
        """


@dataclass(slots=True)
class _Session:
    """What this shard has had of a client: of the latest batches, of which routes."""

    highest: int = 0
    recent: dict[int, set[str] | None] = field(default_factory=dict)  # None: of all


class Intake:
    """Gives a shard what clients send, and nothing of it twice. On one thread.

    A batch may come in parts, each with what belongs here by its routes at that time, and again
    in other parts after a reconnect: what counts is which routes of a batch were had.

    Args:
        shard: Where calls take effect.
        had: What it has had in a life before, of each client in their order.
    """

    def __init__(self, shard: Shard, had: Iterable[Origin] = ()) -> None:
        self._shard = shard
        self.unpacker = Unpacker()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self.counts: Counter[str] = Counter()
        for client_id, sequence, routes in had:
            known = None if routes is None else set(routes)
            self._remember(self._session(client_id), sequence, known)

    def take(self, client_id: bytes, sequence: int, payload: bytes, on_done: OnDone) -> None:
        """Let a whole batch take effect, then call `on_done`; had before: only the latter.

        Raises:
            LifecycleError: The shard was closed, or is broken: the batch has had no effect.
        """
        session = self._session(client_id)
        items = self._not_had(session, sequence, self.items(payload))
        self._shard.take(self._read(items), on_done, (client_id, sequence, None))
        self._had(session, sequence, None)

    def take_part(
        self, client_id: bytes, sequence: int, items: Sequence[Item], on_done: OnDone
    ) -> None:
        """As `take`, of those items of a batch that belong here.

        Raises:
            LifecycleError: The shard was closed, or is broken: they have had no effect.
        """
        session = self._session(client_id)
        fresh = [*self._not_had(session, sequence, items)]
        routes = {self.unpacker.route(first) for first, _ in fresh}
        had = session.recent.get(sequence, set())
        origin = (client_id, sequence, None if had is None else sorted(had | routes))
        self._shard.take(self._read(fresh), on_done, origin)
        self._had(session, sequence, routes)

    def items(self, payload: bytes) -> list[Item]:
        """The items of a payload; of a malformed one, those before that, and it is counted."""
        items: list[Item] = []
        try:
            items.extend(self.unpacker.items(payload))
        except DecodeError as error:
            self._lose(error)
        return items

    def route(self, first: bytes | str) -> str | None:
        """Where an item belongs; None: it is malformed, and is counted."""
        try:
            return self.unpacker.route(first)
        except DecodeError as error:
            self._lose(error)
            return None

    def had_by(self, owner: Callable[[str], str], shards: Iterable[str]) -> dict[str, bytes]:
        """For each of `shards`: what was had of batches that clients may send again, to `learn`.

        The array [client ids, [route or nil, number of a client, sequence, number …] …], of the
        routes that it owns now; nil: all of the batch.
        """
        found: dict[str, dict[str | None, list[int]]] = {name: {} for name in shards}
        clients = [*self._sessions]
        for client, session in enumerate(self._sessions.values()):
            for sequence, had in session.recent.items():
                if had is None:
                    for routes in found.values():
                        routes.setdefault(None, []).extend((client, sequence))
                    continue
                for route in had:
                    theirs = found.get(owner(route))
                    if theirs is not None:
                        theirs.setdefault(route, []).extend((client, sequence))
        return {name: _packed(clients, routes) for name, routes in found.items()}

    def learn(self, packed: bytes) -> None:
        """Another shard has had these, see `had_of`: here they take no effect again."""
        clients, routes = msgpack.unpackb(packed)
        for route, *had in routes:
            for client, sequence in zip(had[::2], had[1::2], strict=True):
                session = self._session(clients[client])
                if sequence > session.highest - RECENT:
                    self._remember(session, sequence, None if route is None else {route})

    def _session(self, client_id: bytes) -> _Session:
        session = self._sessions.get(client_id)
        if session is None:
            session = self._sessions[client_id] = _Session()
            if len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
        else:
            self._sessions.move_to_end(client_id)
        return session

    def _not_had(self, session: _Session, sequence: int, items: Iterable[Item]) -> Iterable[Item]:
        """Those of a batch that have not had their effect here."""
        if sequence > session.highest:
            return items
        had = session.recent.get(sequence, set() if sequence > session.highest - RECENT else None)
        if had is None:
            self.counts[DUPLICATE] += 1
            return ()
        return [item for item in items if self.route(item[0]) not in had]

    def _had(self, session: _Session, sequence: int, routes: set[str] | None) -> None:
        self._remember(session, sequence, routes)
        self.counts["batches"] += 1

    def _remember(self, session: _Session, sequence: int, routes: set[str] | None) -> None:
        recent = session.recent
        have = recent.get(sequence, set())
        recent[sequence] = None if routes is None or have is None else have | routes
        session.highest = max(session.highest, sequence)
        while len(recent) > RECENT:
            del recent[min(recent)]

    def _read(self, items: Iterable[Item]) -> list[Call]:
        """The calls of items; what is malformed is counted, and loses nothing else."""
        calls: list[Call] = []
        read, known = self.unpacker.call, self.unpacker.known
        for first, second in items:
            head = known(first)
            if head is not None and type(second) is bytes:  # nearly always: no call is cheaper
                calls.append(TrackStats(*head, second))
                continue
            try:
                calls.append(read(first, second))
            except DecodeError as error:
                self._lose(error)
        self.counts["calls"] += len(calls)
        return calls

    def _lose(self, error: DecodeError) -> None:
        if not self.counts[MALFORMED]:
            _log.error("a call over the link is malformed: %s; later ones are counted", error)
        self.counts[MALFORMED] += 1
        self._shard.lose(MALFORMED, 1)


def _packed(clients: list[bytes], routes: dict[str | None, list[int]]) -> bytes:
    numbers: dict[int, int] = {}  # of those clients that it is about
    wire: list[list[object]] = []
    for route, had in routes.items():
        short = [numbers.setdefault(client, len(numbers)) for client in had[::2]]
        wire.append(
            [route, *(each for pair in zip(short, had[1::2], strict=True) for each in pair)]
        )
    packed: bytes = msgpack.packb([[clients[client] for client in numbers], wire])
    return packed
