"""Where the processes of a node log: standard error, one line each, with the process id."""

from __future__ import annotations

import logging
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s"
_NAME: Final = "greenroom"


def log_to_stderr(level: int = logging.INFO) -> None:
    """Have greenroom's loggers write for themselves; processes forked from this one do too.

    Not to the root's handlers: in an actor's process those are Thespian's, which sends each line
    to its logger and is no friend of other threads.
    """
    logger = logging.getLogger(_NAME)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
