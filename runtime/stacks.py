"""The stack of another thread, read while that thread may go on.

CPython lets no other thread run while it reads a frame, unless it runs code in Python meanwhile: a
finalizer of what is let go of, or the callbacks of a garbage collection. Then the frame may be
gone before it is read to its end, and the process crashes (seen on 3.11). So nothing is collected
meanwhile, and what was read is held until the next reading is over.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected inside, in the whole process: for microseconds."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def frames_of(thread: int) -> list[FrameType]:
    """The frames of the thread with this ident, innermost first; none: it has ended."""
    frames = []
    with uncollected():
        frame = sys._current_frames().get(thread)
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
    return frames


def format_frames(frames: list[FrameType]) -> str:
    """As a traceback shows them, the innermost last."""
    with uncollected():
        places = [(frame, frame.f_lineno) for frame in reversed(frames)]
    return "".join(traceback.StackSummary.extract(iter(places)).format())


class LocalsReader:
    """Reads the local variables of frames of one thread."""

    def __init__(self) -> None:
        self._held: list[Mapping[str, object]] = []  # of the reading before

    def read(self, *frames: FrameType) -> list[Mapping[str, object]]:
        """A copy of the variables of each frame."""
        with uncollected():
            found: list[Mapping[str, object]] = [dict(frame.f_locals) for frame in frames]
        self._held = found
        return found
