"""What happens to a tell from outside when the mailbox is full."""

from __future__ import annotations

from enum import Enum


class WhenFull(Enum):
    """A named choice; either way nothing that an actor sends is held back.

    Attributes:
        BLOCK: Wait until there is room; on a pumped base, run the actors meanwhile. On the
            dispatch thread, which would wait for itself, it goes in all the same.
        DROP_NEWEST: Drop it, and count it in `statistics().refused`.
    """

    BLOCK = "block"
    DROP_NEWEST = "drop_newest"
