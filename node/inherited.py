"""The settings of the node, in every process of it: set before the first fork."""

from __future__ import annotations

from ..errors import LifecycleError
from .settings import NodeSettings

_settings: NodeSettings | None = None


def bequeath(settings: NodeSettings) -> None:
    """From now on, processes that are forked from this one belong to this node."""
    global _settings
    _settings = settings


def inherited() -> NodeSettings:
    """The settings of the node that this process belongs to.

    Raises:
        LifecycleError: It belongs to none.
    """
    if _settings is None:
        raise LifecycleError("this process is no part of a node: greenroom serve")
    return _settings
