"""Where analytics go: a thread in front of any AnalyticsService, a null one, and a JSONL file."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from ..core.metrics import Metrics
from ..core.ports import AnalyticsService, Clock
from ..core.times import NS_PER_SECOND
from .reporter import LoggingReporter

_LINE_BREAKS: Final = {0x2028: "\\u2028", 0x2029: "\\u2029"}  # lines to some readers, as Go does
CAPACITY: Final = 100_000  # items; an hour of a busy server, some 100 MB at the worst


class NullAnalyticsService:
    """Takes everything and keeps nothing. Source: livekit analyticsservice.go."""

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Do nothing."""

    def send_event(self, event: AnalyticsEvent) -> None:
        """Do nothing."""

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Do nothing."""

    def room_project_reporter(self) -> object:
        """There is none."""
        return None


class AnalyticsThread:
    """Calls a host's AnalyticsService on a thread of its own, in order.

    The dispatch thread never waits for it: when `capacity` items wait, the newest is dropped and
    counted (`greenroom_dropped_total{reason="analytics_full"}`). What the service raises is
    counted and logged.

    Args:
        service: The host's.
        metrics: Counts drops and errors.
        reporter: Logs them.
        hold: Called when an item is taken, so that virtual time waits for it.
        release: Called when it is done.
        capacity: How many items may wait.
    """

    def __init__(
        self,
        service: AnalyticsService,
        metrics: Metrics,
        reporter: LoggingReporter,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        capacity: int = CAPACITY,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._reporter = reporter
        self._hold = hold
        self._release = release
        self._capacity = capacity
        self._is_for_nobody = type(service) is NullAnalyticsService
        self._waiting: queue.SimpleQueue[tuple[str, object] | threading.Event | None]
        self._waiting = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()  # nothing is queued behind the end
        self._thread = threading.Thread(target=self._run, name="greenroom-analytics", daemon=True)
        self._thread.start()

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Queue one worker's statistics."""
        self._put("send_stats", stats)

    def send_event(self, event: AnalyticsEvent) -> None:
        """Queue one event."""
        self._put("send_event", event)

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Queue the state of a node's rooms."""
        self._put("send_node_room_states", node_rooms)

    def room_project_reporter(self) -> object:
        """The service's own, in the caller's thread."""
        return self._service.room_project_reporter()

    def is_current_thread(self) -> bool:
        """Whether the service itself is calling."""
        return threading.current_thread() is self._thread

    def wait_idle(self, timeout_seconds: float | None) -> bool:
        """Wait until everything queued before has been given to the service."""
        reached = threading.Event()
        with self._lock:
            if not self._closed:
                self._waiting.put(reached)
        return self._ended(timeout_seconds) if self._closed else reached.wait(timeout_seconds)

    def close(self, timeout_seconds: float | None) -> bool:
        """Finish what waits, then stop; False when the service took longer than that."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        return self._ended(timeout_seconds)

    def _ended(self, timeout_seconds: float | None) -> bool:
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _put(self, method: str, value: object) -> None:
        if self._is_for_nobody:
            return
        with self._lock:
            lost = self._reason_to_drop()
            if not lost:
                self._hold()
                self._waiting.put((method, value))
        if lost:
            self._metrics.dropped(lost)
            self._reporter.dropped(lost, method.removeprefix("send_"))

    def _reason_to_drop(self) -> str:
        if self._closed:
            return "closed"
        return "analytics_full" if self._waiting.qsize() >= self._capacity else ""

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            method, value = item
            try:
                getattr(self._service, method)(value)
            except BaseException as error:  # noqa: BLE001  # the host's code: its faults stop nothing
                self._metrics.sink_error(method)
                self._reporter.analytics_failed(method, error)
            finally:
                self._release()


class JsonlAnalytics:
    """Writes each send as one line, `{"at", "send", …}`, "at" in seconds since `start_ns`.

    Args:
        path: The file.
        clock: Tells "at".
        start_ns: Unix time of "at" 0.
        appends: Go on behind what is in the file, each line at once. False: replace it.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, clock: Clock, start_ns: int = 0, *, appends: bool = False
    ) -> None:
        if appends:
            self._file = path.open("a", encoding="utf-8", buffering=1)
            if _is_torn(path):
                self._file.write("\n")  # by a crash: it comes again, whole
        else:
            self._file = path.open("w", encoding="utf-8")
        self._clock = clock
        self._start_ns = start_ns

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """One line for one worker's statistics of one flush."""
        self._write("stats", "stats", [_plain(stat) for stat in stats])

    def send_event(self, event: AnalyticsEvent) -> None:
        """One line for one event."""
        self._write("event", "event", _plain(event))

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """One line for the state of a node's rooms."""
        rooms = None if node_rooms is None else _plain(node_rooms)
        self._write("node_room_states", "node_rooms", rooms)

    def room_project_reporter(self) -> object:
        """There is none."""
        return None

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()

    def _write(self, send: str, name: str, value: object) -> None:
        at = (self._clock.now_ns() - self._start_ns) / NS_PER_SECOND
        line = {"at": round(at, 6), "send": send, name: value}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        self._file.write(text.translate(_LINE_BREAKS) + "\n")


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        return file.read(1) not in (b"", b"\n")


def _plain(message: Message) -> dict[str, object]:
    plain: dict[str, object] = MessageToDict(message, preserving_proto_field_name=True)
    return plain
