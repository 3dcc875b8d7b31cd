"""Logging that cannot fail: a host's log handler that raises must not end the dispatch thread."""

from __future__ import annotations

import logging
from typing import Any


class GuardedLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose methods never raise an `Exception`; the line may be lost."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """As `Logger.log`; the caller's place is told right, although this is in between."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception:  # noqa: BLE001  # there is nobody to tell
            return


def guarded_log(name: str) -> GuardedLog:
    """The logger of a module of the runtime."""
    return GuardedLog(logging.getLogger(name), None)
