"""`@message`: the one form that every message has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def message(cls: type[T]) -> type[T]:
    """Make `cls` a slotted dataclass that type checkers hold for frozen.

    A really frozen dataclass takes four times as long to build, and one is built for every call.
    """
    return dataclass(slots=True)(cls)
