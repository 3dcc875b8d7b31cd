"""How one handler on another thread is ended by an exception, and nothing but this handler.

CPython raises an asynchronous exception wherever the thread is when it next looks: at the start
of a function, after a call into C, or when it jumps back in a loop. So one that came a moment too
late would hit the dispatcher, or the next handler. Two things prevent that:

* Whether the handler still runs is looked up, and the exception is set, without letting the
  thread run in between (`interrupt`).
* The handler may still end without looking (its last step was a call into C that CPython makes
  by itself, as for an iterator). Then the exception comes out at the very next look, and there
  the dispatcher takes no harm: see `Dispatcher._handle`.
"""

from __future__ import annotations

import ctypes
import operator
import sys
from collections.abc import Iterable, Iterator, Set
from functools import partial
from itertools import accumulate, chain, islice, repeat, takewhile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from ..errors import HandlerTimeoutError
from .dispatch import Dispatcher
from .spawn import Spawner
from .stacks import uncollected

_raise_in: Final = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
_file_of: Final = operator.attrgetter("f_code.co_filename")

# Code that must not be interrupted half-way: what it began would never be finished.
RUNTIME_FILES: Final = frozenset(str(path) for path in Path(__file__).parent.glob("*.py"))
# From these the code of an actor is called: its handlers, and its constructor.
HANDLING: Final[Set[CodeType]] = {
    Dispatcher._run_slice.__code__,
    Dispatcher._deliver.__code__,
    Dispatcher._handle.__code__,
}
CONSTRUCTING: Final = Spawner.spawn.__code__


def find_handler(frames: Iterable[FrameType]) -> FrameType | None:
    """Find in a stack, innermost first, the outermost frame of a handler; None: no handler runs.

    When the handler is making another actor, it is the frame of that one's constructor.
    """
    within: FrameType | None = None  # what the frame called
    constructor: FrameType | None = None
    for frame in frames:
        if within is not None and within.f_code.co_filename not in RUNTIME_FILES:
            if frame.f_code is CONSTRUCTING:
                constructor = constructor or within
            elif frame.f_code in HANDLING:
                return constructor or within
        within = frame
    return None


def interrupt(
    thread: int, handler: FrameType, error: HandlerTimeoutError, spared: Set[str]
) -> bool:
    """Raise `error` in a handler, if it still runs and none of the `spared` files does in it.

    Args:
        thread: The ident of the thread that runs the handler.
        handler: The frame of the handler.
        error: What to raise; the handler gets one of its own, because CPython takes only classes.
        spared: The files of code that must not be interrupted.

    Returns:
        False when nothing was done: it has ended, or another try may succeed.
    """

    class RaisedError(HandlerTimeoutError):
        def __init__(self) -> None:
            super().__init__(error.actor, error.message, error.seconds)

    RaisedError.__name__ = RaisedError.__qualname__ = HandlerTimeoutError.__name__
    RaisedError.__module__ = HandlerTimeoutError.__module__
    inner = takewhile(partial(operator.is_not, handler), _stack(thread))
    is_spared = map(spared.__contains__, map(_file_of, inner))
    try:
        with uncollected():  # a finalizer that it runs lets other threads run too
            # Between the search and the call CPython lets no other thread run: it does so only
            # after a call, at the start of a function or when it jumps back; none is `in`.
            if True in is_spared:
                return False
            _raise_in(thread, RaisedError)
    except (AttributeError, KeyError):  # the stack ended without that frame; no such thread
        return False
    return True


def _stack(thread: int) -> Iterator[Any]:
    """The frames of a thread, innermost first, then None; looked up when the first is wanted."""
    innermost = islice(map(operator.itemgetter(thread), iter(sys._current_frames, None)), 1)
    return accumulate(chain(innermost, repeat("f_back")), getattr)
