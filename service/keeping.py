"""What a telemetry has on its disk: the store, and all that is written to it."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from ..adapters import checkpoints, journal_rows
from ..adapters.analytics import NullAnalyticsService
from ..adapters.checkpoints import Checkpoints
from ..adapters.database import open_beside
from ..adapters.journal import BATCH_SECONDS, Journal
from ..adapters.journal_rows import DamagedRow, JournalRow
from ..adapters.reporter import LoggingReporter
from ..adapters.store import Store
from ..adapters.store_errors import store_error
from ..adapters.stored_analytics import StoredAnalytics
from ..adapters.stored_outbox import SqliteOutbox
from ..config import Settings
from ..core import metrics_state
from ..core.journal import Past
from ..core.metrics import Metrics
from ..core.ports import AnalyticsService, Clock
from ..errors import ConfigError, DecodeError, StoreError
from ..runtime.base import InProcessBase
from ..runtime.door import Door, OnDrop
from ..runtime.journaled_door import JournaledDoor
from ..runtime.limit import Limit

PROGRESS_SECONDS: Final = 2.0
MEMORY: Final = "memory"
_log = logging.getLogger("greenroom")


def make_door(settings: Settings, clock: Clock, on_drop: OnDrop) -> Door:
    """The door of a telemetry without a journal."""
    capacity = settings.capacity
    return Door(clock, stats_capacity=capacity, hard_capacity=2 * capacity, on_drop=on_drop)


class Keeping:
    """The data directory of a telemetry, and who writes it.

    Args:
        settings: Of the telemetry.
        data_dir: The directory.
        base: Runs the actors.
        metrics: Of the telemetry; they go on where those of the life before were.
        reporter: Of the telemetry.
        service: The analytics service of the host.
        on_drop: As of a `Door`.

    Attributes:
        store: The database.
        door: Where inputs enter.
        outbox: Webhooks.
        outputs: Analytics; None: they go to the service at once.
        checkpoints: None: there is no journal.
        past: What there is of a life before.

    Raises:
        ConfigError: The directory is taken, or cannot be used.
        StoreError: The database in it cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        base: InProcessBase,
        metrics: Metrics,
        reporter: LoggingReporter,
        service: AnalyticsService,
        on_drop: OnDrop,
    ) -> None:
        self._metrics, self._reporter = metrics, reporter
        self.store = Store(data_dir, metrics, reporter, disk_sync=settings.disk_sync)
        try:
            self.past = self._load()
            self._journal: Journal | None = None
            self.outputs: StoredAnalytics | None = None
            self.checkpoints: Checkpoints | None = None
            hold, release = base.hold, base.release
            if settings.durability == MEMORY:
                self.door = make_door(settings, base.clock, on_drop)
                self._refuse_past(settings)
            else:
                seconds = BATCH_SECONDS if settings.durability == "batch" else 0.0
                self._journal = Journal(
                    self.store, hold=hold, release=release, batch_seconds=seconds
                )
                self.door = self._entrance = JournaledDoor(
                    base.clock,
                    self._journal,
                    stats_capacity=settings.capacity,
                    hard_capacity=2 * settings.capacity,
                    on_drop=on_drop,
                )
                self._journal.door = self._entrance
                self._entrance.resume(self.past.position, self.past.at_ns)
            self.outbox = SqliteOutbox(self.store, self.door, metrics, hold=hold, release=release)
            if self._journal is not None:
                self._keep_outputs(service, hold, release)
        except BaseException:
            self.store.close(None)
            raise

    def __repr__(self) -> str:
        return f"<Keeping {self.store!r}, {self._journal!r}>"

    @property
    def is_failing(self) -> bool:
        """Whether the disk refuses the journal."""
        return self._journal is not None and self._journal.is_failing

    def is_told_again(self) -> bool:
        """Whether what fails now may have failed in the life before, likewise."""
        checkpoints = self.checkpoints
        return checkpoints is not None and not (self.past.is_empty or checkpoints.has_begun)

    def take_up(self, barrier: Callable[[], object]) -> None:
        """Let the actors handle what the journal has, row by row; with a line of progress.

        Args:
            barrier: Waits until what was let in is handled.

        Raises:
            StoreError: The journal cannot be read.
        """
        if self._journal is None:
            return
        if not self.past.is_empty:
            self._take_up(barrier)
        self._entrance.taken_up()  # not after a failure: a flush would save what is half of it

    def _take_up(self, barrier: Callable[[], object]) -> None:
        checkpoint = self.past.checkpoint
        after = 0 if checkpoint is None else checkpoint.position
        began, seen, inputs = time.monotonic(), 0, 0
        told = began
        for row in self._rows(after):
            seen += 1
            if isinstance(row, DamagedRow):
                self._metrics.dropped("journal_damaged")
                self._reporter.journal_damaged(self.store.path, row.first, row.error)
                continue
            fed = [
                body if position > after else None
                for position, body in enumerate(row.inputs, row.first)
            ]
            inputs += sum(body is not None for body in fed)
            self._entrance.feed(row.first, row.at_ns, fed)
            barrier()
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                _log.info("taking up the journal: %d of %d rows", seen, self.past.rows)
        _log.info(
            "took up %d inputs and %d workers of the last life in %.1f s",
            inputs,
            0 if checkpoint is None else len(checkpoint.changed),
            time.monotonic() - began,
        )

    def wait_idle(self, limit: Limit) -> bool:
        """Wait until all that was made is on the disk, and the sink has had it unless it fails."""
        written = self.outputs is None or self.outputs.wait_idle(limit.left())
        return self.outbox.wait_idle(limit.left()) and written and not self.is_failing

    def close(self, limit: Limit, *, is_over: bool) -> bool:
        """Write what waits, and close the database.

        Args:
            limit: For all of it.
            is_over: Nothing of this life is to be taken up by the next one.

        Returns:
            Whether all was written in time.
        """
        complete = self.outputs is None or self.outputs.close(limit.left())
        complete &= self.outbox.close(limit.left())
        if is_over and complete and self._journal is not None:
            self.store.submit(checkpoints.forget)
        return self.store.close(limit.left()) and complete

    def _load(self) -> Past:
        try:
            past = self.store.read(checkpoints.load)
            if past.checkpoint is not None:
                metrics_state.restore(self._metrics, past.checkpoint.metrics)
        except (DecodeError, ValueError) as error:
            raise StoreError(
                self.store.path,
                f"its checkpoint is damaged ({error}): see `greenroom store repair`",
            ) from error
        return past

    def _refuse_past(self, settings: Settings) -> None:
        if not self.past.is_empty:
            raise ConfigError(
                f"durability: {settings.durability!r} would forget what a crash has left in "
                f"{self.store.data_dir}; start with 'batch' and close it once, or repair it"
            )

    def _keep_outputs(
        self, service: AnalyticsService, hold: Callable[[], None], release: Callable[[], None]
    ) -> None:
        after = [self.outbox.when_written]
        if type(service) is not NullAnalyticsService:
            self.outputs = StoredAnalytics(
                service, self.store, self._metrics, self._reporter, hold=hold, release=release
            )
            after.append(self.outputs.when_written)
        self.checkpoints = Checkpoints(self.store, tuple(after))

    def _rows(self, after: int) -> Iterator[JournalRow | DamagedRow]:
        try:
            with closing(open_beside(self.store.data_dir)) as connection:
                yield from journal_rows.select(connection, after)
        except sqlite3.Error as error:
            raise store_error(self.store.path, error, "not taken up") from error
