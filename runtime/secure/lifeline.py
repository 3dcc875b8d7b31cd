"""A process that ends when its parent does, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that forked it ends; Linux only.

    Two things to know (prctl(2)): it is the end of the *thread* that forked, not of its process,
    that counts; and a parent that ended before this call sends nothing, so that is looked up.

    Args:
        parent: The process id of the parent, as that one knows it.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
