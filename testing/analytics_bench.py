"""A data directory with stored analytics, and a sink that does what a test says."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from livekit.protocol.analytics import AnalyticsEvent

from ..adapters.reporter import LoggingReporter
from ..adapters.stored_analytics import StoredAnalytics
from ..runtime.clock import VirtualClock
from .fakes import RecordingAnalytics
from .patience import PATIENCE_SECONDS
from .stored import StoreBench


class Sink(RecordingAnalytics):
    """A service that may be down, dislike an event, or take its time.

    Attributes:
        trouble: Raised at each event while it is set.
        disliked: The rooms whose events it cannot take, and what it raises then.
        attempts: How often it was called with an event.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trouble: BaseException | None = None
        self.disliked: dict[str, Exception] = {}
        self.attempts = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def send_event(self, event: AnalyticsEvent) -> None:
        """Take it, if it can."""
        self.attempts += 1
        assert self.may_go_on.wait(PATIENCE_SECONDS)
        if self.trouble is not None:
            raise self.trouble
        if event.room_id in self.disliked:
            raise self.disliked[event.room_id]
        super().send_event(event)

    @property
    def rooms(self) -> list[str]:
        """Of whose rooms it had the events."""
        return [event.room_id for event in [*self.events]]


class AnalyticsBench(StoreBench):
    """A data directory with what keeps analytics, which can be closed and opened again."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.sink = Sink()
        self._opened: list[StoredAnalytics] = []

    def open(self, **options: Any) -> StoredAnalytics:
        """A new store and its analytics; options are theirs."""
        options = {"retry_seconds": 0.01, **options}
        self._opened.append(
            StoredAnalytics(
                self.sink,
                self.open_store(),
                self.metrics,
                LoggingReporter(VirtualClock()),
                hold=self.hold,
                release=self.release,
                **options,
            )
        )
        return self._opened[-1]

    def close(self) -> bool:
        """As at the process's end; whether all was written."""
        complete = self._opened[-1].close(PATIENCE_SECONDS)
        return self.store.close(PATIENCE_SECONDS) and complete

    def end(self) -> None:
        """Close whatever is open, written or not."""
        self.sink.may_go_on.set()
        for outputs in self._opened:
            outputs.close(0.0)
        super().end()

    def put(self, *rooms: str) -> None:
        """Events of these rooms, with keys of their own."""
        for room in rooms:
            self._opened[-1].put(f"key of {room}", "event", AnalyticsEvent(room_id=room))


def numbered(count: int, start: int = 0) -> list[str]:
    """The names of so many rooms."""
    return [f"RM_{number}" for number in range(start, start + count)]
