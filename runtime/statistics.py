"""What a telemetry says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from .door import DoorStatistics
from .meter import BaseStatistics


@dataclass(frozen=True, slots=True)
class TelemetryStatistics:
    """A look inside: the door, the runtime, and the workers (current, and all kept)."""

    door: DoorStatistics
    runtime: BaseStatistics
    workers: int
    workers_retained: int
