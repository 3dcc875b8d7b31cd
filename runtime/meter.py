"""What a dispatcher notes of its work: slow handlers, stalls, how full the mailbox was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from ..core.failure_text import type_name
from ..messages.control import Stamped
from .cell import Mailbox
from .guarded_log import guarded_log

log = guarded_log(__name__)

# The default bound of what is told from outside; a broadcast to all actors stays below it.
RUNAWAY_FROM: Final = 1_000_000
# So many of the newest messages tell who floods the mailbox.
RUNAWAY_SAMPLE: Final = 1_000


@dataclass(frozen=True, slots=True)
class SlowHandler:
    """Who took long for what.

    Args:
        actor: The class of the actor.
        message: The type of the message; of its body, if it came through the door.
        seconds: How long, in real time.
    """

    actor: str
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BaseStatistics:
    """What a base holds at one moment.

    Args:
        actors: Actors that live.
        queued: Messages in the mailbox; what waits at the door is not among them.
        delivered: Messages that were delivered so far.
        timers: Wake-ups that are not due yet.
        dead_letters: Undeliverable messages so far: nobody took them.
        refused: Tells from outside that were dropped because the mailbox was full.
        high_water: The most messages that were seen in the mailbox at once, once in 256 of them.
        runaway: Who flooded the mailbox when it was last fuller than a million; else empty.
        slowest: The slowest handler that was seen: each one while there is little to do, a
            sample of them else, and each one that the watchdog noticed.
        stalls: How often one handler held the dispatch thread for longer than 50 ms.
    """

    actors: int
    queued: int
    delivered: int
    timers: int
    dead_letters: int
    refused: int
    high_water: int
    runaway: str
    slowest: SlowHandler | None
    stalls: int


class Meter:
    """Highest values so far. Written by the dispatch thread and its watchdog, read by any."""

    __slots__ = ("_alarm_at", "high_water", "runaway", "slowest", "slowest_ns", "stalls")

    def __init__(self) -> None:
        self.high_water = 0
        self.runaway = ""
        self.slowest: SlowHandler | None = None
        self.slowest_ns = 0
        self.stalls = 0
        self._alarm_at = RUNAWAY_FROM

    def __repr__(self) -> str:
        return f"<Meter high water {self.high_water}, {self.stalls} stalls, {self.slowest}>"

    def note_slow(self, actor: str, message: str, took_ns: int) -> None:
        """A handler took this long; keep it if none took longer."""
        if took_ns > self.slowest_ns:
            self.slowest_ns = took_ns
            self.slowest = SlowHandler(actor, message, took_ns / 1e9)

    def rise(self, mailbox: Mailbox) -> None:
        """The mailbox is fuller than ever; say who floods it when that is beyond reason."""
        self.high_water = depth = max(self.high_water, len(mailbox))
        if depth < self._alarm_at:
            return
        self._alarm_at = depth * 2
        self.runaway = describe_newest(mailbox)
        log.warning("%d messages wait in the mailbox; newest: %s", depth, self.runaway)


def name_actor(instance: object) -> str:
    """The class of an actor, taken before it handles what may be its end."""
    return "dead" if instance is None else type_name(instance)


def name_message(message: object) -> str:
    """The type of a message, or of what is in it if it came through the door."""
    return type_name(message.body if type(message) is Stamped else message)


def describe_newest(mailbox: Mailbox) -> str:
    """Who sent most of the newest messages: `Router sends Child int (998 of 1000)`."""
    kinds = Counter(
        f"{sender.class_name} sends {target.class_name} {name_message(message)}"
        for target, message, sender in mailbox.newest(RUNAWAY_SAMPLE)
    )
    if not kinds:
        return ""
    kind, count = kinds.most_common(1)[0]
    return f"{kind} ({count} of {kinds.total()})"
