"""After fork() a child process has the objects of its parent, and none of the threads."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Owner(Protocol):
    """Whoever has a thread."""

    def disown(self) -> None:
        """This is the child: the thread stayed with the parent."""


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()


def watch_forks(owner: Owner) -> None:
    """Have `owner.disown()` called in each child that is forked from now on."""
    _owners.add(owner)


def _disown_all() -> None:
    for owner in list(_owners):
        owner.disown()


if hasattr(os, "register_at_fork"):  # else there is no fork() either
    os.register_at_fork(after_in_child=_disown_all)
