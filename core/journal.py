"""What a door and the journal behind it know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..messages.checkpoint import Checkpoint
from ..messages.control import Input

# a batch of another process: the client's id, its number, and which routes of it; None: all
Origin: TypeAlias = tuple[bytes, int, Sequence[str] | None]


@dataclass(slots=True)
class Past:
    """What there is of a life before.

    Args:
        position: The last position that was given.
        at_ns: The last time that was given (Unix ns).
        checkpoint: Where to begin; its `changed` are all workers. None: from nothing.
        kept: Webhooks that were kept after it: (endpoint, id of the event).
        batches: What was had of other processes.
        rows: How many rows the journal has; the first may be of before the checkpoint.
    """

    position: int = 0
    at_ns: int = 0
    checkpoint: Checkpoint | None = None
    kept: frozenset[tuple[str, str]] = frozenset()
    batches: list[Origin] = field(default_factory=list)
    rows: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take up."""
        return self.checkpoint is None and not self.rows


@dataclass(slots=True)
class Group:
    """Inputs that are committed together.

    Args:
        first: The position of the first one; the others follow.
        at_ns: When they came (Unix ns).
        inputs: In the order of their positions.
        origins: What is to be remembered with them, of whoever brought some of them.
        entries: The door's own: the inputs with their marks.
    """

    first: int = 0
    at_ns: int = 0
    inputs: list[Input] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    entries: list[object] = field(default_factory=list, repr=False)


class Journal(Protocol):
    """Who has the inputs written."""

    def wake(self) -> None:
        """Something waits: have `take` called soon; any thread."""

    def hurry(self) -> None:
        """As `wake`; somebody waits for it."""


class WrittenDoor(Protocol):
    """A door whose inputs are written before they are let in."""

    @property
    def is_full(self) -> bool:
        """Whether enough is written, and waits to be handled."""

    @property
    def has_unwritten(self) -> bool:
        """Whether something waits to be written."""

    @property
    def behind_ns(self) -> int:
        """How far the clock is behind the last stamp."""

    def take(self) -> Group | None:
        """What is to be written next: the same again until `let_in`; None: nothing."""

    def let_in(self) -> None:
        """The group that was taken is on the disk."""

    def refuse(self) -> None:
        """It could not be written now: whoever waits for it shall not wait for the disk."""
