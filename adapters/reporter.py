"""LoggingReporter: failures as log lines, each kind at most once a minute."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..core.ports import Clock
from ..core.times import to_ns
from ..errors import StoreError
from ..messages.control import DeadLetter

log: Final = logging.getLogger("greenroom")


class LoggingReporter:
    """Writes to the logger `greenroom`; safe from any thread.

    Args:
        clock: Measures the minute.
        every_seconds: One line of a kind in this time; the next one says how many were left out.
    """

    def __init__(self, clock: Clock, every_seconds: float = 60.0) -> None:
        self._clock = clock
        self._every_ns = to_ns(every_seconds)
        self._last_ns: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._lock = threading.Lock()

    def input_failed(self, letter: DeadLetter) -> None:
        """An actor dropped an input; the line has the traceback, never the input itself."""
        self._log(
            f"{letter.actor}/{letter.message}",
            "%s dropped a %s (input %d): %s\n%s",
            letter.actor,
            letter.message,
            letter.position,
            letter.error,
            letter.traceback,
        )

    def analytics_failed(
        self, method: str, error: BaseException, *, is_retried: bool = False
    ) -> None:
        """The host's AnalyticsService raised."""
        self._log(
            f"analytics/{method}",
            "AnalyticsService.%s raised; what it was given is %s",
            method,
            "sent again later" if is_retried else "not sent again",
            error=error,
        )

    def clock_set_back(self, seconds: float) -> None:
        """Stamps never go back: until the clock is where it was, they stand still."""
        self._log(
            "clock",
            "the clock is %.0f s behind the last input's time; inputs get that time until then",
            seconds,
        )

    def dropped(self, reason: str, what: str) -> None:
        """Something was lost for want of room."""
        self._log(f"dropped/{reason}", "dropped a %s: %s", what, reason)

    def shard_given_up(self, reason: str, stack: str = "") -> None:
        """Nothing is processed any more: always a line of its own, with where it is stuck."""
        where = f", at\n{stack}" if stack else ""
        self._write(
            logging.CRITICAL, "greenroom stands still: %s; restart the process%s", reason, where
        )

    def journal_damaged(self, path: Path, position: int, error: str) -> None:
        """A row of the journal is not what was written: its inputs are lost."""
        log.error(
            "%s: the journal's row at position %d is damaged (%s); its inputs are lost, and no "
            "others. See `greenroom store check`",
            path,
            position,
            error,
        )

    def store_failed(self, error: StoreError) -> None:
        """Something was not written to the data directory, or not read."""
        self._log("store", "%s: %s", type(error).__name__, error)

    def replay_failed(self, letter_id: int, error: BaseException) -> None:
        """A dead letter could not be replayed; the next attempt is somebody's decision."""
        self._log("replay", "dead letter %d was not replayed", letter_id, error=error)

    def lost_at_close(self, count: int) -> None:
        """What could not be handed over before the end: always a line of its own."""
        text = "lost at close(): %d webhooks or analytics, not handed over in time"
        self._write(logging.WARNING, text, count)

    def _log(
        self, kind: str, text: str, *values: object, error: BaseException | None = None
    ) -> None:
        now = self._clock.monotonic_ns()
        with self._lock:
            last = self._last_ns.get(kind)
            if last is not None and now - last < self._every_ns:
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return
            self._last_ns[kind] = now
            left_out = self._left_out.pop(kind, 0)
        if left_out:
            text += " (and %d more like it since the last line)"
            values = (*values, left_out)
        self._write(logging.ERROR, text, *values, error=error)

    def _write(
        self, level: int, text: str, *values: object, error: BaseException | None = None
    ) -> None:
        with suppress(Exception):  # a host's log handler that raises fails no actor
            log.log(level, text, *values, exc_info=error)
