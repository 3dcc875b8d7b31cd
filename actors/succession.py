"""Succession: what a parent knows of a child from its end to the beginning of its heir."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..messages.control import Restart, Stamped
from ..messages.outputs import RetryDue, SweepDue
from ._base import ActorAddress, ActorSystemMessage


@dataclass(frozen=True, slots=True)
class Probe:
    """To a dead child: what comes back before it was told before it."""


@dataclass(slots=True, eq=False)
class Ended:
    """One that ended, and what it was told in vain.

    Args:
        address: Where it lived.
        stash: What had reached it, and was not handled.
        letters: What came too late for it.
        has_exited: All that it had to say has come.
        is_asked: The probe is on its way, and the restart asked for.
        is_probed: The probe is back, and so is all that this parent told it before.
    """

    address: ActorAddress
    stash: list[object] = field(default_factory=list)
    letters: list[object] = field(default_factory=list)
    has_exited: bool = False
    is_asked: bool = False
    is_probed: bool = False


@dataclass(slots=True, eq=False)
class Succession:
    """From the end of a child to the beginning of its heir; which may end meanwhile, too.

    Args:
        heir: The last one.
        ended: The child and the heirs that did not begin, oldest first.
        first_message: What the child was to be configured with; it came back.
        state: Of the child's estate; None: there is none.
        is_due: The restart budget allows the heir.
        has_inherited: It has been told to begin.
    """

    heir: ActorAddress
    ended: list[Ended] = field(default_factory=list)
    first_message: object = None
    state: Any = None
    is_due: bool = False
    has_inherited: bool = False

    def of(self, address: ActorAddress | str) -> Ended | None:
        """Who lived at this address."""
        return next((each for each in self.ended if is_at(each.address, address)), None)

    def is_ready(self) -> bool:
        """The heir may begin, and has not been told so."""
        settled = all(each.has_exited and each.is_probed for each in self.ended)
        return settled and self.is_due and not self.has_inherited

    def letters(self) -> tuple[object, ...]:
        """What was told in vain, in the order in which it was told."""
        return tuple(letter for each in self.ended for letter in (*each.stash, *each.letters))


def is_for_one_life(message: object) -> bool:
    """A wake-up (the heir has its own), or what has had its way: a request to exit, to go on."""
    if isinstance(message, Stamped):
        return isinstance(message.body, RetryDue | SweepDue)
    return isinstance(message, ActorSystemMessage | Restart)


def is_at(known: ActorAddress, address: ActorAddress | str) -> bool:
    """Whether both are the same; Thespian's own bases give the address of a dead one as text."""
    if isinstance(address, str):
        return bool(known.actorAddressString == address)
    return bool(known == address)
