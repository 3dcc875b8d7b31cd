"""What the Thespian actors of a node share: a failure is logged, and Thespian told nothing of it.

Thespian would run the handler again on the half-changed actor, then tell the sender.
"""

from __future__ import annotations

import logging
import signal
from typing import Any, Final

from thespian.actors import ActorAddress, ActorTypeDispatcher

ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)
_log = logging.getLogger("greenroom.node")


def leave_endings_to_the_watcher() -> None:
    """It drains the node; a terminal, and some supervisors, send these signals to all at once."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)


class Speaking(ActorTypeDispatcher):
    """Handlers are named by Thespian's convention: `receiveMsg_` and the type of the message."""

    def receiveMessage(self, message: Any, sender: ActorAddress) -> Any:
        """Find the handler and run it."""
        try:
            return super().receiveMessage(message, sender)
        except Exception:  # noqa: BLE001  # whatever it is, the next message may be all right
            _log.exception("%s could not handle a %s", type(self).__name__, type(message).__name__)
            return None
