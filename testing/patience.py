"""How long a test waits for what other threads do: only a failure ever takes that long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE_SECONDS: Final = 30.0  # a loaded machine may be this slow
LOOK_SECONDS: Final = 0.002


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again, with a little time for the other threads in between.

    Raises:
        AssertionError: The patience is at an end.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(LOOK_SECONDS)
