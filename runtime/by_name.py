"""The base for `ActorSystem("name")`, which imports `thespian.system.<name>`.

Put this module into `sys.modules["thespian.system.<name>"]` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from logging.config import dictConfig

from thespian.actors import ActorSystem

from .base import InProcessBase
from .clock import SystemClock


class ActorSystemBase(InProcessBase):
    """An InProcessBase that starts its thread at once, as Thespian's own process bases do.

    Args:
        system: Whose base it is; shares its capabilities.
        logDefs: A configuration for logging.config.dictConfig, or nothing.
    """

    def __init__(self, system: ActorSystem, logDefs: object = None) -> None:
        if isinstance(logDefs, Mapping):
            dictConfig(dict(logDefs))
        super().__init__(SystemClock(), system.capabilities)
        system.capabilities = self.capabilities
        self.start()
