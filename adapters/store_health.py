"""How a store's disk does: for the metrics, the statistics, and a note that others can read."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..core.metrics import Metrics
from ..errors import StoreError

NOTE_NAME: Final = "store-error.json"
NOTE_SECONDS: Final = 5.0  # between two of the same failure


class StoreHealth:
    """Written by the store's thread, read by any.

    While the disk refuses, the last failure is in `store-error.json` beside the database, if not
    even that can be written: nowhere; `greenroom status` shows it.

    Args:
        data_dir: Where the note goes.
        metrics: Counts failures by their kind.
    """

    def __init__(self, data_dir: Path, metrics: Metrics) -> None:
        self._path = data_dir / NOTE_NAME
        self._metrics = metrics
        self._lock = threading.Lock()
        self._failed = False
        self._last_error = ""
        self._noted = ("", 0.0)  # what the note says, and since when (monotonic)
        metrics.store_failed(failed=False)
        self._forget()

    def look(self) -> tuple[bool, str]:
        """Whether the last write failed, and what the last failure said."""
        with self._lock:
            return self._failed, self._last_error

    def note_failure(self, failure: StoreError, *, wrote: bool) -> None:
        """The disk refused: a write, or something read."""
        with self._lock:
            self._failed |= wrote
            failed, self._last_error = self._failed, failure.reason
        self._metrics.store_error(failure.kind)
        self._metrics.store_failed(failed=failed)
        text, at = self._noted
        if text != failure.reason or time.monotonic() - at > NOTE_SECONDS:
            self._noted = (failure.reason, time.monotonic())
            self._write_down(failure)

    def note_written(self) -> None:
        """It takes everything."""
        with self._lock:
            self._failed = False
        self._metrics.store_failed(failed=False)
        if self._noted[0]:
            self._noted = ("", 0.0)
            self._forget()

    def _write_down(self, failure: StoreError) -> None:
        note = {
            "kind": failure.kind,
            "error": failure.reason,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with suppress(OSError):  # the same disk may refuse this too; the log has it
            draft = self._path.with_suffix(".new")
            draft.write_text(json.dumps(note), "utf-8")
            draft.replace(self._path)

    def _forget(self) -> None:
        with suppress(OSError):  # as above
            self._path.unlink(missing_ok=True)


def read_note(data_dir: Path) -> dict[str, Any] | None:
    """The failure that a running process noted (kind, error, at); None: there is none."""
    try:
        note = json.loads((data_dir / NOTE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None
