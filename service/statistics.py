"""What a telemetry says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from ..adapters.store_statistics import StoreStatistics
from ..runtime.door import DoorStatistics
from ..runtime.meter import BaseStatistics


@dataclass(frozen=True, slots=True)
class TelemetryStatistics:
    """A look inside: the door, the runtime, and the workers (current, and all kept).

    `store` is None without a data directory.
    """

    door: DoorStatistics
    runtime: BaseStatistics
    workers: int
    workers_retained: int
    store: StoreStatistics | None = None
