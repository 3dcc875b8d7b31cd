"""Who is restarted, how often and how soon: OTP's child specifications as data.

Source: Erlang/OTP lib/stdlib, supervisor: restart types, intensity and period.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .times import to_ns


class RestartType(Enum):
    """When a child that ended is started anew; one that failed in place is restarted likewise."""

    PERMANENT = "always"
    TRANSIENT = "when somebody else ended it; not when its supervisor or itself did"
    TEMPORARY = "never"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How one kind of child is supervised.

    Args:
        restart: When it is restarted.
        max_restarts: Intensity: so many restarts in a period are borne, one more is too many.
        within_seconds: The period.
        backoff_seconds: The wait before the second restart in a period (the first comes at
            once); it doubles with each further one.
        backoff_max_seconds: Its bound.
    """

    restart: RestartType
    max_restarts: int
    within_seconds: float
    backoff_seconds: float
    backoff_max_seconds: float


# Whoever everybody depends on: what does not get better within a minute is handed upwards.
PERMANENT_CHILD: Final = ChildSpec(RestartType.PERMANENT, 10, 60.0, 0.1, 5.0)
# One participant's worker: bad samples may come in numbers, and concern nobody else.
WORKER_CHILD: Final = ChildSpec(RestartType.TRANSIENT, 30, 60.0, 0.01, 1.0)
# A host whose calls are bad must not end the telemetry of all its good ones: only be slowed down.
SUPERVISOR_CHILD: Final = ChildSpec(RestartType.PERMANENT, 10_000, 60.0, 0.0001, 0.01)
# Its permanent children were beyond their budget so often: a restart of all does not help.
ALL_CHILDREN: Final = ChildSpec(RestartType.PERMANENT, 2, 600.0, 1.0, 5.0)


class RestartBudget:
    """The restarts of one child in the last period.

    Args:
        spec: What it may have.
    """

    __slots__ = ("_spec", "_times")

    def __init__(self, spec: ChildSpec) -> None:
        self._spec = spec
        self._times: deque[int] = deque()

    def __repr__(self) -> str:
        return f"<RestartBudget {len(self._times)} of {self._spec.max_restarts}>"

    def spend(self, at_ns: int) -> float | None:
        """Take one restart at this time (Unix ns, never earlier than before).

        Returns:
            Seconds to wait before it; None: there is none left, or there never was any.
        """
        spec, times = self._spec, self._times
        if spec.restart is RestartType.TEMPORARY:
            return None
        while times and at_ns - times[0] > to_ns(spec.within_seconds):
            times.popleft()
        if len(times) >= spec.max_restarts:
            return None
        before = len(times)
        times.append(at_ns)
        if not before:
            return 0.0
        doubled = min(before - 1, 62)
        return min(spec.backoff_seconds * 2.0**doubled, spec.backoff_max_seconds)
