"""A mailbox that promises no more than Thespian does."""

from __future__ import annotations

import random
from collections import deque
from typing import Final, Literal, TypeAlias

from thespian.actors import WakeupMessage

from .cell import Cell, Envelope

Lane: TypeAlias = "tuple[Cell | int, Cell]"  # who sends (or which wake-up) and who gets it
Taste: TypeAlias = Literal["any", "newest", "oldest"]

TASTES: Final[tuple[Taste, ...]] = ("any", "newest", "oldest")
# How often a taste has its way; else the choice is free, so that nobody starves for ever.
TASTE_SHARE: Final = 0.8


class ShuffledMailbox:
    """A mailbox with a lane for each pair of sender and receiver; a lane keeps its order.

    A wake-up has a lane of its own: it comes from the clock, and nothing is promised of it. One
    thread only.

    Args:
        chance: Picks the lane.
    """

    width: Final = 1

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._lanes: dict[Lane, deque[Envelope]] = {}
        self._keys: list[Lane] = []  # of lanes that are not empty
        self._length = 0
        self._fuse: tuple[int, BaseException] | None = None
        self.taste: Taste = chance.choice(TASTES)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<ShuffledMailbox {self._length} in {len(self._keys)} lanes>"

    @property
    def entries(self) -> ShuffledMailbox:
        """Itself: a message is one entry."""
        return self

    def put(self, envelope: Envelope, /) -> None:
        """Put a message behind those of the same sender to the same receiver."""
        if self._fuse is not None:
            self._burn()
        target, message, sender = envelope
        is_wakeup = sender is target and isinstance(message, WakeupMessage)
        key: Lane = (id(envelope) if is_wakeup else sender, target)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = deque()
            self._keys.append(key)
        lane.append(envelope)
        self._length += 1

    def popleft(self) -> Envelope:
        """The first of some lane.

        Raises:
            IndexError: There is none.
        """
        index = self._pick()
        key = self._keys[index]
        lane = self._lanes[key]
        envelope = lane.popleft()
        if not lane:
            del self._lanes[key], self._keys[index]
        self._length -= 1
        return envelope

    def realign(self) -> None:
        """Nothing to mend."""

    def newest(self, count: int) -> list[Envelope]:
        """None: in another order there is no newest one."""
        return []

    def clear(self) -> None:
        """Forget all messages."""
        self._lanes.clear()
        self._keys.clear()
        self._length = 0

    @property
    def is_armed(self) -> bool:
        """Whether a send to come will raise."""
        return self._fuse is not None

    def arm(self, sends: int, error: BaseException) -> None:
        """Let the next but `sends` message that is sent raise `error` instead."""
        self._fuse = (sends, error)

    def disarm(self) -> None:
        """Let nothing raise any more."""
        self._fuse = None

    def _burn(self) -> None:
        assert self._fuse is not None
        left, error = self._fuse
        if left:
            self._fuse = (left - 1, error)
        else:
            self._fuse = None
            raise error

    def _pick(self) -> int:
        if not self._keys:
            raise IndexError("the mailbox is empty")
        if self.taste != "any" and self._random.random() < TASTE_SHARE:
            return len(self._keys) - 1 if self.taste == "newest" else 0
        return self._random.randrange(len(self._keys))
