"""Checks of arguments: each returns what the message keeps, or names the wrong parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from ..messages.ids import GuardID, checked_number

M = TypeVar("M", bound=Message)


class EnumType(Protocol):
    """A protobuf enum: names to numbers."""

    def Value(self, name: str) -> int:  # noqa: N802  # protobuf's name
        """The number of `name`."""


def copied(kind: type[M], value: object, name: str) -> M:
    """A copy of a protobuf message, so that the caller's later changes do not leak in.

    Raises:
        TypeError: It is not a `kind`.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    copy = kind()
    copy.CopyFrom(value)
    return copy


def copied_or_none(kind: type[M], value: object, name: str) -> M | None:
    """As `copied`, where the original allows nil."""
    return None if value is None else copied(kind, value, name)


def copied_all(kind: type[M], values: object, name: str) -> tuple[M, ...]:
    """Copies of all messages of a sequence.

    Raises:
        TypeError: It is none, or one of them is not a `kind`.
    """
    if not isinstance(values, Iterable):
        expected = f"a sequence of {kind.__name__}"
        raise TypeError(f"{name}: expected {expected}, got {type(values).__name__}")
    return tuple(copied(kind, value, name) for value in values)


def checked_flag(value: object, name: str) -> bool:
    """A bool.

    Raises:
        TypeError: It is something else (0 and 1 included).
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected bool, got {type(value).__name__}")
    return value


def checked_guard(value: object) -> GuardID | None:
    """A guard's id, or None.

    Raises:
        TypeError: It is something else.
        ValueError: It is beyond 64 bits, so `guard()` never gave it.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"guard: expected an id from guard(), or None, got {type(value).__name__}")
    value = int.__int__(value)  # as `checked_number`
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"guard: {value} does not fit 64 bits")
    return GuardID(value)


def enum_number(enum: EnumType, value: object, name: str) -> int:
    """The number of an enum's value, given by number or by name.

    Raises:
        TypeError: It is neither int nor str.
        ValueError: The enum has no such name, or the number does not fit 32 bits.
    """
    if isinstance(value, str):
        try:
            return int(enum.Value(str.__str__(value)))
        except ValueError:
            raise ValueError(f"{name}: no such enum name {value!r}") from None
    return checked_number(value, name)
