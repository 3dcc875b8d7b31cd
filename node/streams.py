"""Parts of batches on their way to another shard: in order, none lost, none twice.

Thespian may lose a message without a word, and a shard that is started again has another address
and remembers nothing. So parts are numbered for each life of the other side, taken in order only,
acknowledged, and sent again until they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .messages import Forward

WINDOW: Final = 8  # parts on their way to one shard
RESEND_SECONDS: Final = 1.0
SOURCES: Final = 4_096

OnDone = Callable[[], None]


@dataclass(slots=True)
class Part:
    """What is for another shard of a client's batch."""

    view: bytes
    client_id: bytes
    sequence: int
    payload: bytes
    on_done: OnDone


class Outflow:
    """Parts for one shard, in order.

    Args:
        post: Gives a message to Thespian.
        new_stream: A name for a numbering that nobody else has.
    """

    def __init__(self, post: Callable[[Forward], None], new_stream: Callable[[], bytes]) -> None:
        self._post = post
        self._new_stream = new_stream
        self._stream = new_stream()
        self._next = 1
        self._waiting: deque[Part] = deque()
        self._unacked: deque[tuple[int, Part]] = deque()
        self._sent_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._unacked)

    def add(self, part: Part, now: float) -> None:
        """Send a part, as soon as there is room."""
        self._waiting.append(part)
        self._fill(now)

    def begin_anew(self, now: float) -> None:
        """The other side is another one than before: all that it has not acknowledged again."""
        self._stream = self._new_stream()
        self._next = 1
        self._waiting.extendleft(part for _, part in reversed(self._unacked))
        self._unacked.clear()
        self._fill(now)

    def acked(self, stream: bytes, number: int, now: float) -> None:
        """The parts up to this number took effect."""
        if stream != self._stream:
            return
        while self._unacked and self._unacked[0][0] <= number:
            self._sent_at = now  # what says nothing new must not put off sending again
            self._unacked.popleft()[1].on_done()
        self._fill(now)

    def resend(self, now: float) -> None:
        """Send again what has been on its way for too long."""
        if self._unacked and now - self._sent_at >= RESEND_SECONDS:
            self._sent_at = now
            for number, part in self._unacked:
                self._send(number, part)

    def take_back(self) -> list[Part]:
        """All parts, in order: the shard is gone for good."""
        parts = [part for _, part in self._unacked] + [*self._waiting]
        self._unacked.clear()
        self._waiting.clear()
        return parts

    def _fill(self, now: float) -> None:
        while self._waiting and len(self._unacked) < WINDOW:
            part = self._waiting.popleft()
            if not self._unacked:
                self._sent_at = now
            self._unacked.append((self._next, part))
            self._send(self._next, part)
            self._next += 1

    def _send(self, number: int, part: Part) -> None:
        self._post(
            Forward(self._stream, number, part.view, part.client_id, part.sequence, part.payload)
        )


@dataclass(slots=True)
class _Source:
    taken: int = 0
    done: int = 0  # all up to this one
    early: set[int] = field(default_factory=set)  # done before one that came before them


class Inflow:
    """What other shards send here: which part is the next of its stream, and which are done."""

    def __init__(self) -> None:
        self._sources: OrderedDict[bytes, _Source] = OrderedDict()
        self._lock = threading.Lock()  # parts are done on any thread

    def admits(self, stream: bytes, number: int) -> bool:
        """Whether it is the next one: else one before it is missing, or it was taken before."""
        with self._lock:
            source = self._sources.setdefault(stream, _Source())
            self._sources.move_to_end(stream)
            if len(self._sources) > SOURCES:
                self._sources.popitem(last=False)
            if number != source.taken + 1:
                return False
            source.taken = number
            return True

    def done(self, stream: bytes, number: int) -> None:
        """That part took effect."""
        with self._lock:
            source = self._sources.get(stream)
            if source is None:
                return
            source.early.add(number)
            while source.done + 1 in source.early:
                source.done += 1
                source.early.discard(source.done)

    def done_of(self, stream: bytes) -> int:
        """All parts up to this one took effect."""
        with self._lock:
            source = self._sources.get(stream)
            return 0 if source is None else source.done
