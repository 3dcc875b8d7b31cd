"""Plays recorded calls into a `Telemetry` whose clock is virtual, at any speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ..core.times import NS_PER_SECOND, to_ns
from ..errors import ConfigError, RecordingError
from ..system import Telemetry
from .recording import RecordedCall

STEP_SECONDS: Final = 0.05  # real time between two looks at the clock
SPEED_MAX: Final = 1e6  # faster is "max"


@dataclass(frozen=True, slots=True)
class RealTime:
    """The time in which a replay is watched; tests bring their own."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep


def check_speed(speed: float | None) -> None:
    """Make sure that a recording can be played at this speed; None is as fast as possible.

    Raises:
        ConfigError: It cannot.
    """
    if speed is not None and not 0 < speed <= SPEED_MAX:
        raise ConfigError(
            f"speed: expected max, or a number above 0 up to {SPEED_MAX:g}, got {speed:g}"
        )


class Player:
    """Makes each call at its own time of the virtual clock.

    At full speed time jumps from call to call; timers on the way (flushes, retries) fire when
    they are due, and it never moves while something is runnable or a delivery is in flight. At a
    numeric speed it follows the real clock in small steps.

    Args:
        telemetry: Started with a `VirtualClock` that stands at "at" 0.
        speed: Seconds of the call for one real second; None: as fast as possible.
        on_call: Told each call after it was made.
        real_time: Paces a numeric speed.
        stopped: Asked often; when it says True, no further call is made.

    Raises:
        ConfigError: The speed is no such number.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        speed: float | None = None,
        on_call: Callable[[RecordedCall], None] | None = None,
        real_time: RealTime | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        check_speed(speed)
        self._telemetry = telemetry
        self._speed = speed
        self._on_call = on_call
        self._real = real_time or RealTime()
        self._stopped = stopped
        self._start_ns = telemetry.clock.now_ns()
        self._real_start_ns = self._real.monotonic_ns()

    def play(self, calls: Iterable[RecordedCall]) -> None:
        """Make every call, in order.

        Raises:
            RecordingError: A line is not understood; the calls before it have been made.
        """
        self._real_start_ns = self._real.monotonic_ns()
        for call in calls:
            self._advance_to(self._start_ns + call.at_ns)
            if self._stopped():
                return
            try:
                getattr(self._telemetry, call.name)(**call.args)
            except (TypeError, ValueError) as error:
                raise RecordingError(call.where, str(error)) from error
            if self._on_call is not None:
                self._on_call(call)

    def finish(self) -> None:
        """Let time go on to the next flush, so that every statistic takes its usual way out.

        What is due later (a webhook's next attempt, a retirement) is left to `close()`.
        """
        interval_seconds = self._telemetry.settings.flush_interval_seconds
        if interval_seconds is None:
            self._telemetry.sync()
            return
        interval_ns = to_ns(interval_seconds)
        passed_ns = self._telemetry.clock.now_ns() - self._start_ns
        self._advance_to(self._start_ns + (passed_ns // interval_ns + 1) * interval_ns)

    def _advance_to(self, at_ns: int) -> None:
        if self._speed is None:
            self._telemetry.advance_to(at_ns)
            return
        while not self._stopped():
            passed_ns = self._real.monotonic_ns() - self._real_start_ns
            reached_ns = self._start_ns + round(passed_ns * self._speed)
            now_ns = self._telemetry.clock.now_ns()
            self._telemetry.advance_to(min(at_ns, max(now_ns, reached_ns)))
            left_seconds = (at_ns - reached_ns) / NS_PER_SECOND / self._speed
            if left_seconds <= 0:
                return
            self._real.sleep(min(left_seconds, STEP_SECONDS))
