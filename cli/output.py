"""Standard output, which may be full, or have nobody who reads it any more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NAME: Final = "standard output"


@contextmanager
def standard_output() -> Iterator[None]:
    """Print inside of it: an error in writing then says where to.

    Raises:
        OSError: What was printed cannot be written; `filename` is "standard output".
    """
    try:
        yield
    except OSError as error:
        # what is still buffered is given up, or the interpreter's exit would complain again
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        raise OSError(error.errno, error.strerror, NAME) from error
