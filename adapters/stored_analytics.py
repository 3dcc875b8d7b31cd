"""Analytics on their way, in the database: what the sink has not had outlives the process.

    put ──► waiting ──(the store's thread)──► outputs ──(the sender's thread)──► the sink

Each output has a key that its input gives it again after a crash: then it is there already, and
is not handed over again. What the sink had stays until a checkpoint says that it cannot come
again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, NamedTuple

import msgpack
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from ..core.metrics import Metrics
from ..core.ports import AnalyticsService
from ..errors import StoreError
from .reporter import LoggingReporter
from .store import CLOSED, Store

CAPACITY: Final = 262_144  # outputs that wait to be written: as the door's
STORED_MAX: Final = 2_000_000  # that wait for the sink: an hour of 500 a second, some GB
GROUP_MAX: Final = 2_000
PAGE: Final = 500
RETRY_SECONDS: Final = 1.0
RETRY_MAX_SECONDS: Final = 30.0
FULL: Final = "analytics_full"
# what a sink raises about this one output; whatever else it raises is trouble that passes
UNFIT: Final = (TypeError, ValueError)

_INSERT: Final = "INSERT OR IGNORE INTO outputs (key, kind, body) VALUES (?, ?, ?)"
_NEXT: Final = (
    "SELECT id, kind, body FROM outputs INDEXED BY outputs_waiting "
    "WHERE is_handed = 0 AND id > ? ORDER BY id LIMIT ?"
)
_COUNT: Final = "SELECT count(*) FROM outputs INDEXED BY outputs_waiting WHERE is_handed = 0"
_METHODS: Final = {
    "stats": "send_stats",
    "event": "send_event",
    "node_rooms": "send_node_room_states",
}


class _Output(NamedTuple):
    key: str
    kind: str
    value: object


class StoredAnalytics:
    """Hands outputs to a host's AnalyticsService on a thread of its own, in order, none twice.

    What the service raises is tried again after 1 s, 2 s, 4 s … up to 30 s, as long as it takes;
    a TypeError or ValueError means that it cannot take this output: that is counted and logged.

    Args:
        service: The host's.
        store: Keeps what it has not had.
        metrics: Counts drops and errors.
        reporter: Logs them.
        hold: Called when there is something to do, so that virtual time waits for it.
        release: Called when it is done, or the service fails and will be tried again.
        capacity: Outputs that may wait to be written.
        stored_max: Outputs that may wait for the service; further ones are dropped and counted.
    """

    def __init__(
        self,
        service: AnalyticsService,
        store: Store,
        metrics: Metrics,
        reporter: LoggingReporter,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        capacity: int = CAPACITY,
        stored_max: int = STORED_MAX,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._service = service
        self._store = store
        self._metrics = metrics
        self._reporter = reporter
        self._hold, self._release = hold, release
        self._capacity = capacity
        self._stored_max = stored_max
        self._retry_seconds = retry_seconds
        self._waiting: deque[_Output] = deque()
        self._group: list[_Output] = []  # being written, or to be written again
        self._taken = self._written = 0
        self._stored = store.read(lambda db: int(db.execute(_COUNT).fetchone()[0]))
        self._is_submitted = self._is_closed = False
        self._wait_seconds = 0.0  # of the store; 0: the last write succeeded
        self._sink_wait_seconds = 0.0  # of the service, likewise
        self._is_held = False
        self._notices: deque[tuple[int, Callable[[], None]]] = deque()
        self._changed = threading.Condition()  # its lock guards all of the above
        with self._changed:
            self._settle()
        self._thread = threading.Thread(target=self._run, name="greenroom-analytics", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<StoredAnalytics {self._stored} for the sink, {self._taken - self._written} new>"

    def put(self, key: str, kind: str, value: object) -> None:
        """Take an output; returns at once.

        Args:
            key: Tells it from all others; one that was put before is ignored.
            kind: "stats" (a sequence of AnalyticsStat), "event" or "node_rooms".
            value: What the service gets.
        """
        with self._changed:
            refused = CLOSED if self._is_closed else ""
            if self._taken - self._written >= self._capacity or self._stored >= self._stored_max:
                refused = refused or FULL
            if not refused:
                self._taken += 1
                self._waiting.append(_Output(key, kind, value))
                self._settle()
                must_submit = not self._is_submitted and not self._wait_seconds
        if refused:
            self._metrics.dropped(refused)
            self._reporter.dropped(refused, kind)
            return
        if must_submit:
            self._submit()

    def is_current_thread(self) -> bool:
        """Whether the service itself is calling."""
        return threading.current_thread() is self._thread

    def wait_idle(self, timeout_seconds: float | None) -> bool:
        """Wait until everything put so far is on the disk, and the service has had it.

        Returns:
            False: it took longer, or the disk refuses it. That the service refuses it is no
            reason: then it is on the disk.
        """
        self._submit()
        with self._changed:
            goal = self._taken
            self._changed.wait_for(
                lambda: (
                    (
                        self._written >= goal
                        and (not self._stored or self._sink_wait_seconds > 0 or self._is_closed)
                    )
                    or self._wait_seconds > 0
                ),
                timeout_seconds,
            )
            return self._written >= goal

    def when_written(self, then: Callable[[], None]) -> None:
        """Call `then`, on whatever thread, once everything put so far is on the disk."""
        with self._changed:
            if self._written < self._taken:
                self._notices.append((self._taken, then))
                return
        then()

    def close(self, timeout_seconds: float | None) -> bool:
        """Write what waits, hand over what there is time for, and stop.

        Returns:
            Whether everything is on the disk; what the service has not had it gets at the next
            start.
        """
        complete = self.wait_idle(timeout_seconds)
        with self._changed:
            if not self._is_closed:
                self._is_closed = True
                self._settle()
                lost = self._taken - self._written
                if lost:
                    self._metrics.dropped(CLOSED, lost)
        self._thread.join(1.0)
        return complete

    def _settle(self) -> None:
        """Something changed, under the lock: tell who waits, and virtual time."""
        self._changed.notify_all()
        is_handing = self._stored > 0 and not self._sink_wait_seconds
        is_busy = not self._is_closed and (self._written < self._taken or is_handing)
        if is_busy and not self._is_held:
            self._hold()
        elif self._is_held and not is_busy:
            self._release()
        self._is_held = is_busy

    def _submit(self) -> None:
        with self._changed:
            if self._is_submitted or not (self._waiting or self._group):
                return
            self._is_submitted = True
        self._store.submit(self._write, is_retried=True).add_done_callback(self._on_written)

    # ── on the store's thread ───────────────────────────────────────────────────────────────

    def _write(self, connection: sqlite3.Connection) -> int:
        with self._changed:
            while self._waiting and len(self._group) < GROUP_MAX:
                self._group.append(self._waiting.popleft())
            group = list(self._group)
        rows = [(one.key, one.kind, _packed(one.value)) for one in group]
        return connection.executemany(_INSERT, rows).rowcount

    def _on_written(self, done: Future[int]) -> None:
        failed = done.exception() is not None
        with self._changed:
            self._is_submitted = False
            if failed:
                doubled = min(2 * self._wait_seconds, RETRY_MAX_SECONDS)
                self._wait_seconds = max(doubled, self._retry_seconds)
                reached = []
            else:
                self._wait_seconds = 0.0
                self._written += len(self._group)
                self._stored += done.result()
                self._group.clear()
                count = sum(goal <= self._written for goal, _ in self._notices)
                reached = [self._notices.popleft()[1] for _ in range(count)]
            self._settle()
        if failed:
            self._store.call_later(self._wait_seconds, self._submit)
            return
        for then in reached:
            then()
        self._submit()

    # ── on the sender's thread ──────────────────────────────────────────────────────────────

    def _run(self) -> None:
        last_id = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stored or self._is_closed)
                if self._is_closed:
                    return
            try:
                page = self._store.read(partial(_select, after=last_id))
            except StoreError as error:
                self._reporter.store_failed(error)
                self._rest()
                continue
            handed = []
            for number, kind, body in page:
                if not self._send(kind, body):
                    break
                last_id = number
                handed.append(number)
            if handed:
                self._forget(handed)
            if not page:
                self._rest()  # what there is is written by another, or not to be read now

    def _send(self, kind: str, body: bytes) -> bool:
        """Whether the sink is done with it; False: later, or never in this life."""
        method = _METHODS[kind]
        while True:
            try:
                getattr(self._service, method)(_unpacked(kind, body))
            except BaseException as error:  # noqa: BLE001  # the host's code: its faults stop nothing
                self._metrics.sink_error(method)
                is_unfit = isinstance(error, UNFIT)
                self._reporter.analytics_failed(method, error, is_retried=not is_unfit)
                if is_unfit:
                    return True
            else:
                with self._changed:
                    self._sink_wait_seconds = 0.0
                    self._settle()
                return True
            with self._changed:
                doubled = min(2 * self._sink_wait_seconds, RETRY_MAX_SECONDS)
                self._sink_wait_seconds = max(doubled, self._retry_seconds)
                self._settle()
                if self._changed.wait_for(lambda: self._is_closed, self._sink_wait_seconds):
                    return False

    def _forget(self, handed: Sequence[int]) -> None:
        """Not to be handed over again: written soon; a crash before that hands it over twice."""
        self._store.submit(partial(_mark_handed, numbers=handed), is_retried=True)
        with self._changed:
            self._stored -= len(handed)
            self._settle()

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, self._retry_seconds)


def _select(connection: sqlite3.Connection, after: int) -> list[tuple[int, str, bytes]]:
    return connection.execute(_NEXT, (after, PAGE)).fetchall()


def _mark_handed(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    connection.executemany(
        "UPDATE outputs SET is_handed = 1 WHERE id = ?", ((number,) for number in numbers)
    )


def _packed(value: object) -> bytes | None:
    """One message in its wire form, None as nothing, several as a msgpack array of theirs."""
    if value is None:
        return b""
    if isinstance(value, Message):
        return value.SerializeToString()
    assert isinstance(value, Sequence)
    packed: bytes = msgpack.packb([one.SerializeToString() for one in value])
    return packed


def _unpacked(kind: str, body: bytes) -> object:
    if kind == "stats":
        return tuple(map(AnalyticsStat.FromString, msgpack.unpackb(body)))
    if kind == "event":
        return AnalyticsEvent.FromString(body)
    return AnalyticsNodeRooms.FromString(body) if body else None
