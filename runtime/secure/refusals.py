"""Why frames are refused, how often that happened in this process, and a line about it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

LOG_EVERY_SECONDS: Final = 60.0


class Reason(StrEnum):
    """What was wrong with a frame, or with the connection that it came on."""

    UNAUTHENTIC = "unauthentic"  # another key, changed on the way, or no frame at all
    TOO_LARGE = "too_large"
    STALE = "stale"  # older or younger than the time window, or than this process
    OTHER_TARGET = "other_target"  # sealed for another endpoint
    REPLAYED = "replayed"
    UNEXPECTED_ANSWER = "unexpected_answer"  # to no frame that this connection waits for
    FORBIDDEN_CLASS = "forbidden_class"
    MALFORMED = "malformed"  # authentic, and no message of a Thespian actor
    CUT_OFF = "cut_off"  # the connection ended, or took too long, within a frame
    CROWDED_OUT = "crowded_out"  # too many connections that have not said anything authentic


class RefusedError(Exception):
    """A frame is refused.

    Args:
        reason: What is counted.
        detail: For the one who debugs a node: holds nothing of the frame's content.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class Refusals:
    """Counts what this process refused, and says so at most once a minute.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: Counter[Reason] = Counter()
        self._unsaid: Counter[Reason] = Counter()
        self._detail = ""
        self._say_at = clock()

    def count(self, reason: Reason, detail: str = "") -> None:
        """One more; the line about it comes with the next `report()` that is due."""
        self._counts[reason] += 1
        self._unsaid[reason] += 1
        self._detail = detail or self._detail

    def counts(self) -> dict[str, int]:
        """How many were refused for each reason that there was, since the process started."""
        return {reason.value: count for reason, count in self._counts.items()}

    def report(self) -> None:
        """Log what was refused since the last line, unless that was less than a minute ago.

        Not called while the transport works: in an actor, a log record is itself a message.
        """
        if not self._unsaid or self._clock() < self._say_at:
            return
        said = ", ".join(f"{reason.value} {count}" for reason, count in self._unsaid.items())
        detail = f" ({self._detail})" if self._detail else ""
        self._unsaid, self._detail = Counter(), ""
        self._say_at = self._clock() + LOG_EVERY_SECONDS
        # looked up each time: Thespian gives its processes another root logger
        logging.getLogger(__name__).warning("refused frames: %s%s", said, detail)
