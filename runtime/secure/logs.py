"""What actors log, on its way to the logger's process and there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

PLAIN: Final = (str, int, float, bool, type(None))


def plain_record(record: logging.LogRecord) -> logging.LogRecord:
    """A copy of a record, formatted, with texts in place of what else was given as `extra`.

    A record is a message: of what it holds, anything could be of a class that is not allowed.
    """
    plain = {name: _plain(value) for name, value in vars(record).items()}
    return logging.makeLogRecord({**plain, "msg": record.getMessage(), "args": None})


def _plain(value: object) -> object:
    if type(value) in PLAIN:
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a log call must not fail for this
        return f"<{type(value).__name__}>"


class KnownOrigin(logging.Filter):
    """Lets pass what actors log, and the logger's own warnings, with a dash for an address."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        if hasattr(record, "actorAddress"):
            return True
        record.actorAddress = "-"
        return record.levelno >= logging.WARNING


# what actors log goes to the logger's process, and from there to the node's standard error
LOG_CONFIG: Final[Mapping[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(actorAddress)s %(message)s"},
    },
    "filters": {"origin": {"()": f"{__name__}.KnownOrigin"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["origin"],
        },
    },
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {"Thespian": {"level": "WARNING"}},
}
