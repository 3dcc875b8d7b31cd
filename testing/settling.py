"""Waiting until a running greenroom has delivered what it can deliver now."""

from __future__ import annotations

from typing import Final

from ..system import Telemetry
from .patience import PATIENCE_SECONDS

ATTEMPTS_MAX: Final = 3


def settle(telemetry: Telemetry, attempts: int = ATTEMPTS_MAX) -> None:
    """Let every queue make the attempts that are due, and write what became of them.

    Args:
        telemetry: With the system's clock.
        attempts: So many of one queue, one after the other.

    Raises:
        AssertionError: It took longer than half a minute.
    """
    for _ in range(attempts):
        assert telemetry.sync()  # on the disk
        assert telemetry.sync()  # that was said, and the attempt is ordered
        assert telemetry._poster.wait_idle(PATIENCE_SECONDS)
        assert telemetry.sync()  # its end is on the disk
