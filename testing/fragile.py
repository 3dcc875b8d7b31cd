"""Actors that cannot digest certain messages, until the cause is mended.

fault = Fault()
children = ChildClasses(recorder=fragile(Recorder, RecordEvent, fault=fault))
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..actors._base import GreenroomActor, Handler, told


class Fault:
    """A cause of failures.

    Args:
        is_poison: Which messages meet it.

    Attributes:
        mended: Whether it is gone.
        digested: Set when one of these messages was digested.
    """

    def __init__(self, is_poison: Callable[[object], bool] = lambda _: True) -> None:
        self.is_poison = is_poison
        self.mended = False
        self.digested = threading.Event()


def fragile(kind: type[GreenroomActor], *messages: type, fault: Fault) -> type[GreenroomActor]:
    """A class like `kind`, and of its name, that raises OSError on these messages.

    Thespian makes an actor from its class alone, so each fault has a class of its own.
    """
    own = {f"on_{each.__name__}": _met(kind.told_handlers[each], each, fault) for each in messages}
    return type(kind.__name__, (kind,), {"__module__": __name__, "__doc__": kind.__doc__} | own)


def _met(handler: Handler, message_type: type, fault: Fault) -> Handler:
    def handle(actor: GreenroomActor, message: object, sender: object) -> None:
        if not fault.is_poison(message):
            handler(actor, message, sender)
        elif not fault.mended:
            raise OSError("not mended yet")
        else:
            handler(actor, message, sender)
            fault.digested.set()

    return told(message_type)(handle)
