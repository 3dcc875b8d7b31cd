"""A shard's entrance with its journal over a real store, and a thread that admits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..adapters import journal_rows
from ..adapters.journal import BATCH_SECONDS, Journal
from ..adapters.journal_rows import JournalRow
from ..messages.control import Input, Stamped
from ..messages.stats import FlushTick
from ..runtime.clock import SystemClock
from ..runtime.door import Mark
from ..runtime.journaled_door import JournaledDoor
from ..runtime.waker import Waker
from .patience import PATIENCE_SECONDS
from .stored import StoreBench


class JournalBench(StoreBench):
    """A door with its journal, and a thread that admits."""

    def __init__(self, directory: Path, *, batch_seconds: float = BATCH_SECONDS) -> None:
        super().__init__(directory)
        store = self.open_store()
        self.journal = Journal(
            store, hold=self.hold, release=self.release, batch_seconds=batch_seconds
        )
        self.dropped_inputs: list[tuple[str, Input]] = []
        self.door = JournaledDoor(
            SystemClock(),
            self.journal,
            stats_capacity=10**6,
            hard_capacity=10**6,
            on_drop=lambda reason, body: self.dropped_inputs.append((reason, body)),
        )
        self.door.lead_to("supervisor")
        self.journal.door = self.door
        self.admitted: list[Stamped] = []
        self.when_admitted: Callable[[Stamped], None] = lambda stamped: None
        self._waker = Waker()
        self.door.connect(self._waker)
        self._is_over = False
        self._thread = threading.Thread(target=self._admit, daemon=True)

    def run_dispatcher(self) -> None:
        """From now on, let in what is written."""
        self._thread.start()

    def end(self) -> None:
        """Let the dispatcher end, and close the store."""
        self._is_over = True
        self._waker.wake()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)
        super().end()

    def enter(self, *numbers: int) -> None:
        """Ticks with these numbers."""
        for number in numbers:
            assert self.door.enter("supervisor", FlushTick(number))

    def sync(self) -> Mark:
        """Wait until what entered is done, or cannot be."""
        mark = Mark()
        self.door.mark(mark)
        assert mark.wait(PATIENCE_SECONDS)
        return mark

    def rows(self) -> list[JournalRow]:
        """What is on the disk, as another process sees it."""
        found = self.store.read(lambda db: [*journal_rows.select(db)])
        return [row for row in found if isinstance(row, JournalRow)]

    def written(self) -> dict[int, tuple[int, Input | None]]:
        """What is on the disk: its time and its input by its position."""
        return {
            row.first + index: (row.at_ns, body)
            for row in self.rows()
            for index, body in enumerate(row.inputs)
        }

    def let_in(self) -> dict[int, tuple[int, Input | None]]:
        """What was admitted, likewise."""
        return {one.position: (one.at_ns, one.body) for one in self.admitted}

    @property
    def ticks(self) -> list[int]:
        """The numbers of those that were admitted."""
        return [one.body.number for one in self.admitted if isinstance(one.body, FlushTick)]

    def _admit(self) -> None:
        while not self._is_over:
            one = self.door.admit()
            if one is None:
                self._waker.prepare()
                if self.door.is_empty and not self._is_over:
                    self._waker.sleep(None)
                else:
                    self._waker.cancel()
                continue
            message = one[1]
            assert isinstance(message, Stamped)
            self.when_admitted(message)
            self.admitted.append(message)
