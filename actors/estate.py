"""The first and the last messages of an actor's life: they hold live objects, never leave here.

parent ── Configure ──► actor                        or ConfigureWorker, and the like
actor ── Estate ──► parent                           somebody else ended it
parent ── Inherit ──► heir ── HeirBegan ──► parent   a new actor in its place
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import Settings
from ..core.ports import Ports


@dataclass(frozen=True, slots=True)
class Configure:
    """The first message of an actor."""

    settings: Settings
    ports: Ports


@dataclass(frozen=True, slots=True)
class Estate:
    """The last message of an actor that somebody else ended, to its parent.

    Args:
        actor: The actor's class.
        incarnation: Of a StatsWorker; 0: it is none.
        state: The attributes that its class names in `inherited`.
        stash: What it had been told and not handled yet, in order.
    """

    actor: str
    incarnation: int
    state: Mapping[str, Any]
    stash: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Inherit:
    """The first message of an heir.

    Args:
        configure: The first message that the one before it had.
        state: That one's; None: it had not begun.
        letters: What that one was told and did not handle, in order: before anything else.
        at_ns: Now (Unix ns), for waits that go on; 0: not known, they begin anew.
    """

    configure: object
    state: Mapping[str, Any] | None
    letters: tuple[object, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class HeirBegan:
    """An heir has taken over, and answers for all it was given."""

    actor: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Back to its sender: this message reached an actor that was ended before it began."""

    message: object
