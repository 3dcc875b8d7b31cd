"""A log filter for the logger's process: what it says itself comes from no actor."""

from __future__ import annotations

import logging


class KnownOrigin(logging.Filter):
    """Lets pass what actors log, and the logger's own warnings, with a dash for an address."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        if hasattr(record, "actorAddress"):
            return True
        record.actorAddress = "-"
        return record.levelno >= logging.WARNING
