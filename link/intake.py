"""What arrives over the link enters a shard: each batch once, each call in its order."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ..errors import DecodeError
from ..messages.calls import Call
from .batches import Unpacker

SESSIONS: Final = 65_536  # clients whose last batch is remembered
MALFORMED: Final = "malformed"
DUPLICATE: Final = "duplicate"
_log = logging.getLogger("greenroom.link")


class Shard(Protocol):
    """What the link needs of a running greenroom."""

    def take(self, calls: Sequence[Call], on_done: Callable[[], None]) -> None:
        """Let these calls take effect, in their order, then call `on_done`, on any thread.

        Raises:
            LifecycleError: It was closed, or is broken.
        """

    def lose(self, reason: str, count: int) -> None:
        """Count calls that could not be understood."""


class Intake:
    """Gives a shard what its clients send; remembers what it has of each. On one thread.

    Args:
        shard: Where calls take effect.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._unpacker = Unpacker()
        self._last: OrderedDict[bytes, int] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def take(
        self, client_id: bytes, sequence: int, payload: bytes, on_done: Callable[[], None]
    ) -> None:
        """Let a batch take effect, then call `on_done`; one that it has had, only the latter.

        Raises:
            LifecycleError: The shard was closed, or is broken: the batch has had no effect.
        """
        if sequence <= self._last.get(client_id, 0):
            self.counts[DUPLICATE] += 1
            self._shard.take((), on_done)  # behind the first one, so that it is done when that is
            return
        self._shard.take(self._read(payload), on_done)
        self._last[client_id] = sequence
        self._last.move_to_end(client_id)
        if len(self._last) > SESSIONS:
            self._last.popitem(last=False)
        self.counts["batches"] += 1

    def _read(self, payload: bytes) -> list[Call]:
        """The calls of a payload; what is malformed is counted, and loses nothing else."""
        calls: list[Call] = []
        read = self._unpacker.call
        try:
            for first, second in self._unpacker.items(payload):
                try:
                    calls.append(read(first, second))
                except DecodeError as error:
                    self._lose(error)
        except DecodeError as error:
            self._lose(error)
        self.counts["calls"] += len(calls)
        return calls

    def _lose(self, error: DecodeError) -> None:
        if not self.counts[MALFORMED]:
            _log.error("a call over the link is malformed: %s; later ones are counted", error)
        self.counts[MALFORMED] += 1
        self._shard.lose(MALFORMED, 1)
