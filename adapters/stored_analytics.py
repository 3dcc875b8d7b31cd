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

from ..core.metrics import Metrics
from ..core.ports import AnalyticsService
from ..errors import DecodeError, StoreError
from . import output_rows
from .backoff import RETRY_SECONDS, Appointment, Backoff
from .reporter import LoggingReporter
from .store import CLOSED, Store

CAPACITY: Final = 262_144  # outputs that wait to be written: as the door's
STORED_MAX: Final = 2_000_000  # that wait for the sink: an hour of 500 a second, some GB
GROUP_MAX: Final = 2_000
PAGE: Final = 500
LAST_SECONDS: Final = 1.0  # at the end, for a service that does not return
FULL: Final = "analytics_full"
DAMAGED: Final = "analytics_damaged"
# what a sink raises about this one output; whatever else it raises is trouble that passes
UNFIT: Final = (TypeError, ValueError)

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
        release: Called when all is done, or waits until the service can take it.
        capacity: Outputs that may wait to be written.
        stored_max: Outputs that may wait for the service; further ones are dropped and counted.
        retry_seconds: The first wait after a failure, of the disk or of the service.

    Raises:
        StoreError: The database cannot be read.
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
        self._stored = store.read(output_rows.count)
        self._handed: list[int] = []  # ids that the service had and the disk does not know yet
        self._is_submitted = self._is_resting = self._is_closed = self._is_held = False
        self._failures = 0  # of the store
        self._appointment = Appointment(store, self._submit)
        self._backoff = Backoff(retry_seconds)  # of the store
        self._service_backoff = Backoff(retry_seconds)
        self._notices: deque[tuple[int, Callable[[], None]]] = deque()
        self._changed = threading.Condition()  # its lock guards all of the above
        self._balance()
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
            refused = self._reason_to_drop()
            if not refused:
                self._taken += 1
                self._waiting.append(_Output(key, kind, value))
                self._balance()
                must_submit = not (self._is_submitted or self._is_resting)
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
        with self._changed:
            goal, failures = self._taken, self._failures
        self._submit()
        with self._changed:
            self._changed.wait_for(
                lambda: self._failures > failures or (self._written >= goal and self._is_idle()),
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
            if self._is_closed:
                return complete
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(LAST_SECONDS)
        complete = self.wait_idle(LAST_SECONDS)  # what the service had last is not to come again
        with self._changed:
            lost = self._taken - self._written
            self._balance()
        if lost:
            self._metrics.dropped(CLOSED, lost)
        return complete

    # ── with the lock ───────────────────────────────────────────────────────────────────────

    def _reason_to_drop(self) -> str:
        if self._is_closed:
            return CLOSED
        unwritten = self._taken - self._written
        is_full = unwritten >= self._capacity or self._stored >= self._stored_max
        return FULL if is_full else ""

    def _is_idle(self) -> bool:
        """Whether the service had all, or cannot take it now, and the disk knows."""
        is_had = self._stored <= 0 or self._service_backoff.seconds > 0 or self._is_closed
        return is_had and not self._handed

    def _balance(self) -> None:
        """Hold virtual time as long as something is to be done that needs no waiting."""
        to_hand_over = self._stored > 0 and not self._service_backoff.seconds
        is_busy = not self._is_closed and (self._written < self._taken or to_hand_over)
        if is_busy != self._is_held:
            self._is_held = is_busy
            (self._hold if is_busy else self._release)()

    # ── writing ─────────────────────────────────────────────────────────────────────────────

    def _submit(self) -> None:
        with self._changed:
            if self._is_submitted or not (self._waiting or self._group or self._handed):
                return
            self._is_submitted = True
        self._store.submit(self._write, is_retried=True).add_done_callback(self._on_written)

    def _write(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """The job: how many are new, and how many are marked as handed over."""
        with self._changed:
            while self._waiting and len(self._group) < GROUP_MAX:
                self._group.append(self._waiting.popleft())
            group, handed = list(self._group), list(self._handed)
        output_rows.mark_handed(connection, handed)
        return output_rows.insert(connection, group), len(handed)

    def _on_written(self, done: Future[tuple[int, int]]) -> None:
        failed = done.exception() is not None
        reached = []
        with self._changed:
            self._is_submitted, self._is_resting = False, failed
            if failed:
                self._failures += 1
                self._backoff.grow()
            else:
                self._backoff.reset()
                fresh, marked = done.result()
                self._written += len(self._group)
                self._stored += fresh
                self._group.clear()
                del self._handed[:marked]
                count = sum(goal <= self._written for goal, _ in self._notices)
                reached = [self._notices.popleft()[1] for _ in range(count)]
                self._balance()
            self._changed.notify_all()
        if failed:
            self._appointment.make(self._backoff.seconds)
            return
        for then in reached:
            then()
        self._submit()

    # ── on the sender's thread ──────────────────────────────────────────────────────────────

    def _run(self) -> None:
        last_id = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stored > 0 or self._is_closed)
                if self._is_closed:
                    return
            try:
                page = self._store.read(partial(output_rows.select, after=last_id, limit=PAGE))
            except StoreError as error:
                self._reporter.store_failed(error)
                self._rest()
                continue
            if not page:
                self._rest()  # what there is is written by another, or not to be read now
                continue
            last_id = page[-1][0]
            if not self._hand_over(page):
                return

    def _hand_over(self, page: Sequence[tuple[int, str, bytes]]) -> bool:
        """Let the service have them; False: it was closed before."""
        handed: list[int] = []
        for number, kind, body in page:
            while not self._send(kind, body):
                self._settle(handed)
                handed = []
                if not self._await_service():
                    return False
            handed.append(number)
            if self._is_closed:
                break  # who closes waits only until this one is written down
        self._settle(handed)
        return not self._is_closed

    def _send(self, kind: str, body: bytes) -> bool:
        """Whether the service is done with it; False: it could not take it now."""
        method = _METHODS[kind]
        try:
            value = output_rows.unpack(kind, body)
        except DecodeError:
            self._metrics.dropped(DAMAGED)
            self._reporter.dropped(DAMAGED, kind)
            return True
        try:
            getattr(self._service, method)(value)
        except BaseException as error:  # noqa: BLE001  # the host's code: its faults stop nothing
            self._metrics.sink_error(method)
            is_unfit = isinstance(error, UNFIT)
            self._reporter.analytics_failed(method, error, is_retried=not is_unfit)
            if not is_unfit:
                return False
        if self._service_backoff.seconds:
            with self._changed:
                self._service_backoff.reset()
                self._balance()
        return True

    def _await_service(self) -> bool:
        """Wait until it is to be tried again; False: it was closed before."""
        with self._changed:
            self._service_backoff.grow()
            self._balance()
            self._changed.notify_all()
            seconds = self._service_backoff.seconds
            return not self._changed.wait_for(lambda: self._is_closed, seconds)

    def _settle(self, handed: Sequence[int]) -> None:
        """Not to be handed over again: written soon; a crash before that hands it over twice."""
        if not handed:
            return
        with self._changed:
            self._stored -= len(handed)
            self._handed += handed
            self._balance()
            self._changed.notify_all()
        self._submit()

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, self._retry_seconds)
