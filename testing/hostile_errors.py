"""Exceptions that resist: their own methods fail when somebody asks what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NoReturn


class Mute(Exception):  # noqa: N818
    """Neither repr() nor str()."""

    def __repr__(self) -> str:
        raise ValueError("no repr")

    def __str__(self) -> str:
        raise ValueError("no str")


class Quitting(Mute):
    """Asked for its text, it ends the process."""

    def __repr__(self) -> str:
        raise SystemExit(3)

    __str__ = __repr__


class Noteless(Exception):  # noqa: N818
    """Its notes cannot be read: the traceback module does not expect that."""

    @property
    def __notes__(self) -> NoReturn:  # type: ignore[override]
        raise ValueError("no notes")


class Causeless(Exception):  # noqa: N818
    """Its cause cannot be read."""

    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override,mutable-override]
        raise ValueError("no cause")


class Untraceable(Exception):  # noqa: N818
    """Its traceback cannot be read."""

    @property
    def __traceback__(self) -> NoReturn:  # type: ignore[override,mutable-override]
        raise ValueError("no traceback")


class Undecided(Exception):  # noqa: N818
    """It is neither true nor false."""

    def __bool__(self) -> NoReturn:
        raise ValueError("neither")


class Classless(Exception):  # noqa: N818
    """It does not say of which class it is."""

    @property  # type: ignore[misc]
    def __class__(self) -> NoReturn:  # type: ignore[override]
        raise ValueError("no class")


class BadlyPlaced(SyntaxError):  # noqa: N818
    """The place of the mistake makes no sense."""

    def __init__(self) -> None:
        super().__init__("badly placed")
        self.text, self.offset, self.lineno = _Nothing(), _Nothing(), 1  # type: ignore[assignment]


class _Nothing:
    def __iter__(self) -> Iterator[str]:
        return iter(())


HOSTILE_ERRORS: Final[tuple[type[Exception], ...]] = (
    Mute,
    Quitting,
    Noteless,
    Causeless,
    Untraceable,
    Undecided,
    Classless,
    BadlyPlaced,
)
